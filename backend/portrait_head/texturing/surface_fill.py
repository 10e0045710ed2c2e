"""Smooth colour over a mesh from the places where it is known; knows no UV seams."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import splu


def edge_laplacian(triangles: np.ndarray, vertex_count: int) -> csr_matrix:
    """Graph Laplacian [V, V], every edge of weight 1, divided by the number of neighbours on average."""
    edges = triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    ones = np.ones(len(edges))
    shape = (vertex_count, vertex_count)
    adjacency = csr_matrix((ones, (edges[:, 0], edges[:, 1])), shape)
    adjacency = ((adjacency + adjacency.T) > 0).astype(np.float64)
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    return (diags(degree) - adjacency) / max(float(degree[degree > 0].mean()), 1.0)


def fill(
    laplacian: csr_matrix,
    values: np.ndarray,
    trust: np.ndarray,
    prior: np.ndarray,
    smoothness: float = 0.3,
    pull: float | np.ndarray = 1e-3,
) -> np.ndarray:
    """Values [V, C] that follow `values` where they are trusted and run smoothly on elsewhere.

    Minimises sum trust |x - values|^2 + smoothness x^T L x + pull |x - prior|^2.

    Args:
        laplacian: [V, V] from `edge_laplacian`.
        values: [V, C]; what stands where `trust` is 0 does not matter as long as it is finite.
        trust: [V], 0 to 1.
        prior: [C] or [V, C], where values end up far from everything known.
        smoothness: see above.
        pull: a number or [V].
    """
    pull = np.broadcast_to(pull, trust.shape)
    system = diags(trust + pull) + smoothness * laplacian
    right = trust[:, None] * values + pull[:, None] * np.broadcast_to(prior, values.shape)
    return splu(system.tocsc()).solve(np.ascontiguousarray(right, dtype=np.float64)).astype(np.float32)


def gather(weights: csr_matrix, values: np.ndarray, trust: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of texel values at the vertices.

    Args:
        weights: [N, V] of a `UvRaster`.
        values: [N, C].
        trust: [N], 0 to 1.

    Returns:
        means [V, C] float32 (0 where nothing is trusted) and trust [V] float32, the mean trust of the texels around.
    """
    back = weights.T
    area = back @ np.ones(len(values), np.float32)
    total = back @ trust.astype(np.float32)
    means = back @ (values * trust[:, None]).astype(np.float32)
    return means / np.maximum(total, 1e-6)[:, None], total / np.maximum(area, 1e-6)
