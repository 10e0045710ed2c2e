"""Nearest points of a triangle mesh."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree


def closest_points(points: np.ndarray, corners: np.ndarray, candidates: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Nearest of triangles `corners` [T, 3, 3] to each of `points` [N, 3]: index [N] and barycentric weights [N, 3].

    Exact among the `candidates` triangles whose middles are nearest.
    """
    candidates = min(candidates, len(corners))
    _, near = KDTree(corners.mean(axis=1)).query(points, k=candidates)
    near = near.reshape(len(points), candidates)
    weights = project_to_triangles(points[:, None], corners[near])
    distance = np.linalg.norm(np.einsum("nck,nckd->ncd", weights, corners[near]) - points[:, None], axis=-1)
    best = distance.argmin(axis=1)
    rows = np.arange(len(points))
    return near[rows, best], weights[rows, best]


def project_to_triangles(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Barycentric weights [..., 3] of the point of each triangle `corners` [..., 3, 3] nearest to `points` [..., 3].

    The nearest of the projection into the plane, where that lies inside, and of the nearest points of the three edges.
    """
    origin, first, second = (corners[..., place, :] for place in range(3))
    along, across, offset = first - origin, second - origin, points - origin
    aa, ab, bb = (along * along).sum(-1), (along * across).sum(-1), (across * across).sum(-1)
    pa, pb = (offset * along).sum(-1), (offset * across).sum(-1)
    determinant = np.maximum(aa * bb - ab * ab, 1e-30)
    u, v = (bb * pa - ab * pb) / determinant, (aa * pb - ab * pa) / determinant
    nearest = np.stack([1 - u - v, u, v], axis=-1)
    best = np.where((nearest >= 0).all(-1), _distance(nearest, corners, points), np.inf)
    for start in range(3):
        end = (start + 1) % 3
        edge = corners[..., end, :] - corners[..., start, :]
        share = ((points - corners[..., start, :]) * edge).sum(-1) / np.maximum((edge * edge).sum(-1), 1e-30)
        option = np.zeros_like(nearest)
        option[..., end] = np.clip(share, 0, 1)
        option[..., start] = 1 - option[..., end]
        distance = _distance(option, corners, points)
        nearest = np.where((distance < best)[..., None], option, nearest)
        best = np.minimum(best, distance)
    return nearest


def _distance(weights: np.ndarray, corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.linalg.norm((weights[..., None] * corners).sum(axis=-2) - points, axis=-1)
