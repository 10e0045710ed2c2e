# SPDX-License-Identifier: GPL-3.0-or-later
"""The 52 ARKit keys as an artist looks for them: by region of the face, left and right side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..scene.arkit import ARKIT_NAMES

LEFT, RIGHT = "Left", "Right"


@dataclass(frozen=True)
class Control:
    """One movement: a key for each side of the face, or a single one.

    Attributes:
        label: in words, without the region and the side.
        names: (left, right), or (key,) for a movement of the whole face.
    """

    label: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Region:
    """A part of the face and its movements."""

    identifier: str
    label: str
    controls: tuple[Control, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Every key of the region."""
        return tuple(name for control in self.controls for name in control.names)


# jawLeft and mouthLeft are directions in which the whole face moves, not one side's half of a movement.
DIRECTIONS = {"jawLeft": "jawRight", "mouthLeft": "mouthRight"}
_LABELS = (
    ("brow", "Brows"),
    ("eye", "Eyes"),
    ("nose", "Nose"),
    ("cheek", "Cheeks"),
    ("mouth", "Mouth"),
    ("jaw", "Jaw"),
    ("tongue", "Tongue"),
)


def other_side(name: str) -> str | None:
    """The same movement on the other side of the face; None for movements of the whole face."""
    if name in DIRECTIONS or name in DIRECTIONS.values():
        return None
    for side, other in ((LEFT, RIGHT), (RIGHT, LEFT)):
        if name.endswith(side):
            return name.removesuffix(side) + other
    return None


def opposite(name: str) -> str:
    """What `name` becomes in a mirror."""
    for left, right in DIRECTIONS.items():
        if name in (left, right):
            return right if name == left else left
    return other_side(name) or name


def words(name: str) -> str:
    """`mouthSmileLeft` as words: Mouth Smile Left."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name[:1].upper() + name[1:])


def _controls(prefix: str) -> tuple[Control, ...]:
    found: dict[str, Control] = {}
    for name in (each for each in ARKIT_NAMES if each.startswith(prefix)):
        other = other_side(name)
        stem = name if other is None else name.removesuffix(LEFT).removesuffix(RIGHT)
        names = (name,) if other is None else (stem + LEFT, stem + RIGHT)
        found.setdefault(stem, Control(words(stem.removeprefix(prefix)), names))
    return tuple(found.values())


REGIONS: tuple[Region, ...] = tuple(Region(prefix, label, _controls(prefix)) for prefix, label in _LABELS)


def region_of(name: str) -> Region | None:
    """The region of a key; None for one that is not ARKit's."""
    return next((region for region in REGIONS if name in region.names), None)


def matching(search: str, names: Iterable[str]) -> tuple[str, ...]:
    """The keys whose name holds every word of `search`, in any order and case; also region names match."""
    wanted = search.casefold().split()

    def text(name: str) -> str:
        region = region_of(name)
        return f"{name} {words(name)} {region.label if region else ''}".casefold()

    return tuple(name for name in names if all(word in text(name) for word in wanted))
