"""What stands between the camera and the face's own colours: hard shadow, coloured light, glasses, hands.

Everything is measured along lines over the face that its landmarks lay down, in shares of the distance between the
pupils and in ratios of light, so neither the size nor the exposure of a photo matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.photo.faces import IRIS_CENTRES
from portrait_head.photo.head_shape import FACE_OVAL
from portrait_head.photo.mediapipe_models import hand_landmarks
from portrait_head.photo.skin_tone import white_balance
from portrait_head.rendering.lighting import LUMINANCE, srgb_to_linear

# Points of the mesh and their mirror images, on cheeks and forehead.
SIDES = ((50, 280), (205, 425), (118, 347), (69, 299), (104, 333), (187, 411), (109, 338))
ACROSS = ((69, 299), (104, 333), (50, 280), (205, 425), (118, 347), (187, 411))
SKIN = (8, 9, 50, 280, 151, 205, 425)
FOREHEAD, CHIN, LOWER_LIP = 10, 152, 17


@dataclass(frozen=True)
class HindranceConfig:
    """Bounds between portraits as they are and the same portraits hindered; ratios of light as natural logarithms."""

    one_sided: float = 0.6  # left over right
    hard_edge: float = 0.70  # the steepest change along a line over the face
    edge_width: float = 8 / 120  # of such a line
    tone_slack: float = 1.25  # how far beyond skin's own colours photos in room light lie
    grey: float = 2.0  # CIE Lab chroma under which a picture has no colour to judge
    frame: float = 0.5  # a line darker than what lies on both sides of it
    finger_gap: float = 0.25
    hand_points: int = 3  # of 21, inside the face


def hindrances(
    image: np.ndarray, landmarks: np.ndarray, config: HindranceConfig = HindranceConfig()
) -> tuple[str, ...]:
    """Warnings about what hides or falsifies the skin.

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
    if face.frame() > config.frame:
        warnings.append(
            "There seem to be glasses before the eyes: they will be painted on the head. Use a photo without them."
        )
    if face.finger_gaps() > config.finger_gap or _hand_in_face(image, landmarks) >= config.hand_points:
        warnings.append(
            "A hand seems to lie over the face: it will be painted on the head. Use a photo that shows the whole face."
        )
    return tuple(warnings)


class _FaceLight:
    """The light of a face along lines between its landmarks."""

    def __init__(self, image: np.ndarray, landmarks: np.ndarray) -> None:
        self.marks = landmarks[:, :2].astype(np.float64)
        across = self.marks[IRIS_CENTRES[1]] - self.marks[IRIS_CENTRES[0]]
        self.unit = max(float(np.linalg.norm(across)), 1.0)
        self.right = across / self.unit  # in the picture
        self.down = np.array([-self.right[1], self.right[0]])
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
            found = _read(light, line)
            width = round(config.edge_width * 120)
            change = found[width:] - found[:-width]
            steps.append(change[np.abs(change).argmax()])
        return abs(float(np.median(steps))) > config.hard_edge

    def frame(self) -> float:
        """How dark a line runs below both eyes and over the nose between them."""
        light = self._logarithm(0.012)
        turn = np.radians(np.linspace(40, 140, 41))
        ways = np.cos(turn)[:, None] * self.right + np.sin(turn)[:, None] * self.down
        reach = np.linspace(0.12, 0.52, 61)[:, None] * self.unit
        found = [
            float(np.percentile(_ridge(_read(light, self.marks[eye] + ways[:, None] * reach), 9).max(axis=1), 30))
            for eye in IRIS_CENTRES
        ]
        middle = (self.marks[IRIS_CENTRES[0]] + self.marks[IRIS_CENTRES[1]]) / 2
        aside = np.linspace(-0.05, 0.05, 11)[:, None, None] * self.unit * self.right
        below = np.linspace(-0.25, 0.35, 91)[:, None] * self.unit * self.down
        bridge = float(np.median(_ridge(_read(light, middle + aside + below), 9).max(axis=1)))
        return min(*found, bridge)

    def finger_gaps(self) -> float:
        """How dark a line runs down the chin."""
        light = self._logarithm(0.015)
        down = np.linspace(0.3, 0.85, 12)[:, None] * (self.marks[CHIN] - self.marks[LOWER_LIP])
        aside = np.linspace(-0.4, 0.4, 81)[:, None] * self.unit * self.right
        lines = _read(light, self.marks[LOWER_LIP] + down[:, None] + aside)
        return float(np.median(_ridge(lines, 6).max(axis=1)))

    def _logarithm(self, blur: float) -> np.ndarray:
        return np.log(np.maximum(cv2.GaussianBlur(self.light, (0, 0), max(blur * self.unit, 0.5)), 2e-3))

    def _disc(self, values: np.ndarray, index: int, radius: float) -> np.ndarray:
        """Median of the values around a landmark."""
        mask = np.zeros(values.shape[:2], np.uint8)
        x, y = self.marks[index]
        cv2.circle(mask, (int(x), int(y)), max(1, round(radius)), (1,), -1)
        inside = values[mask > 0]
        return np.maximum(np.median(inside, axis=0), 1e-4) if len(inside) else np.ones(values.shape[2:]) * 0.5


def _hand_in_face(image: np.ndarray, landmarks: np.ndarray) -> int:
    """How many joints of one hand lie inside the face's outline."""
    outline = landmarks[list(FACE_OVAL), :2].astype(np.float32)
    return max(
        (
            sum(cv2.pointPolygonTest(outline, (float(x), float(y)), False) > 0 for x, y in hand)
            for hand in hand_landmarks(image)
        ),
        default=0,
    )


def _read(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values of an image [H, W] at pixels [..., 2]."""
    at = points.reshape(-1, 1, 2).astype(np.float32) - np.float32(0.5)
    values = cv2.remap(image, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return values.reshape(points.shape[:-1])


def _ridge(lines: np.ndarray, width: int) -> np.ndarray:
    """How much darker [R, K - 2 width] a place on lines [R, K] is than what lies `width` samples to both sides."""
    return np.minimum(lines[:, : -2 * width], lines[:, 2 * width :]) - lines[:, width:-width]
