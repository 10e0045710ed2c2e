"""In which directions the numbers of a normal map point: named for each pack, and checked in each photo.

A catalogue names three directions, for example `["right", "up", "towards"]`: where a surface faces, as the camera sees
it, whose first, second or third number is 1. A published model rarely says, and one flipped axis would carve the face
inside out; so what it answers is held against the head that was fitted to the photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RIGHT_UP_TOWARDS = ("right", "up", "towards")  # this project's camera space
_DIRECTIONS = {"right": (0, 1), "left": (0, -1), "up": (1, 1), "down": (1, -1), "towards": (2, 1), "away": (2, -1)}
_TURNED = (
    "to the left instead of to the right",
    "down instead of up",
    "away from the viewer instead of towards it",
)
_LEAST_PIXELS = 50  # of the face; fewer say nothing
_SURELY = 0.5  # correlation beyond which one of the three numbers is taken for flipped
_AGREES = 0.7  # mean cosine, 45 degrees; the fit is off by 15 to 20, another person's face by little more


def are_axes(names: Sequence[str]) -> bool:
    """Whether these are three of the directions, one along each axis."""
    return sorted(_DIRECTIONS[name][0] for name in names if name in _DIRECTIONS) == [0, 1, 2] and len(names) == 3


def axes_matrix(names: Sequence[str]) -> np.ndarray:
    """[3, 3] float32: from numbers that point in these directions to this project's x right, y up, z to the viewer."""
    if not are_axes(names):
        raise ValueError(f"{names} are not three directions, one along each axis, of {', '.join(_DIRECTIONS)}")
    matrix = np.zeros((3, 3), np.float32)
    for column, name in enumerate(names):
        axis, sign = _DIRECTIONS[name]
        matrix[axis, column] = sign
    return matrix


@dataclass(frozen=True)
class AxesCheck:
    """What the fitted head says of a normal map.

    Attributes:
        signs: [3] float32, 1 or -1: what to multiply the map with.
        flipped: for each number that was turned, in words, where it pointed.
        cosine: mean over the face after that, between the map and the fitted head; None if nothing could be compared.
    """

    signs: np.ndarray
    flipped: tuple[str, ...]
    cosine: float | None

    @property
    def agrees(self) -> bool:
        """Whether the map shows the fitted head, or nothing speaks against it."""
        return self.cosine is None or self.cosine >= _AGREES


def check_axes(normals: np.ndarray, fitted: np.ndarray, face: np.ndarray) -> AxesCheck:
    """Hold a normal map against that of the fitted head.

    A number is turned where it runs against the fit's in the same pixels: right and left halves of a face, forehead
    and chin, and the nose before the cheeks tell the two signs of each axis apart.

    Args:
        normals: [H, W, 3] unit, x right, y up, z to the viewer as far as is known; zero where unknown.
        fitted: [H, W, 3] the same of the fitted head.
        face: [H, W], 0 to 1, where the two should be alike.
    """
    here = (face > 0.5) & normals.any(axis=-1) & fitted.any(axis=-1)
    if int(here.sum()) < _LEAST_PIXELS:
        return AxesCheck(np.ones(3, np.float32), (), None)
    told, known = normals[here].astype(np.float64), fitted[here].astype(np.float64)
    spread = np.sqrt((told**2).mean(axis=0) * (known**2).mean(axis=0))
    correlation = (told * known).mean(axis=0) / np.maximum(spread, 1e-9)
    signs = np.where(correlation < -_SURELY, -1.0, 1.0)
    flipped = tuple(_TURNED[axis] for axis in np.flatnonzero(signs < 0))
    return AxesCheck(signs.astype(np.float32), flipped, float((told * signs * known).sum(axis=1).mean()))
