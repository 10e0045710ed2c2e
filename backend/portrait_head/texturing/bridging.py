"""The photo without what is thin before the face: the frame of glasses, bridged from the skin at both sides."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class BridgeConfig:
    """Lengths in shares of the inter-ocular distance."""

    broad: float = 0.10  # half the width from which on the sides tell nothing about the middle: a finger has more
    reach: float = 0.05  # how far to the sides it is looked for colours
    blur: float = 0.025


def broad_part(occluder: np.ndarray, unit: float, config: BridgeConfig = BridgeConfig()) -> np.ndarray:
    """The part [S, S] bool of a mask [S, S] bool too broad to be bridged; `unit` is the inter-ocular distance."""
    return cv2.morphologyEx(occluder.astype(np.uint8), cv2.MORPH_OPEN, _disc(config.broad * unit)) > 0


def bridged(image: np.ndarray, occluder: np.ndarray, unit: float, config: BridgeConfig = BridgeConfig()) -> np.ndarray:
    """A picture [S, S, 3] uint8 with what is narrow of an occluder [S, S] bool painted over as its sides go on.

    Args:
        image: the picture; returned itself where there is nothing to bridge.
        occluder: what stands before the skin.
        unit: inter-ocular distance in pixels.
        config: lengths.
    """
    narrow = occluder & ~broad_part(occluder, unit, config)
    rows, columns = np.nonzero(narrow)
    if len(rows) == 0:
        return image
    margin = max(round(config.reach * unit), 2)
    top, left = max(rows.min() - margin, 0), max(columns.min() - margin, 0)
    window = np.s_[top : rows.max() + margin + 1, left : columns.max() + margin + 1]
    out = image.copy()
    inside = narrow[window].astype(np.uint8)
    part = cv2.inpaint(np.ascontiguousarray(image[window]), inside, margin, cv2.INPAINT_NS)
    # What is carried inwards pixel by pixel has streaks, and beside the frame a lens or a codec has left a rim.
    blur = config.blur * unit
    rim = cv2.dilate(inside, _disc(blur)).astype(np.float32)
    share = cv2.GaussianBlur(rim, (0, 0), blur / 2)[..., None]
    smooth = cv2.GaussianBlur(part.astype(np.float32), (0, 0), blur)
    out[window] = np.rint(part + share * (smooth - part))
    return out


def _disc(radius: float) -> np.ndarray:
    side = 2 * max(round(radius), 1) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
