"""The camera of the fit: a pinhole that passes smoothly into a parallel projection."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from portrait_head.rendering.camera import PinholeCamera

FACE_CENTRE = np.array([0.0, 0.02, 0.06])  # the head is turned about this point, metres, head space
PARAMETERS = 7


@dataclass(frozen=True)
class Pose:
    """A camera around the face.

    A head point X becomes x = R (X - FACE_CENTRE), then the pixel
    ``centre + scale * (x + shift_x, -(y + shift_y)) / (1 - curvature * z)``.

    Attributes:
        rotation: [3, 3] head space to camera space.
        scale: pixels a metre at the face centre.
        shift: [2] metres, x right and y up.
        curvature: 1 / distance of the camera from the face centre, 1/m.
        centre: [2] principal point, pixels.
        focal: the focal length in pixels where the photo's file tells it; it then ties `curvature` to `scale`.
    """

    rotation: np.ndarray
    scale: float
    shift: np.ndarray
    curvature: float
    centre: np.ndarray
    focal: float | None = None

    def turned(self, points: np.ndarray) -> np.ndarray:
        """Head-space points [..., 3] about the face centre, along the camera's axes."""
        return (points - FACE_CENTRE) @ self.rotation.T

    def project_turned(self, turned: np.ndarray) -> np.ndarray:
        """Pixels [..., 2] of what `turned` gave."""
        depth = 1.0 - self.curvature * turned[..., 2:]
        return self.centre + self.scale * (turned[..., :2] + self.shift) / depth * (1.0, -1.0)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels [..., 2] of head-space points [..., 3]."""
        return self.project_turned(self.turned(points))

    def point_jacobian(self, turned: np.ndarray) -> np.ndarray:
        """[..., 2, 3] derivative of the pixel by the turned point."""
        depth = 1.0 - self.curvature * turned[..., 2]
        jacobian = np.zeros((*turned.shape[:-1], 2, 3))
        jacobian[..., 0, 0] = self.scale / depth
        jacobian[..., 1, 1] = -self.scale / depth
        bend = self.scale * self.curvature / depth**2
        jacobian[..., 0, 2] = bend * (turned[..., 0] + self.shift[0])
        jacobian[..., 1, 2] = -bend * (turned[..., 1] + self.shift[1])
        return jacobian

    def jacobian(self, turned: np.ndarray) -> np.ndarray:
        """[..., 2, 7] derivative of the pixel by rotation (3, camera axes), log scale, shift (2) and curvature."""
        by_point = self.point_jacobian(turned)
        depth = 1.0 - self.curvature * turned[..., 2]
        offset = self.project_turned(turned) - self.centre
        result = np.empty((*turned.shape[:-1], 2, PARAMETERS))
        result[..., :3] = by_point @ rotation_jacobian(turned)
        result[..., 3] = offset
        result[..., 4:6] = by_point[..., :2]
        result[..., 6] = offset * (turned[..., 2] / depth)[..., None]
        return result

    def moved(self, step: np.ndarray, curvature_range: tuple[float, float]) -> Pose:
        """The pose after a step [7] in the order of `jacobian`."""
        return replace(
            self,
            rotation=rotation_of(step[:3]) @ self.rotation,
            scale=float(self.scale * np.exp(np.clip(step[3], -0.5, 0.5))),
            shift=self.shift + step[4:6],
            curvature=float(np.clip(self.curvature + step[6], *curvature_range)),
        )

    def camera(self, width: int, height: int) -> PinholeCamera:
        """The same projection as a pinhole camera."""
        distance = 1.0 / self.curvature
        translation = np.array([*self.shift, -distance]) - self.rotation @ FACE_CENTRE
        return PinholeCamera(self.rotation, translation, self.scale * distance, self.centre, width, height)

    def angles(self) -> tuple[float, float, float]:
        """Yaw (to the subject's left), pitch (up) and roll of the head as seen, degrees."""
        forward, up = self.rotation[:, 2], self.rotation[:, 1]
        yaw = np.degrees(np.arctan2(forward[0], forward[2]))
        pitch = np.degrees(np.arcsin(np.clip(forward[1], -1, 1)))
        return float(yaw), float(pitch), float(np.degrees(np.arctan2(-up[0], up[1])))


def rotation_jacobian(points: np.ndarray) -> np.ndarray:
    """[..., 3, 3] derivative of a small rotation's effect on points [..., 3] by its vector: -[p]x."""
    result = np.zeros((*points.shape, 3))
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    result[..., 0, 1], result[..., 0, 2] = z, -y
    result[..., 1, 0], result[..., 1, 2] = -z, x
    result[..., 2, 0], result[..., 2, 1] = y, -x
    return result


def rotation_of(vector: np.ndarray) -> np.ndarray:
    """[3, 3] rotation by the vector's length about its direction (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def first_pose(
    head: np.ndarray, landmarks: np.ndarray, centre: np.ndarray, curvature: float, focal: float | None = None
) -> Pose:
    """The pose that best lays head points [L, 3] over landmarks [L, 3] with their own depth (Umeyama, 1991).

    Args:
        head: metres, head space.
        landmarks: pixels, x right, y down, z away from the viewer.
        centre: [2] principal point, pixels.
        curvature: 1 / camera distance to start from, where `focal` does not say.
        focal: pixels, if known.
    """
    seen = landmarks * (1.0, -1.0, -1.0)
    middle, seen_middle = head.mean(axis=0), seen.mean(axis=0)
    u, singular, vt = np.linalg.svd((seen - seen_middle).T @ (head - middle))
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * flip) @ vt
    scale = float((singular * flip).sum() / ((head - middle) ** 2).sum())
    turned = (middle - FACE_CENTRE) @ rotation.T
    shift = (seen_middle[:2] - centre * (1.0, -1.0)) / scale - turned[:2]
    begin = curvature if focal is None else scale / focal
    return Pose(rotation, scale, shift, begin, np.asarray(centre, dtype=np.float64), focal)
