"""The sculpted surface carried from the photo's expression to rest."""

from __future__ import annotations

import numpy as np

from portrait_head.geometry.nearest import SurfaceIndex
from portrait_head.geometry.surface import neighbour_mean, vertex_normals
from portrait_head.sculpting.head_solid import HeadSolid

FACING = 0.010  # metres that a normal turned by 60 degrees counts for: more than between the lips of a mouth
CLOSE = (0.004, 0.012)  # metres from the skin: up to the first it leads alone, from the second on what lies around
ROUNDS = 30  # of smoothing what the skin far below says


def carry(vertices: np.ndarray, triangles: np.ndarray, posed: HeadSolid, rest: HeadSolid) -> np.ndarray:
    """Move a surface as the skin under it moves between two states of the same head.

    Args:
        vertices: [V, 3] metres, the surface over the head `posed`.
        triangles: [T, 3] of it.
        posed: the head that the surface was sculpted from.
        rest: the same head, as it shall be.

    Returns:
        [V, 3] float64 metres, the surface over the head `rest`.
    """
    moved = rest.vertices - posed.vertices
    skin = SurfaceIndex(posed.vertices, posed.triangles)
    foot = skin.nearest_facing(vertices, vertex_normals(vertices, triangles), FACING)
    near = foot.interpolate(moved, posed.triangles)
    mean = neighbour_mean(len(vertices), triangles)
    smooth = near
    for _ in range(ROUNDS):
        smooth = mean @ smooth
    far = np.clip((foot.distance - CLOSE[0]) / (CLOSE[1] - CLOSE[0]), 0.0, 1.0)[:, None]
    return vertices + near + far * (smooth - near)
