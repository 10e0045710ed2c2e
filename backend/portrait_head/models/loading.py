"""Models of diffusers and transformers from a pack's folder: all of their weights, or an error.

The one way in. Both libraries only log a warning when a file lacks some of a model's weights, and run on with random
numbers in their place; a head guided by those looks like bad luck, not like a wrong file. Nothing is ever fetched, and
weights are safetensors.
"""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from safetensors import SafetensorError

from portrait_head.errors import PortraitHeadError
from portrait_head.models.packages import missing
from portrait_head.models.weights import wrong_architecture

CONFIG = "config.json"
_VERIFY = "Check it with `portrait-head models verify` and download it again if that finds damage."


class Loadable(Protocol):
    """A class of diffusers or transformers that can be read from a folder."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *arguments: Any, **options: Any) -> Any:
        """Read it from a folder."""
        ...


Model = TypeVar("Model", bound=Loadable)


def libraries() -> tuple[Any, Any]:
    """The modules diffusers and transformers.

    Raises:
        PortraitHeadError: `missing_package`.
    """
    try:
        import diffusers
        import transformers
    except ImportError as error:
        raise missing(error.name or "diffusers", error) from error
    return diffusers, transformers


def load_pretrained(
    model_class: type[Model], folder: Path, dtype: torch.dtype = torch.float32, part_of_file: bool = False
) -> Model:
    """Load a model from safetensors in `folder`, in evaluation mode; a folder says which class wrote it.

    Args:
        model_class: a class of its own, or one of the transformers library's `Auto` classes.
        folder: the model's.
        dtype: of the weights.
        part_of_file: whether folder and file may be those of a larger model, as CLIP's are for its vision half.

    Raises:
        PortraitHeadError: `pack_missing` without the folder, `wrong_architecture` if it says that it holds another
            class, or if a tensor is missing, left over or of another shape, `weights_broken` if it cannot be read.
    """
    what = f"{folder.name} as {model_class.__name__}"
    config = model_config(folder, model_class.__name__)
    said = config.get("_class_name") or (config.get("architectures") or [model_class.__name__])[0]
    if said != model_class.__name__ and not part_of_file:
        raise wrong_architecture(what, f"{folder} holds a {said}")
    try:
        with quiet_libraries():
            model, found = model_class.from_pretrained(
                folder, torch_dtype=dtype, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except (OSError, SafetensorError) as error:
        raise _broken(folder, error) from error
    except (ValueError, RuntimeError, KeyError, TypeError) as error:
        raise wrong_architecture(what, _first_line(error)) from error
    absent, surplus = sorted(found["missing_keys"]), sorted(found["unexpected_keys"])
    if absent:
        raise wrong_architecture(what, f"{absent[0]} and {len(absent) - 1} more tensors are missing")
    if surplus and not part_of_file:
        raise wrong_architecture(what, f"{surplus[0]} and {len(surplus) - 1} more tensors belong to another model")
    return model.eval()


def load_part(part_class: type[Model], folder: Path) -> Model:
    """Read what has no weights from `folder`: a tokenizer, a scheduler, a processor of pictures.

    Raises:
        PortraitHeadError: `pack_missing` without the folder, `weights_broken` if it cannot be read.
    """
    if not folder.is_dir():
        raise missing_folder(folder, part_class.__name__)
    try:
        with quiet_libraries():
            return part_class.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise _broken(folder, error) from error


def model_config(folder: Path, what: str = "model") -> dict[str, Any]:
    """The settings that a model was saved with.

    Raises:
        PortraitHeadError: `pack_missing` or `weights_broken`.
    """
    file = folder / CONFIG
    if not file.is_file():
        raise missing_folder(file, what)
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _broken(file, error) from error
    if not isinstance(config, dict):
        raise _broken(file, ValueError("it is no table of settings"))
    return config


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Without the warnings and progress bars of diffusers and transformers, for what is checked here and raised."""
    names = ("diffusers.utils.logging", "transformers.utils.logging")
    loggers: list[Any] = [sys.modules[name] for name in names if name in sys.modules]
    before = [logger.get_verbosity() for logger in loggers]
    for logger in loggers:
        logger.set_verbosity_error()
        logger.disable_progress_bar()
    try:
        yield
    finally:
        for logger, verbosity in zip(loggers, before, strict=True):
            logger.set_verbosity(verbosity)
            logger.enable_progress_bar()


def missing_folder(path: Path, what: str) -> PortraitHeadError:
    """The error for a part of a pack that is not where it should be."""
    return PortraitHeadError(
        "pack_missing",
        f"There is no {what} at {path}.",
        "Download its pack with `portrait-head models download`, or point to a folder that has it.",
    )


def _broken(path: Path, error: Exception) -> PortraitHeadError:
    return PortraitHeadError("weights_broken", f"{path} cannot be read: {_first_line(error)}.", _VERIFY)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
