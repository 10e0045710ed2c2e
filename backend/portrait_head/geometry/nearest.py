"""The nearest point of a triangle mesh, exactly, or among the triangles that face the same way."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from scipy.spatial import KDTree

_FIRST_CANDIDATES = 8
_FACING_CANDIDATES = 10


@dataclass(frozen=True)
class Foot:
    """Where points [N] meet a mesh.

    Attributes:
        points: [N, 3], on the mesh.
        distance: [N].
        triangle: [N] the triangle there.
        weights: [N, 3] barycentric.
    """

    points: np.ndarray
    distance: np.ndarray
    triangle: np.ndarray
    weights: np.ndarray

    def interpolate(self, values: np.ndarray, triangles: np.ndarray) -> np.ndarray:
        """Per-vertex `values` [V, ...] at the feet: [N, ...]."""
        corners = triangles[self.triangle]
        weights = self.weights.reshape(*self.weights.shape, *(1,) * (values.ndim - 1))
        return values[corners[:, 0]] * weights[:, 0] + values[corners[:, 1]] * weights[:, 1] + (
            values[corners[:, 2]] * weights[:, 2]
        )  # fmt: skip


class SurfaceIndex:
    """A triangle mesh that answers which of its points is nearest.

    Args:
        vertices: [V, 3].
        triangles: [T, 3] integers, at least one.
    """

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray) -> None:
        self.corners = np.asarray(vertices, dtype=np.float64)[triangles]
        self._pieces, self._owner = _cut_large(self.corners)
        self._middles = self._pieces.mean(axis=1)
        self._reach = np.linalg.norm(self._pieces - self._middles[:, None], axis=2).max(axis=1)
        self._tree = KDTree(self._middles)

    @cached_property
    def normals(self) -> np.ndarray:
        """[T, 3] unit normals of the triangles; zero for one without area."""
        across = np.cross(self.corners[:, 1] - self.corners[:, 0], self.corners[:, 2] - self.corners[:, 0])
        return across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-300)

    @cached_property
    def largest_reach(self) -> float:
        """How far a triangle's corner is from its middle at most, large triangles cut."""
        return float(self._reach.max())

    def nearest(self, points: np.ndarray) -> Foot:
        """The nearest of all points of the mesh to each of `points` [N, 3]."""
        points = np.asarray(points, dtype=np.float64)
        found, piece = np.zeros((len(points), 3)), np.zeros(len(points), int)
        distance = np.full(len(points), np.inf)

        def consider(rows: np.ndarray, candidates: np.ndarray) -> None:
            """Keep the best of `candidates` [C] for the points `rows` [C]; a point's rows are neighbours."""
            feet = closest_on_triangles(points[rows], self._pieces[candidates])
            away = np.linalg.norm(feet - points[rows], axis=1)
            order = np.lexsort((away, rows))
            best = order[np.flatnonzero(np.diff(rows[order], prepend=-1))]
            best = best[away[best] < distance[rows[best]]]
            found[rows[best]], distance[rows[best]], piece[rows[best]] = feet[best], away[best], candidates[best]

        count = min(_FIRST_CANDIDATES, len(self._middles))
        middle_distance, candidates = map(np.asarray, self._tree.query(points, k=count, workers=-1))
        consider(np.repeat(np.arange(len(points)), count), candidates.reshape(-1))
        # A triangle whose middle is further than the best distance and the largest reach together cannot be nearer.
        largest = self.largest_reach
        unsure = np.flatnonzero(middle_distance.reshape(-1, count)[:, -1] - largest < distance)
        lists = self._tree.query_ball_point(points[unsure], distance[unsure] + largest)
        rows = np.repeat(unsure, [len(found) for found in lists])
        candidates = np.array([index for found in lists for index in found], dtype=int)
        middles = np.linalg.norm(self._middles[candidates] - points[rows], axis=1)
        worth = middles - self._reach[candidates] < distance[rows]
        consider(rows[worth], candidates[worth])
        return self._foot(points, found, self._owner[piece])

    def nearest_facing(self, points: np.ndarray, normals: np.ndarray, scale: float) -> Foot:
        """The foot that is nearest in place and direction together: least |p - q|^2 + scale^2 |n_p - n_q|^2.

        With a `scale` larger than the gap between two sheets (lips, the two sides of an ear) a point finds its own.
        Searched among the triangles whose middles are nearest in that sense.

        Args:
            points: [N, 3].
            normals: [N, 3] unit.
            scale: the distance that a normal turned by 60 degrees counts for.
        """
        points = np.asarray(points, dtype=np.float64)
        tree = self._facing_tree(scale)
        count = min(_FACING_CANDIDATES, len(self._middles))
        _, candidates = map(
            np.asarray, tree.query(np.concatenate([points, scale * normals], axis=1), k=count, workers=-1)
        )
        candidates = candidates.reshape(len(points), count)
        feet = closest_on_triangles(np.repeat(points, count, axis=0), self._pieces[candidates.reshape(-1)])
        feet = feet.reshape(len(points), count, 3)
        owner = self._owner[candidates]
        cost = ((feet - points[:, None]) ** 2).sum(axis=2)
        cost += scale**2 * ((self.normals[owner] - normals[:, None]) ** 2).sum(axis=2)
        rows, best = np.arange(len(points)), cost.argmin(axis=1)
        return self._foot(points, feet[rows, best], owner[rows, best])

    def cropped(self, low: np.ndarray, high: np.ndarray) -> Self:
        """Only the triangles that reach into the box from `low` [3] to `high` [3]; they are counted anew."""
        within = (self.corners.min(axis=1) <= high).all(axis=1) & (self.corners.max(axis=1) >= low).all(axis=1)
        return type(self)(self.corners[within].reshape(-1, 3), np.arange(3 * int(within.sum())).reshape(-1, 3))

    def _facing_tree(self, scale: float) -> KDTree:
        if scale not in self._facing_trees:
            oriented = np.concatenate([self._middles, scale * self.normals[self._owner]], axis=1)
            self._facing_trees[scale] = KDTree(oriented)
        return self._facing_trees[scale]

    @cached_property
    def _facing_trees(self) -> dict[float, KDTree]:
        return {}

    def _foot(self, points: np.ndarray, feet: np.ndarray, triangle: np.ndarray) -> Foot:
        return Foot(
            feet, np.linalg.norm(feet - points, axis=1), triangle, barycentric_weights(feet, self.corners[triangle])
        )


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


def barycentric_weights(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Weights [N, 3], not negative and summing to 1, of points [N, 3] that lie on triangles `corners` [N, 3, 3]."""
    ab, ac, ap = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], points - corners[:, 0]
    bb, bc, cc, pb, pc = _dot(ab, ab), _dot(ab, ac), _dot(ac, ac), _dot(ap, ab), _dot(ap, ac)
    determinant = np.maximum(bb * cc - bc * bc, 1e-300)
    v, w = (cc * pb - bc * pc) / determinant, (bb * pc - bc * pb) / determinant
    weights = np.clip(np.stack([1 - v - w, v, w], axis=1), 0.0, 1.0)
    return weights / weights.sum(axis=1, keepdims=True)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("nk,nk->n", a, b)


def _cut_large(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same triangles [T, 3, 3] with those much larger than most cut in halves: [P, 3, 3], and whose each is [P].

    A search by the triangles' middles has to look as far as the largest triangle reaches, everywhere.
    """
    edges = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2)
    limit = 1.5 * np.median(edges.max(axis=1))
    owner = np.arange(len(corners))
    done, owners = [], []
    while len(corners):
        edges = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2)
        large = edges.max(axis=1) > limit
        done.append(corners[~large])
        owners.append(owner[~large])
        corners, owner, longest = corners[large], owner[large], edges[large].argmax(axis=1)
        rows = np.arange(len(corners))
        a, b, c = (corners[rows, (longest + k) % 3] for k in range(3))
        middle = (a + b) / 2
        corners = np.concatenate([np.stack([a, middle, c], axis=1), np.stack([middle, b, c], axis=1)])
        owner = np.concatenate([owner, owner])
    return np.concatenate(done), np.concatenate(owners)
