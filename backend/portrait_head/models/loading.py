"""Models of diffusers and transformers from a pack's folder: all of their weights, or an error.

Both libraries only log a warning when a file lacks some of a model's weights, and run on with random numbers in their
place; a head guided by those looks like bad luck, not like a wrong file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from portrait_head.errors import PortraitHeadError
from portrait_head.models.weights import wrong_architecture


class Loadable(Protocol):
    """A model class of diffusers or transformers."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *arguments: Any, **options: Any) -> Any:
        """Read a model from a folder."""
        ...


Model = TypeVar("Model", bound=Loadable)


def load_pretrained(
    model_class: type[Model], folder: Path, dtype: torch.dtype = torch.float32, part_of_file: bool = False
) -> Model:
    """Load a model from safetensors in `folder`, never from the network, in evaluation mode.

    Args:
        part_of_file: whether the file may hold more than this model, as CLIP's does for its vision half.

    Raises:
        PortraitHeadError: `wrong_architecture` if a tensor is missing, left over or of another shape,
            `weights_broken` if the files cannot be read.
    """
    what = f"{folder.name} as {model_class.__name__}"
    try:
        with quiet_libraries():
            model, found = model_class.from_pretrained(
                folder, torch_dtype=dtype, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except OSError as error:
        raise PortraitHeadError(
            "weights_broken",
            f"{what} cannot be loaded: {_first_line(error)}",
            "If it is a pack, `portrait-head models verify` tells what is wrong with it.",
        ) from error
    except (ValueError, RuntimeError, KeyError, TypeError) as error:
        raise wrong_architecture(what, _first_line(error)) from error
    missing, surplus = sorted(found["missing_keys"]), sorted(found["unexpected_keys"])
    if missing:
        raise wrong_architecture(what, f"{missing[0]} and {len(missing) - 1} more tensors are missing")
    if surplus and not part_of_file:
        raise wrong_architecture(what, f"{surplus[0]} and {len(surplus) - 1} more tensors belong to another model")
    return model.eval()


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


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
