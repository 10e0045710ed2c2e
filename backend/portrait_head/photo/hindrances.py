"""Light that falsifies the face's own colours: hard shadow, coloured light.

Everything is measured along lines over the face that its landmarks lay down, in shares of the distance between the
pupils and in ratios of light, so neither the size nor the exposure of a photo matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.photo.faces import IRIS_CENTRES
from portrait_head.photo.lines import read
from portrait_head.photo.skin_tone import white_balance
from portrait_head.rendering.lighting import LUMINANCE, srgb_to_linear

# Points of the mesh and their mirror images, on cheeks and forehead.
SIDES = ((50, 280), (205, 425), (118, 347), (69, 299), (104, 333), (187, 411), (109, 338))
ACROSS = ((69, 299), (104, 333), (50, 280), (205, 425), (118, 347), (187, 411))
SKIN = (8, 9, 50, 280, 151, 205, 425)
FOREHEAD, CHIN = 10, 152


@dataclass(frozen=True)
class HindranceConfig:
    """Bounds between portraits as they are and the same portraits hindered; ratios of light as natural logarithms."""

    one_sided: float = 0.6  # left over right
    hard_edge: float = 0.70  # the steepest change along a line over the face
    edge_width: float = 8 / 120  # of such a line
    tone_slack: float = 1.25  # how far beyond skin's own colours photos in room light lie
    grey: float = 2.0  # CIE Lab chroma under which a picture has no colour to judge


def hindrances(
    image: np.ndarray, landmarks: np.ndarray, config: HindranceConfig = HindranceConfig()
) -> tuple[str, ...]:
    """Warnings about what falsifies the skin.

    Args:
        image: [S, S, 3] uint8 sRGB, the head's window.
        landmarks: [478, 3] pixels of it.
        config: bounds.
    """
    face = _FaceLight(image, landmarks)
    warnings = []
    if face.half_in_shadow(config):
        warnings.append(
            "Half of the face lies in hard shadow: its skin is taken from the lit half where it is too dark. "
            "A photo in even light gives a better head."
        )
    if face.chroma >= config.grey and np.ptp(white_balance(face.tone, config.tone_slack)) > 0.01:
        warnings.append(
            "The light on the face is strongly coloured: the skin's own colour is a guess. "
            "A photo in white light gives better colours."
        )
    return tuple(warnings)


class _FaceLight:
    """The light of a face along lines between its landmarks."""

    def __init__(self, image: np.ndarray, landmarks: np.ndarray) -> None:
        self.marks = landmarks[:, :2].astype(np.float64)
        self.unit = max(float(np.linalg.norm(self.marks[IRIS_CENTRES[1]] - self.marks[IRIS_CENTRES[0]])), 1.0)
        height = float(np.linalg.norm(self.marks[CHIN] - self.marks[FOREHEAD]))
        self.linear = srgb_to_linear(image.astype(np.float32) / 255)
        self.light = (self.linear @ LUMINANCE).astype(np.float32)
        self.tone = np.median([self._disc(self.linear, index, 0.04 * height) for index in SKIN], axis=0)
        lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
        colours = np.array([self._disc(lab, index, 0.04 * height) for index in SKIN])
        self.chroma = float(np.median(np.hypot(colours[:, 1], colours[:, 2])))
        self.sides = [
            np.log(self._disc(self.light, one, 0.05 * height) / self._disc(self.light, other, 0.05 * height))
            for one, other in SIDES
        ]

    def half_in_shadow(self, config: HindranceConfig) -> bool:
        """One side is darker by far, and the change is abrupt at the same side of most lines over the face."""
        if abs(float(np.median(self.sides))) < config.one_sided:
            return False
        light = self._logarithm(0.02)
        steps = []
        for one, other in ACROSS:
            line = self.marks[one] + np.linspace(0, 1, 121)[:, None] * (self.marks[other] - self.marks[one])
            found = read(light, line)
            width = round(config.edge_width * 120)
            change = found[width:] - found[:-width]
            steps.append(change[np.abs(change).argmax()])
        return abs(float(np.median(steps))) > config.hard_edge

    def _logarithm(self, blur: float) -> np.ndarray:
        return np.log(np.maximum(cv2.GaussianBlur(self.light, (0, 0), max(blur * self.unit, 0.5)), 2e-3))

    def _disc(self, values: np.ndarray, index: int, radius: float) -> np.ndarray:
        """Median of the values around a landmark."""
        mask = np.zeros(values.shape[:2], np.uint8)
        x, y = self.marks[index]
        cv2.circle(mask, (int(x), int(y)), max(1, round(radius)), (1,), -1)
        inside = values[mask > 0]
        return np.maximum(np.median(inside, axis=0), 1e-4) if len(inside) else np.ones(values.shape[2:]) * 0.5
