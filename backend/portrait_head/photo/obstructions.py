"""What stands between the camera and the face's skin: the frame of glasses, a hand.

Whether they are there is asked first, along lines over the face that its landmarks lay down, in shares of the distance
between the pupils and in ratios of light; a face without them keeps every pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.photo.faces import CHIN, IRIS_CENTRES
from portrait_head.photo.head_shape import FACE_OVAL
from portrait_head.photo.lines import read
from portrait_head.photo.mediapipe_models import hand_landmarks
from portrait_head.photo.spectacles import frame_mask
from portrait_head.rendering.lighting import LUMINANCE, srgb_to_linear

LOWER_LIP = 17
# Joints of MediaPipe's hand: each finger from the wrist to its tip, and the outline of the palm.
FINGERS = ((0, 1, 2, 3, 4), (0, 5, 6, 7, 8), (0, 9, 10, 11, 12), (0, 13, 14, 15, 16), (0, 17, 18, 19, 20))
PALM = (0, 1, 5, 9, 13, 17)
WRIST, MIDDLE, FIRST, LAST = 0, 9, 5, 17


@dataclass(frozen=True)
class ObstructionConfig:
    """Bounds between portraits as they are and with something before the face; light as natural logarithms."""

    frame: float = 0.5  # a line darker than what lies on both sides of it
    faint_frame: float = 0.25  # so dark it is told of, but too faint to be followed
    finger_gap: float = 0.25
    hand_points: int = 3  # of 21, inside the face
    slender: float = 0.68  # a palm's width at the knuckles over its length
    finger: float = 0.28  # half a finger's width and as much again, over the palm's: the joints wander
    arm: float = 1.0  # length of wrist that belongs to the hand, over the palm's


@dataclass(frozen=True)
class Obstructions:
    """Attributes:
    mask: [S, S] bool, what stands before the skin.
    warnings: sentences for the user.
    """

    mask: np.ndarray
    warnings: tuple[str, ...]


def obstructions(
    image: np.ndarray, landmarks: np.ndarray, config: ObstructionConfig = ObstructionConfig()
) -> Obstructions:
    """Glasses and hands before a face.

    Args:
        image: [S, S, 3] uint8 sRGB, the head's window.
        landmarks: [478, 3] pixels of it.
        config: bounds.
    """
    mask, warnings = np.zeros(image.shape[:2], bool), []
    face = _FaceLines(image, landmarks)
    frame = face.frame()
    if frame > config.frame:
        mask |= frame_mask(image, landmarks)
        warnings.append(
            "There are glasses before the eyes: their frame was left out, and the skin behind it is a guess. "
            "A photo without them gives a better head."
        )
    elif frame > config.faint_frame:
        warnings.append(
            "There seem to be glasses with a thin or light frame before the eyes, too faint to be left out: it will be "
            "painted on the head. Use a photo without them."
        )
    hands = [hand for hand in hand_landmarks(image) if _joints_in_face(hand, landmarks) >= config.hand_points]
    for hand in hands:
        mask |= hand_mask(hand, image.shape, config)
    if hands:
        warnings.append(
            "A hand lies over the face: it was left out, and what it hides was taken from the other side or is a "
            "guess. A photo that shows the whole face gives a better head."
        )
    elif face.finger_gaps() > config.finger_gap:
        warnings.append(
            "A hand seems to lie over the chin, but its outline was not found: it will be painted on the head. "
            "Use a photo that shows the whole face."
        )
    return Obstructions(mask, tuple(warnings))


def hand_mask(hand: np.ndarray, shape: tuple[int, ...], config: ObstructionConfig = ObstructionConfig()) -> np.ndarray:
    """Where [H, W] bool a hand with the joints [21, 2] is, with its wrist, finger gaps and a margin."""
    length = float(np.linalg.norm(hand[MIDDLE] - hand[WRIST]))
    palm = max(float(np.linalg.norm(hand[FIRST] - hand[LAST])), config.slender * length)
    wide = max(round(2 * config.finger * palm), 1)
    mask = np.zeros(shape[:2], np.uint8)
    for finger in FINGERS:
        cv2.polylines(mask, [np.rint(hand[list(finger)]).astype(np.int32)], False, (1,), wide)
    cv2.fillPoly(mask, [np.rint(hand[list(PALM)]).astype(np.int32)], (1,))
    elbow = hand[WRIST] + config.arm * (hand[WRIST] - hand[MIDDLE])
    arm = np.rint(np.stack([hand[WRIST], elbow])).astype(np.int32)
    cv2.line(mask, arm[0].tolist(), arm[1].tolist(), (1,), max(round(palm), 1))
    gaps = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (wide | 1, wide | 1))
    return cv2.morphologyEx(mask, cv2.MORPH_CLOSE, gaps) > 0


class _FaceLines:
    """The light of a face along lines between its landmarks."""

    def __init__(self, image: np.ndarray, landmarks: np.ndarray) -> None:
        self.marks = landmarks[:, :2].astype(np.float64)
        across = self.marks[IRIS_CENTRES[1]] - self.marks[IRIS_CENTRES[0]]
        self.unit = max(float(np.linalg.norm(across)), 1.0)
        self.right = across / self.unit  # in the picture
        self.down = np.array([-self.right[1], self.right[0]])
        self.light = (srgb_to_linear(image.astype(np.float32) / 255) @ LUMINANCE).astype(np.float32)

    def frame(self) -> float:
        """How dark a line runs below both eyes and over the nose between them."""
        light = self._logarithm(0.012)
        turn = np.radians(np.linspace(40, 140, 41))
        ways = np.cos(turn)[:, None] * self.right + np.sin(turn)[:, None] * self.down
        reach = np.linspace(0.12, 0.52, 61)[:, None] * self.unit
        found = [
            float(np.percentile(_ridge(read(light, self.marks[eye] + ways[:, None] * reach), 9).max(axis=1), 30))
            for eye in IRIS_CENTRES
        ]
        middle = (self.marks[IRIS_CENTRES[0]] + self.marks[IRIS_CENTRES[1]]) / 2
        aside = np.linspace(-0.05, 0.05, 11)[:, None, None] * self.unit * self.right
        below = np.linspace(-0.25, 0.35, 91)[:, None] * self.unit * self.down
        bridge = float(np.median(_ridge(read(light, middle + aside + below), 9).max(axis=1)))
        return min(*found, bridge)

    def finger_gaps(self) -> float:
        """How dark a line runs down the chin."""
        light = self._logarithm(0.015)
        down = np.linspace(0.3, 0.85, 12)[:, None] * (self.marks[CHIN] - self.marks[LOWER_LIP])
        aside = np.linspace(-0.4, 0.4, 81)[:, None] * self.unit * self.right
        lines = read(light, self.marks[LOWER_LIP] + down[:, None] + aside)
        return float(np.median(_ridge(lines, 6).max(axis=1)))

    def _logarithm(self, blur: float) -> np.ndarray:
        return np.log(np.maximum(cv2.GaussianBlur(self.light, (0, 0), max(blur * self.unit, 0.5)), 2e-3))


def _joints_in_face(hand: np.ndarray, landmarks: np.ndarray) -> int:
    """How many joints [21, 2] of a hand lie inside the face's outline."""
    outline = landmarks[list(FACE_OVAL), :2].astype(np.float32)
    return sum(cv2.pointPolygonTest(outline, (float(x), float(y)), False) > 0 for x, y in hand)


def _ridge(lines: np.ndarray, width: int) -> np.ndarray:
    """How much darker [R, K - 2 width] a place on lines [R, K] is than what lies `width` samples to both sides."""
    return np.minimum(lines[:, : -2 * width], lines[:, 2 * width :]) - lines[:, width:-width]
