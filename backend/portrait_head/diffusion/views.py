"""From where a camera looks at the head, and what that means for the prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

ViewWord = Literal["front", "side", "back", "overhead"]


@dataclass(frozen=True)
class ViewAngles:
    """Where the viewer stands around the head, degrees.

    Attributes:
        azimuth: 0 in front of the face, positive on the subject's left, 180 behind.
        elevation: 0 at the head's height, 90 above.
    """

    azimuth: float
    elevation: float


def view_angles(rotation: np.ndarray) -> ViewAngles:
    """The angles of a camera with this rotation [3, 3] from head space to camera space."""
    towards_viewer = np.asarray(rotation, dtype=np.float64)[2]
    azimuth = np.degrees(np.arctan2(towards_viewer[0], towards_viewer[2]))
    elevation = np.degrees(np.arcsin(np.clip(towards_viewer[1], -1.0, 1.0)))
    return ViewAngles(float(azimuth), float(elevation))


def view_word(angles: ViewAngles) -> ViewWord:
    """The word that a prompt describes this view with; the limits are those of threestudio (60, 45 and 45 degrees)."""
    if angles.elevation > 60.0:
        return "overhead"
    if abs(angles.azimuth) <= 45.0:
        return "front"
    if abs(angles.azimuth) >= 135.0:
        return "back"
    return "side"
