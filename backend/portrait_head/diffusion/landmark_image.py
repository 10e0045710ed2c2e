"""The picture L(c) of equation 3: the 3D landmarks as the current camera sees them, drawn for the landmark ControlNet.

The ControlNet knows the drawings of MediaPipe's face mesh on black: lines 2 pixels wide at 512, pupils as small squares
(`face_lines`). Features that the head hides are left out, and from behind only the outline of the face is drawn.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.diffusion.face_lines import FACE_OVAL, FEATURES, LANDMARKS, PUPILS
from portrait_head.diffusion.views import view_angles
from portrait_head.rendering.camera import PinholeCamera

_SHIFT = 4  # bits of subpixel position in OpenCV's drawing
_FAR = 1 << 20  # pixels; OpenCV's coordinates are 32 bits wide


@dataclass(frozen=True)
class LandmarkImageConfig:
    """How landmarks are drawn."""

    thickness: float = 2.0 / 512.0  # of the picture's side; ControlNetMediaPipeFace
    pupil: float = 4.0 / 512.0  # side of a pupil's square; the same
    back_azimuth: float = 90.0  # degrees; beyond it only the oval is drawn; ID-Sculpt
    hidden_behind: float = 0.015  # metres that a landmark may lie behind the surface and still be seen


def landmark_image(
    landmarks: np.ndarray,
    camera: PinholeCamera,
    side: int,
    depth: np.ndarray | None = None,
    config: LandmarkImageConfig | None = None,
) -> np.ndarray:
    """Draw the landmarks [478, 3] (metres, head space) for a camera: [side, side, 3] uint8, RGB.

    Args:
        landmarks: MediaPipe's face mesh with irises, in three dimensions.
        camera: of a square picture, which is scaled to `side`.
        side: pixels.
        depth: [H, W] metres in front of the camera, 0 where nothing is: what hides landmarks. Without it all are seen.
        config: line widths and limits.
    """
    config = config or LandmarkImageConfig()
    if landmarks.shape != (LANDMARKS, 3):
        raise ValueError(f"landmarks must be [{LANDMARKS}, 3], not {list(landmarks.shape)}")
    points = camera.project(landmarks) * (side / camera.width)
    in_front = camera.to_camera(landmarks)[:, 2] < 0.0
    behind = abs(view_angles(camera.rotation).azimuth) > config.back_azimuth
    seen = in_front & visible_landmarks(landmarks, camera, depth, config.hidden_behind)

    picture = np.zeros((side, side, 3), np.uint8)
    thickness = max(round(config.thickness * side), 1)
    _draw_path(picture, points, in_front, FACE_OVAL.path, FACE_OVAL.colour, thickness)
    if behind:
        return picture
    for line in FEATURES:
        _draw_path(picture, points, seen, line.path, line.colour, thickness)
    half = max(config.pupil * side / 2.0, 0.5)
    for index, colour in PUPILS:
        if seen[index]:
            left, top = np.clip(np.round(points[index] - half), 0, side).astype(int)
            right, bottom = np.clip(np.round(points[index] + half), 0, side).astype(int)
            picture[top:bottom, left:right] = colour
    return picture


def visible_landmarks(
    landmarks: np.ndarray, camera: PinholeCamera, depth: np.ndarray | None, tolerance: float
) -> np.ndarray:
    """Which landmarks [L, 3] no nearer surface hides: [L] bool.

    Args:
        landmarks: metres, head space.
        camera: of the depth map.
        depth: [H, W] metres in front of the camera, 0 where nothing is; None hides nothing.
        tolerance: metres that a landmark may lie behind the surface.
    """
    if depth is None:
        return np.ones(len(landmarks), bool)
    column, row = np.floor(camera.project(landmarks)).T
    inside = (column >= 0) & (column < depth.shape[1]) & (row >= 0) & (row < depth.shape[0])
    nearest = np.zeros(len(landmarks))
    nearest[inside] = depth[row[inside].astype(int), column[inside].astype(int)]
    own = -camera.to_camera(landmarks)[:, 2]
    return (nearest <= 0.0) | (own <= nearest + tolerance)


def _draw_path(
    picture: np.ndarray,
    points: np.ndarray,
    seen: np.ndarray,
    path: tuple[int, ...],
    colour: tuple[int, int, int],
    thickness: int,
) -> None:
    """Draw the parts of a path whose both ends are seen; points are pixels with centres at .5."""
    corners = np.round(np.clip(points - 0.5, -_FAR, _FAR) * 2**_SHIFT).astype(int)
    for start, end in itertools.pairwise(path):
        if seen[start] and seen[end]:
            begin, finish = corners[start].tolist(), corners[end].tolist()
            cv2.line(picture, begin, finish, colour, thickness, cv2.LINE_8, _SHIFT)
