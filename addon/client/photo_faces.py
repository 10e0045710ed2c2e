# SPDX-License-Identifier: GPL-3.0-or-later
"""The faces of a photo, among which the user chooses before a run."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FoundFace:
    """One face.

    Attributes:
        box: (left, top, right, bottom), shares of the width and height of the photo upright.
        pixels: its size in the photo.
        trouble: why no head can be made of it; empty where one can.
        warnings: what will make its head less good.
        picture: a small JPEG of it; empty where there is none.
    """

    box: tuple[float, float, float, float]
    pixels: int
    trouble: str = ""
    warnings: tuple[str, ...] = ()
    picture: bytes = b""


def faces_from(result: Mapping[str, Any]) -> tuple[FoundFace, ...]:
    """The faces that the worker's answer to `faces` tells of, the largest first.

    Raises:
        ValueError: the answer has another form.
    """
    try:
        return tuple(_face(told) for told in result["faces"])
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"no list of faces: {error}") from error


def place_in_words(faces: Sequence[FoundFace], index: int) -> str:
    """Where face `index` is among the others as one looks at the photo: left, right, middle, or second from left."""
    order = sorted(range(len(faces)), key=lambda each: faces[each].box[0] + faces[each].box[2])
    place, last = order.index(index), len(faces) - 1
    if last == 0:
        return "the only one"
    if place in (0, last):
        return "left" if place == 0 else "right"
    return "middle" if 2 * place == last else f"{place + 1}. from left"


def _face(told: Mapping[str, Any]) -> FoundFace:
    left, top, right, bottom = (float(value) for value in told["box"])
    if not all(math.isfinite(value) for value in (left, top, right, bottom)):
        raise ValueError(f"a face's box is {told['box']}")
    return FoundFace(
        (left, top, right, bottom),
        int(told["pixels"]),
        str(told.get("trouble", "")),
        tuple(str(warning) for warning in told.get("warnings", ())),
        base64.b64decode(told.get("picture", "")),
    )
