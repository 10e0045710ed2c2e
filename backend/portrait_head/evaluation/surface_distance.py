"""How far one surface is from another, in whatever unit they come, once scale, turn and place are taken out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait_head.geometry.nearest import SurfaceIndex
from portrait_head.geometry.similarity import Similarity


@dataclass(frozen=True)
class AlignmentConfig:
    """How a surface is laid onto measured points.

    Attributes:
        kept: share of the points, nearest first, that draw the surface; the rest (hairline, lids) only get measured.
        points: at most about this many of the points, evenly taken, draw the surface; all are measured in the end.
        rounds: most rounds of closest points and realignment.
        tolerance: the rounds end when no point moves further than this share of the points' extent.
        sliding: 0 holds every pair of closest points together, 1 lets the surface slide along itself freely
            (point-to-plane, quick); a little hold keeps nearly spherical surfaces from drifting.
    """

    kept: float = 0.9
    points: int = 1500
    rounds: int = 40
    tolerance: float = 2e-5
    sliding: float = 0.999


class Surface(SurfaceIndex):
    """A triangle mesh that can be laid onto points."""

    def closest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For `points` [N, 3] the nearest surface point [N, 3], its distance [N] and the unit direction [N, 3] between.

        The direction is the surface's normal, also at edges and corners, where it does not depend on the triangulation.
        """
        points = np.asarray(points, dtype=np.float64)
        foot = self.nearest(points)
        # On the surface itself the way to it says nothing: there the triangle's normal stands in.
        apart = foot.distance > 1e-9 * self.largest_reach
        ways = (points - foot.points) / np.where(apart, foot.distance, 1.0)[:, None]
        return foot.points, foot.distance, np.where(apart[:, None], ways, self.normals[foot.triangle])


def align_surface(
    points: np.ndarray, surface: Surface, start: Similarity, config: AlignmentConfig = AlignmentConfig()
) -> tuple[Similarity, np.ndarray]:
    """Lay a surface onto points by trimmed iterative closest points with scale.

    Args:
        points: [N, 3], the measured truth.
        surface: what is to be judged, in a frame and scale of its own.
        start: a rough similarity from the surface's frame to that of the points.
        config: trimming and stopping.

    Returns:
        The similarity from the surface's frame to that of the points, and the distance [N] of every point from the
        surface laid there, in the points' unit.
    """
    similarity = start
    extent = float(np.linalg.norm(np.ptp(points, axis=0)))
    drawing = points[:: -(-len(points) // config.points)]
    kept = max(round(config.kept * len(drawing)), 4)
    around = start.inverse()(points)
    margin = 0.2 * np.ptp(around, axis=0).max()
    surface = surface.cropped(around.min(axis=0) - margin, around.max(axis=0) + margin)
    for _ in range(config.rounds):
        # The points are brought to the surface, not it to them: its search tree is built once.
        nearest, distance, directions = surface.closest(similarity.inverse()(drawing))
        best = np.argpartition(distance, kept - 1)[:kept]
        laid = similarity(nearest[best])
        step = _aligning_step(laid, drawing[best], directions[best] @ similarity.rotation.T, config.sliding)
        similarity = step.after(similarity)
        if np.abs(step(laid) - laid).max() < config.tolerance * extent:
            break
    _, distance, _ = surface.closest(similarity.inverse()(points))
    return similarity, distance * similarity.scale


def _aligning_step(laid: np.ndarray, points: np.ndarray, directions: np.ndarray, sliding: float) -> Similarity:
    """One Gauss-Newton step of rotation, translation and scale that brings surface points `laid` [N, 3] to `points`.

    Minimises |d.r|^2 + (1 - sliding) |r|^2 over the gaps r along directions d, with the rotation linearised about the
    middle of `laid` (Chen and Medioni 1992), then takes the linear step as an exact similarity. Gaps are counted in
    the unit of the points: in the surface's unit, points shrunk to a dot would lie on any surface.
    """
    middle = laid.mean(axis=0)
    arm = laid - middle
    size = np.sqrt((arm**2).sum(axis=1).mean())
    arm = arm / size
    # Columns: rotation (3), translation (3), log scale (1); rows: three coordinates a point.
    jacobian = np.zeros((len(laid), 3, 7))
    x, y, z = arm.T
    jacobian[:, 0, 1], jacobian[:, 0, 2] = z, -y
    jacobian[:, 1, 0], jacobian[:, 1, 2] = -z, x
    jacobian[:, 2, 0], jacobian[:, 2, 1] = y, -x
    jacobian[:, :, 3:6] = np.eye(3)
    jacobian[:, :, 6] = arm
    gap = (points - laid) / size
    across = np.einsum("nk,nkj->nj", directions, jacobian)
    hold = 1.0 - sliding
    matrix = across.T @ across + hold * np.einsum("nkj,nkl->jl", jacobian, jacobian)
    vector = across.T @ np.einsum("nk,nk->n", directions, gap) + hold * np.einsum("nkj,nk->j", jacobian, gap)
    step = np.linalg.solve(matrix, vector)
    rotation = _rotation(step[:3])
    scale = float(np.exp(step[6]))
    return Similarity(scale, rotation, middle + step[3:6] * size - scale * rotation @ middle)


def _rotation(vector: np.ndarray) -> np.ndarray:
    """Rotation matrix [3, 3] of a rotation vector [3] (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
