"""Normals of a triangle mesh, with gradients to its vertices.

On a CPU the same input gives the same bits; on CUDA so it does under `torch.use_deterministic_algorithms(True)`.
"""

from __future__ import annotations

import torch
from torch.nn.functional import normalize


def face_normals(vertices: torch.Tensor, triangles: torch.Tensor, unit: bool = True) -> torch.Tensor:
    """Outward normals [F, 3] of triangles [F, 3] that run counter-clockwise seen from outside.

    Of unit length, or else as long as twice the triangle's area. A triangle without area has the normal 0.
    """
    # One flat index_select: its gradient is summed in a fixed order, that of vertices[triangles] is not.
    a, b, c = vertices.index_select(0, triangles.T.reshape(-1)).reshape(3, -1, 3).unbind(0)
    normals = torch.linalg.cross(b - a, c - a)
    return normalize(normals, dim=1, eps=1e-20) if unit else normals


def vertex_normals(vertices: torch.Tensor, triangles: torch.Tensor) -> torch.Tensor:
    """Unit area-weighted normals [V, 3]; zero for a vertex without a triangle."""
    faces = face_normals(vertices, triangles, unit=False)
    summed = torch.zeros_like(vertices).index_add(0, triangles.T.reshape(-1), faces.repeat(3, 1))
    return normalize(summed, dim=1, eps=1e-20)
