"""Which files of a source make up a pack, and where they lie in it."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from portrait_head.errors import PortraitHeadError
from portrait_head.models.catalogue import Pack

SAFETENSORS = ".safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
# Half precision first: it is what the guidance runs in, and half the download.
ENDINGS = (".fp16.safetensors", ".safetensors", ".fp16.bin", ".bin")
# The Transformers library names the same weights `model.safetensors` and `pytorch_model.bin`.
PICKLED_NAMES = {"model": "pytorch_model"}


@dataclass(frozen=True)
class Part:
    """One file of a pack: its path in the source and its path in the pack, both with `/`."""

    source: str
    stored: str

    @property
    def pickled(self) -> bool:
        """Whether the source has it as a pickle, to be converted."""
        return PurePosixPath(self.source).suffix in PICKLES


def choose(pack: Pack, available: Iterable[str]) -> tuple[Part, ...]:
    """Pick the files of `pack` out of the paths that its source has, sorted by where they are stored.

    Raises:
        PortraitHeadError: `wrong_layout`, naming the file that is not there.
    """
    names = set(available)
    prefix = f"{pack.subfolder}/" if pack.subfolder else ""
    if prefix and not any(name.startswith(prefix) for name in names):
        prefix = ""  # a folder of the user that is already the pack itself
    inside = {name[len(prefix) :]: name for name in names if name.startswith(prefix)}
    parts: dict[str, Part] = {}
    for pattern in pack.files:
        found = fnmatch.filter(inside, pattern)
        if not found:
            raise _missing(pack, pattern)
        parts.update((name, Part(inside[name], name)) for name in found)
    for stem in pack.weights:
        name = next((name for name in _spellings(stem) if name in inside), None)
        if name is None:
            raise _missing(pack, f"{stem}.safetensors or .bin")
        stored = stem + SAFETENSORS
        parts[stored] = Part(inside[name], stored)
    return tuple(parts[stored] for stored in sorted(parts))


def _spellings(stem: str) -> list[str]:
    path = PurePosixPath(stem)
    pickled = str(path.with_name(PICKLED_NAMES.get(path.name, path.name)))
    return [(stem if ending.endswith(SAFETENSORS) else pickled) + ending for ending in ENDINGS]


def _missing(pack: Pack, what: str) -> PortraitHeadError:
    return PortraitHeadError(
        "wrong_layout",
        f"{what} of the model pack {pack.name} is not there.",
        f"`portrait-head models show {pack.name}` lists the files that belong to it.",
    )
