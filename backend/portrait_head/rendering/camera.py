"""Pinhole camera between head space and the pixels of an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PinholeCamera:
    """A camera without lens distortion.

    Head space is metres, +Y up, +Z out of the face. Camera space is metres with x right, y up and z towards the
    viewer, so that what the camera sees has z < 0. Pixels count x right and y down from the image's top left corner;
    the centre of the first pixel is (0.5, 0.5).

    Attributes:
        rotation: [3, 3] float64, head space to camera space.
        translation: [3] float64, metres, camera space.
        focal: focal length in pixels.
        centre: [2] float64, principal point in pixels.
        width: image width in pixels.
        height: image height in pixels.
    """

    rotation: np.ndarray
    translation: np.ndarray
    focal: float
    centre: np.ndarray
    width: int
    height: int

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """Head-space points [..., 3] to camera space [..., 3], metres."""
        return points @ self.rotation.T + self.translation

    def project(self, points: np.ndarray) -> np.ndarray:
        """Head-space points [..., 3] to pixels [..., 2]."""
        return self.project_camera(self.to_camera(points))

    def project_camera(self, points: np.ndarray) -> np.ndarray:
        """Camera-space points [..., 3] to pixels [..., 2]."""
        scale = self.focal / -points[..., 2:3]
        return self.centre + points[..., :2] * scale * np.array([1.0, -1.0])

    @property
    def position(self) -> np.ndarray:
        """Where the camera stands: [3] float64, metres, head space."""
        return -self.rotation.T @ self.translation

    def head_angles(self) -> tuple[float, float, float]:
        """How the head is turned before the camera: (yaw, pitch, roll), degrees.

        Yaw is positive with the face to the subject's left, pitch looking up, roll tilted to the subject's left
        shoulder; `rotation` is roll after pitch after yaw.
        """
        up = self.rotation[:, 1]
        yaw = np.arctan2(-self.rotation[2, 0], self.rotation[2, 2])
        pitch = np.arcsin(np.clip(-up[2], -1.0, 1.0))
        roll = np.arctan2(up[0], up[1])
        return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Unit directions [..., 3] in head space of the rays through pixels [..., 2]."""
        local = np.empty((*pixels.shape[:-1], 3))
        local[..., :2] = (pixels - self.centre) / self.focal * np.array([1.0, -1.0])
        local[..., 2] = -1.0
        local /= np.linalg.norm(local, axis=-1, keepdims=True)
        return local @ self.rotation

    def scaled(self, factor: float) -> PinholeCamera:
        """The same camera for the image resized by `factor`."""
        return PinholeCamera(
            self.rotation,
            self.translation,
            self.focal * factor,
            self.centre * factor,
            round(self.width * factor),
            round(self.height * factor),
        )
