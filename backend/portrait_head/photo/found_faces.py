"""What is told of the faces in a photo to somebody who chooses among them; needs no library."""

from __future__ import annotations

import base64
import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FoundFace:
    """One face.

    Attributes:
        box: (left, top, right, bottom), 0 to 1, shares of the width and the height of the photo upright.
        pixels: its size, the square root of the box's area in photo pixels.
        trouble: why no head can be made of it; empty where one can.
        warnings: what will make its head less good.
        picture: a small square JPEG of it.
    """

    box: tuple[float, float, float, float]
    pixels: int
    trouble: str
    warnings: tuple[str, ...]
    picture: bytes


@dataclass(frozen=True)
class FoundFaces:
    """All faces of a photo, the largest first; `default` is the one that is taken unasked, counted from 1."""

    faces: tuple[FoundFace, ...]
    default: int = 1

    def to_result(self) -> dict[str, Any]:
        """The same, ready for JSON; pictures in base64."""
        faces = [{**dataclasses.asdict(one), "picture": base64.b64encode(one.picture).decode()} for one in self.faces]
        return {"faces": faces, "default": self.default}
