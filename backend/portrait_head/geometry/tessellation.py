"""Finer triangles that follow the curve of a coarse mesh."""

from __future__ import annotations

import numpy as np

PULL = 0.75  # towards the tangent planes: the value that Boubekeur and Alexa recommend


def phong_tessellation(
    vertices: np.ndarray, triangles: np.ndarray, normals: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each triangle cut into four, the new vertices lifted onto the curve that the normals tell of.

    Boubekeur and Alexa, "Phong Tessellation" (2008), equation 5 at the middles of the edges. What depends on an edge's
    two ends alone leaves no gap between triangles.

    Args:
        vertices: [V, 3]; they stay where they are.
        triangles: [T, 3].
        normals: [V, 3] unit; where one is zero the edge stays straight at that end.

    Returns:
        vertices [V + E, 3], the old ones first; triangles [4 T, 3]; and the edges [E, 2] that the new vertices divide.
    """
    edges = np.sort(np.stack([triangles, np.roll(triangles, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
    edges, number = np.unique(edges, axis=0, return_inverse=True)
    ends, bends = vertices[edges], normals[edges]
    middle = ends.mean(axis=1)
    above = np.einsum("ekc,ekc->ek", middle[:, None] - ends, bends)
    lifted = middle - PULL * (above[..., None] * bends).mean(axis=1)
    ab, bc, ca = len(vertices) + number.reshape(-1, 3).T
    a, b, c = triangles.T
    pieces = np.stack([[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]])  # [4, 3, T]
    return np.concatenate([vertices, lifted]), pieces.transpose(2, 0, 1).reshape(-1, 3), edges
