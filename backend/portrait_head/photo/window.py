"""The square window of the photo that holds one head with its hair and shoulders."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.photo.faces import CHIN, FOREHEAD, IRIS_CENTRES, head_pose


@dataclass(frozen=True)
class WindowConfig:
    """Lengths are in face heights (forehead to chin of the mesh) unless they say pixels."""

    side: float = 3.2
    drop: float = 0.12  # the window's centre lies this far below the face's: shoulders matter more than sky
    behind: float = 0.35  # and this far towards the back of a head in profile
    min_side: int = 512  # pixels
    max_side: int = 1280  # pixels
    min_interocular: float = 110.0  # pixels; smaller faces are enlarged
    max_interocular: float = 160.0  # pixels; larger ones are reduced


@dataclass(frozen=True)
class Window:
    """Attributes:
    image: [S, S, 3] uint8 sRGB; beyond the photo its edge is repeated.
    valid: [S, S] bool, False beyond the photo.
    placement: [3] float64 (x0, y0, scale): photo pixel = window pixel * scale + (x0, y0).
    """

    image: np.ndarray
    valid: np.ndarray
    placement: np.ndarray

    def from_photo(self, landmarks: np.ndarray) -> np.ndarray:
        """Photo-pixel landmarks [..., 3] in window pixels."""
        x0, y0, scale = self.placement
        return (landmarks - np.array([x0, y0, 0.0])) / scale


def face_height(landmarks: np.ndarray) -> float:
    """Distance from the forehead to the chin point of the mesh [478, 3], in depth too."""
    return float(np.linalg.norm(landmarks[FOREHEAD] - landmarks[CHIN]))


def head_window(image: np.ndarray, landmarks: np.ndarray, config: WindowConfig = WindowConfig()) -> Window:
    """Cut and resample the window around the face with `landmarks` ([478, 3], photo pixels) from `image` (uint8)."""
    height = face_height(landmarks)
    centre = (landmarks[FOREHEAD, :2] + landmarks[CHIN, :2]) / 2
    yaw = math.radians(head_pose(landmarks).yaw)
    centre = centre + np.array([-math.sin(yaw) * config.behind, config.drop]) * height
    region = max(8, round(config.side * height))
    corner = np.round(centre - region / 2).astype(int)

    pupils = landmarks[list(IRIS_CENTRES)]
    interocular = max(float(np.linalg.norm(pupils[1] - pupils[0])), 1e-6)
    wished = np.clip(interocular, config.min_interocular, config.max_interocular) / interocular
    side = int(np.clip(round(region * wished), config.min_side, config.max_side))

    photo_height, photo_width = image.shape[:2]
    low = np.clip(corner, 0, (photo_width - 1, photo_height - 1))
    high = np.clip(corner + region, low + 1, (photo_width, photo_height))
    part = image[low[1] : high[1], low[0] : high[0]]
    before, after = low - corner, corner + region - high
    top, bottom, left, right = (int(np.clip(rim, 0, region)) for rim in (before[1], after[1], before[0], after[0]))
    cut = cv2.copyMakeBorder(part, top, bottom, left, right, borderType=cv2.BORDER_REPLICATE)[:region, :region]
    inside = np.zeros((region, region), np.uint8)
    inside[top : top + part.shape[0], left : left + part.shape[1]] = 255
    if side != region:
        method = cv2.INTER_AREA if side < region else cv2.INTER_LANCZOS4
        cut = cv2.resize(cut, (side, side), interpolation=method)
        inside = cv2.resize(inside, (side, side), interpolation=cv2.INTER_LINEAR)
    placement = np.array([corner[0], corner[1], region / side], dtype=np.float64)
    return Window(cut, inside > 127, placement)
