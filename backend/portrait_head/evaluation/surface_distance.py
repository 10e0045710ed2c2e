"""How far one surface is from another, in whatever unit they come, once scale, turn and place are taken out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree


@dataclass(frozen=True)
class Similarity:
    """x -> scale * rotation @ x + translation.

    Attributes:
        scale: positive.
        rotation: [3, 3].
        translation: [3].
    """

    scale: float
    rotation: np.ndarray
    translation: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 3] moved."""
        return self.scale * points @ self.rotation.T + self.translation


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


def fit_similarity(source: np.ndarray, target: np.ndarray) -> Similarity:
    """The similarity that brings `source` [N, 3] nearest to `target` [N, 3] in the least-squares sense.

    Source: Umeyama, "Least-squares estimation of transformation parameters between two point patterns" (1991).
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    centred_source, centred_target = source - source_mean, target - target_mean
    left, singular, right = np.linalg.svd(centred_target.T @ centred_source)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = (left * sign) @ right
    scale = float((singular * sign).sum() / (centred_source**2).sum())
    return Similarity(scale, rotation, target_mean - scale * rotation @ source_mean)


def closest_on_triangles(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """The nearest point of a triangle to each point: points [N, 3] and corners [N, 3, 3] to [N, 3].

    Source: Ericson, "Real-Time Collision Detection" (2005), section 5.1.5: the Voronoi region of the point decides.
    """
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, ac = b - a, c - a
    d1, d2 = _dot(ab, points - a), _dot(ac, points - a)
    d3, d4 = _dot(ab, points - b), _dot(ac, points - b)
    d5, d6 = _dot(ab, points - c), _dot(ac, points - c)
    vc, vb, va = d1 * d4 - d3 * d2, d5 * d2 - d1 * d6, d3 * d6 - d5 * d4
    inside = np.maximum(va + vb + vc, 1e-300)
    v, w = vb / inside, vc / inside
    along_ac = d2 / np.where(d2 != d6, d2 - d6, 1.0)
    along_ab = d1 / np.where(d1 != d3, d1 - d3, 1.0)
    towards_c, towards_b = d4 - d3, d5 - d6
    along_bc = towards_c / np.where(towards_c + towards_b != 0, towards_c + towards_b, 1.0)
    # Later rows win: corners before edges, edges before the inside.
    for mask, v_new, w_new in (
        ((va <= 0) & (towards_c >= 0) & (towards_b >= 0), 1 - along_bc, along_bc),
        ((vb <= 0) & (d2 >= 0) & (d6 <= 0), 0.0, along_ac),
        ((vc <= 0) & (d1 >= 0) & (d3 <= 0), along_ab, 0.0),
        ((d6 >= 0) & (d5 <= d6), 0.0, 1.0),
        ((d3 >= 0) & (d4 <= d3), 1.0, 0.0),
        ((d1 <= 0) & (d2 <= 0), 0.0, 0.0),
    ):
        v, w = np.where(mask, v_new, v), np.where(mask, w_new, w)
    return a + v[:, None] * ab + w[:, None] * ac


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("nk,nk->n", a, b)


class Surface:
    """A triangle mesh that answers which of its points is nearest, exactly.

    Args:
        vertices: [V, 3].
        triangles: [T, 3] integers.
    """

    _FIRST_CANDIDATES = 8

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray) -> None:
        self._whole = np.asarray(vertices, dtype=np.float64)[triangles]
        self._corners = _cut_large(self._whole)
        self._middles = self._corners.mean(axis=1)
        self._reach = np.linalg.norm(self._corners - self._middles[:, None], axis=2).max(axis=1)
        normals = np.cross(self._corners[:, 1] - self._corners[:, 0], self._corners[:, 2] - self._corners[:, 0])
        self._normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
        self._tree = KDTree(self._middles)

    def closest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For `points` [N, 3] the nearest surface point [N, 3], its distance [N] and the unit direction [N, 3] between.

        The direction is the surface's normal, also at edges and corners, where it does not depend on the triangulation.
        """
        points = np.asarray(points, dtype=np.float64)
        nearest, triangle = np.zeros((len(points), 3)), np.zeros(len(points), int)
        distance = np.full(len(points), np.inf)

        def consider(rows: np.ndarray, candidates: np.ndarray) -> None:
            """Keep the best of `candidates` [C] for the points `rows` [C]; a point's rows are neighbours."""
            found = closest_on_triangles(points[rows], self._corners[candidates])
            away = np.linalg.norm(found - points[rows], axis=1)
            order = np.lexsort((away, rows))
            best = order[np.flatnonzero(np.diff(rows[order], prepend=-1))]
            best = best[away[best] < distance[rows[best]]]
            nearest[rows[best]], distance[rows[best]], triangle[rows[best]] = found[best], away[best], candidates[best]

        count = min(self._FIRST_CANDIDATES, len(self._middles))
        middle_distance, candidates = map(np.asarray, self._tree.query(points, k=count))
        consider(np.repeat(np.arange(len(points)), count), candidates.reshape(-1))
        # A triangle whose middle is further than the best distance and the largest reach together cannot be nearer.
        largest = self._reach.max()
        unsure = np.flatnonzero(middle_distance.reshape(-1, count)[:, -1] - largest < distance)
        lists = self._tree.query_ball_point(points[unsure], distance[unsure] + largest)
        rows = np.repeat(unsure, [len(found) for found in lists])
        candidates = np.array([index for found in lists for index in found], dtype=int)
        middles = np.linalg.norm(self._middles[candidates] - points[rows], axis=1)
        worth = middles - self._reach[candidates] < distance[rows]
        consider(rows[worth], candidates[worth])
        # On the surface itself the way to it says nothing: there the triangle's normal stands in.
        apart = distance > 1e-9 * largest
        ways = (points - nearest) / np.where(apart, distance, 1.0)[:, None]
        return nearest, distance, np.where(apart[:, None], ways, self._normals[triangle])

    def cropped(self, low: np.ndarray, high: np.ndarray) -> Surface:
        """Only the triangles that reach into the box from `low` [3] to `high` [3]."""
        within = (self._whole.min(axis=1) <= high).all(axis=1) & (self._whole.max(axis=1) >= low).all(axis=1)
        return Surface(self._whole[within].reshape(-1, 3), np.arange(3 * int(within.sum())).reshape(-1, 3))


def _cut_large(corners: np.ndarray) -> np.ndarray:
    """The same triangles [T, 3, 3] with those much larger than most cut in halves: [T or more, 3, 3].

    A search by the triangles' middles has to look as far as the largest triangle reaches, everywhere.
    """
    edges = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2)
    limit = 1.5 * np.median(edges.max(axis=1))
    done = []
    while len(corners):
        edges = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2)
        large = edges.max(axis=1) > limit
        done.append(corners[~large])
        corners, longest = corners[large], edges[large].argmax(axis=1)
        rows = np.arange(len(corners))
        a, b, c = (corners[rows, (longest + k) % 3] for k in range(3))
        middle = (a + b) / 2
        corners = np.concatenate([np.stack([a, middle, c], axis=1), np.stack([middle, b, c], axis=1)])
    return np.concatenate(done)


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
    around = _inverted(start)(points)
    margin = 0.2 * np.ptp(around, axis=0).max()
    surface = surface.cropped(around.min(axis=0) - margin, around.max(axis=0) + margin)
    for _ in range(config.rounds):
        # The points are brought to the surface, not it to them: its search tree is built once.
        nearest, distance, directions = surface.closest(_inverted(similarity)(drawing))
        best = np.argpartition(distance, kept - 1)[:kept]
        laid = similarity(nearest[best])
        step = _aligning_step(laid, drawing[best], directions[best] @ similarity.rotation.T, config.sliding)
        similarity = _composed(step, similarity)
        if np.abs(step(laid) - laid).max() < config.tolerance * extent:
            break
    _, distance, _ = surface.closest(_inverted(similarity)(points))
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


def _inverted(similarity: Similarity) -> Similarity:
    rotation = similarity.rotation.T
    return Similarity(1 / similarity.scale, rotation, -rotation @ similarity.translation / similarity.scale)


def _composed(second: Similarity, first: Similarity) -> Similarity:
    return Similarity(second.scale * first.scale, second.rotation @ first.rotation, second(first.translation))
