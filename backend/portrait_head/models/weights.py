"""Tensors from files, read so that a file can hold nothing but tensors.

Safetensors cannot carry code. Pickles can, so they go through torch's restricted unpickler (`weights_only`), which
builds tensors and plain containers and refuses everything else; packs have theirs converted once, at installation.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from portrait_head.errors import PortraitHeadError
from portrait_head.models.layout import PICKLES, SAFETENSORS


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a safetensors file or of a pickle, on the CPU; nested names are joined with dots.

    Raises:
        PortraitHeadError: `unsafe_weights` if the file would run code, `weights_broken` if it cannot be read,
            `weights_unknown` for any other kind of file.
    """
    if path.suffix == SAFETENSORS:
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise _unreadable(path, error) from error
    if path.suffix in PICKLES:
        return _flat(path, _unpickled(path))
    raise PortraitHeadError(
        "weights_unknown",
        f"{path.name} is not a file of weights that is read here.",
        f"Known are {SAFETENSORS} and {', '.join(PICKLES)}.",
    )


def convert_to_safetensors(pickled: Path, target: Path) -> None:
    """Write the tensors of a pickle as safetensors, each with memory of its own. Raises what `load_weights` raises."""
    tensors = {name: tensor.contiguous().clone() for name, tensor in load_weights(pickled).items()}
    save_file(tensors, target, metadata={"format": "pt"})


def load_strictly(model: torch.nn.Module, tensors: Mapping[str, torch.Tensor], what: str) -> None:
    """Give `model` its weights, all of them and no others.

    Raises:
        PortraitHeadError: `wrong_architecture`, naming the first tensor that does not fit.
    """
    wanted = model.state_dict()
    missing = [name for name in wanted if name not in tensors]
    surplus = [name for name in tensors if name not in wanted]
    misfits = [name for name in wanted if name in tensors and tensors[name].shape != wanted[name].shape]
    if misfits:
        name = misfits[0]
        raise wrong_architecture(what, f"{name} is {list(tensors[name].shape)}, not {list(wanted[name].shape)}")
    if missing:
        raise wrong_architecture(what, f"{missing[0]} and {len(missing) - 1} more tensors are missing")
    if surplus:
        raise wrong_architecture(what, f"{surplus[0]} and {len(surplus) - 1} more tensors belong to another model")
    model.load_state_dict(dict(tensors))


def wrong_architecture(what: str, why: str) -> PortraitHeadError:
    """The error for weights that belong to another kind of model."""
    return PortraitHeadError(
        "wrong_architecture",
        f"{what} does not fit: {why}.",
        "Use the pack that the catalogue names (portrait-head models list), or weights of the same family.",
    )


def _unpickled(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise PortraitHeadError(
            "unsafe_weights",
            f"{path.name} is not only weights: reading it would run code that came with it. It was not read.",
            "Do not use this file; get the model from its own source, as safetensors if there is a choice.",
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _flat(path: Path, value: Any, prefix: str = "") -> dict[str, torch.Tensor]:
    if not isinstance(value, Mapping):
        raise PortraitHeadError(
            "weights_broken",
            f"{path.name} holds {type(value).__name__} under {prefix[:-1] or 'its root'!r}, where tensors should be.",
            "It is not a file of weights; use the one that the model's page names.",
        )
    tensors: dict[str, torch.Tensor] = {}
    for key, item in value.items():
        if isinstance(item, torch.Tensor):
            tensors[f"{prefix}{key}"] = item
        else:
            tensors.update(_flat(path, item, f"{prefix}{key}."))
    return tensors


def _unreadable(path: Path, error: Exception) -> PortraitHeadError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return PortraitHeadError(
        "weights_broken", f"{path.name} cannot be read as weights: {reason}", "Download it again; it may be incomplete."
    )
