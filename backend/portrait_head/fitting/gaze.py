"""Where the eyes look, and turning them."""

from __future__ import annotations

import numpy as np

from portrait_head.fitting.landmark_fit import IRIS_CENTRES
from portrait_head.fitting.pose import rotation_of
from portrait_head.head_model.model import HeadModel
from portrait_head.rendering.camera import PinholeCamera

EYES = ("eye_left", "eye_right")
COMMON = 0.75  # how much the two eyes are taken to look the same way; single irises are found to about 5 degrees
LIMIT = np.radians((40.0, 30.0))  # yaw and pitch that eyes reach
IRIS_SHARE = 0.92  # the iris plane's distance from the eyeball's centre over the radius


def find_gaze(model: HeadModel, posed: np.ndarray, landmarks: np.ndarray, camera: PinholeCamera) -> np.ndarray:
    """Yaw to the subject's left and pitch up of both eyes, radians: [2, 2] float32 (left, right) x (yaw, pitch).

    Args:
        posed: [V, 3] metres, the head with its expression and the eyes straight.
        landmarks: [478, >= 2] pixels.
    """
    angles = np.zeros((2, 2))
    for row, (name, landmark) in enumerate(zip(EYES, reversed(IRIS_CENTRES), strict=True)):
        centre, radius = eyeball(model, posed, name)
        direction = camera.rays(landmarks[landmark, :2].astype(np.float64))
        towards = centre - camera.position
        along = float(towards @ direction)
        miss = towards - along * direction
        reach = (radius * IRIS_SHARE) ** 2 - float(miss @ miss)
        look = camera.position + (along - np.sqrt(max(reach, 0.0))) * direction - centre
        angles[row] = np.arctan2(look[0], look[2]), np.arctan2(look[1], np.hypot(look[0], look[2]))
    angles = COMMON * angles.mean(axis=0) + (1 - COMMON) * angles
    return np.clip(angles, -LIMIT, LIMIT).astype(np.float32)


def turn_eyes(model: HeadModel, vertices: np.ndarray, gaze: np.ndarray) -> np.ndarray:
    """`vertices` [V, 3] with both eyeballs turned by `gaze` [2, 2]."""
    turned = vertices.copy()
    for name, (yaw, pitch) in zip(EYES, gaze.astype(np.float64), strict=True):
        centre, _ = eyeball(model, vertices, name)
        rotation = rotation_of(np.array([0.0, yaw, 0.0])) @ rotation_of(np.array([-pitch, 0.0, 0.0]))
        span = slice(*model.part(name).vertices)
        turned[span] = (vertices[span] - centre) @ rotation.T + centre
    return turned


def eyeball(model: HeadModel, vertices: np.ndarray, name: str) -> tuple[np.ndarray, float]:
    """Centre [3] and radius of an eyeball, metres."""
    ball = vertices[slice(*model.part(name).vertices)].astype(np.float64)
    centre = (ball.min(axis=0) + ball.max(axis=0)) / 2
    return centre, float(np.median(np.linalg.norm(ball - centre, axis=1)))
