"""How much of the sky each vertex sees: nostrils, the back of the lips and the folds of the ear are dark."""

from __future__ import annotations

import numpy as np

from portrait_head.rendering.raycast import RayCaster

_GOLDEN = np.pi * (3 - np.sqrt(5))


def ambient_occlusion(
    vertices: np.ndarray, normals: np.ndarray, triangles: np.ndarray, rays: int = 48, reach: float = 0.05
) -> np.ndarray:
    """Share [V] float32 of cosine-weighted directions that leave the surface free for `reach` metres.

    Args:
        vertices: [V, 3] metres.
        normals: [V, 3] unit.
        triangles: [T, 3] of everything that hides.
    """
    return open_sky(RayCaster(vertices, triangles), vertices + normals * 4e-4, normals, rays, reach)


def open_sky(
    caster: RayCaster, points: np.ndarray, normals: np.ndarray, rays: int = 48, reach: float = 0.05
) -> np.ndarray:
    """Share [N] float32 of cosine-weighted directions in which points [N, 3] with normals [N, 3] see `reach` metres."""
    number = np.arange(rays)
    radius, turn = np.sqrt((number + 0.5) / rays), number * _GOLDEN
    local = np.stack([radius * np.cos(turn), radius * np.sin(turn), np.sqrt(1 - radius**2)], axis=1)
    helper = np.where(np.abs(normals[:, 1:2]) < 0.9, [[0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])
    tangent = np.cross(helper, normals)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    frame = np.stack([tangent, np.cross(normals, tangent), normals], axis=1)  # [N, 3, 3], rows are axes
    directions = np.einsum("rk,nkc->nrc", local, frame)
    origins = np.broadcast_to(points[:, None], directions.shape)
    return 1 - caster.occluded(origins, directions, limit=reach).mean(axis=1).astype(np.float32)
