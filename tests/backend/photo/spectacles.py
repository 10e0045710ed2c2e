"""Glasses drawn before a face, in three dimensions, as its landmarks say it is turned."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from portrait_head.photo.spectacles import TEMPLES

FINE = 4  # drawn so many times larger and scaled down, as a lens would smooth them


@dataclass(frozen=True)
class Spectacles:
    """Lengths in shares of the distance between the pupils.

    Attributes:
        colour: sRGB of the frame.
        width: of its rims.
        round: of the lenses: 1 for ellipses, towards 0 for rectangles.
        half: half the width and half the height of a lens.
        mottled: how much of its lightness tortoiseshell varies by.
    """

    colour: tuple[int, int, int] = (35, 30, 28)
    width: float = 0.03
    round: float = 1.0
    half: tuple[float, float] = (0.40, 0.28)
    mottled: float = 0.0


def wearing(image: np.ndarray, landmarks: np.ndarray, frame: Spectacles) -> tuple[np.ndarray, np.ndarray]:
    """The picture [H, W, 3] uint8 of a face with these landmarks [478, 3], with glasses, and their mask [H, W] bool."""
    across = landmarks[263] - landmarks[33]
    across /= np.linalg.norm(across)
    up = landmarks[10] - landmarks[152]
    up -= across * (up @ across)
    up /= np.linalg.norm(up)
    ahead = np.cross(up, across)
    if ahead[2] > 0:  # towards the viewer z is negative
        ahead = -ahead
    right, left = landmarks[468], landmarks[473]
    unit = float(np.linalg.norm(left - right))
    canvas = np.zeros((image.shape[0] * FINE, image.shape[1] * FINE), np.uint8)
    turn = np.linspace(0, 2 * np.pi, 181)
    # A superellipse: from rectangles with round corners to ellipses.
    power = frame.round + (1 - frame.round) * 0.35
    rim = np.stack([np.sign(f) * np.abs(f) ** power for f in (np.cos(turn), np.sin(turn))], axis=1) * frame.half

    def draw(points: np.ndarray, width: float) -> None:
        pixels = np.rint(points[:, :2] * FINE * 16).astype(np.int32)
        thick = max(1, round(width * unit * FINE))
        cv2.polylines(canvas, [pixels], False, (255,), thick, cv2.LINE_AA, 4)

    def place(at: np.ndarray, sideways: float, upwards: float, forwards: float) -> np.ndarray:
        return at + unit * (sideways * across + upwards * up + forwards * ahead)

    for eye, outwards in ((right, -1.0), (left, 1.0)):
        draw(np.array([place(eye, x + 0.02 * outwards, y - 0.05, 0.2) for x, y in rim]), frame.width)
        edge = frame.half[0] + 0.02
        if outwards * across[2] < 0.2:  # the far side's temple is behind the face
            hinge = place(eye, outwards * edge, 0.08, 0.2)
            ear = landmarks[TEMPLES[0] if outwards < 0 else TEMPLES[1]] - 0.25 * unit * ahead
            draw(np.array([hinge, ear]), 1.2 * frame.width)
    middle = (right + left) / 2
    bow = np.linspace(-1, 1, 21)
    gap = 0.5 - frame.half[0]
    draw(np.array([place(middle, x * gap, 0.06 - 0.04 * x * x, 0.22) for x in bow]), frame.width)
    share = cv2.resize(canvas, image.shape[1::-1], interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
    colour = np.broadcast_to(np.array(frame.colour, np.float32), image.shape)
    if frame.mottled:
        noise = np.random.default_rng(0).standard_normal(image.shape[:2]).astype(np.float32)
        noise = cv2.GaussianBlur(noise, (0, 0), 0.06 * unit)
        colour = colour * np.exp(frame.mottled * noise / noise.std())[..., None]
    picture = image + share * (colour - image)
    return np.rint(np.clip(picture, 0, 255)).astype(np.uint8), share[..., 0] > 0.5
