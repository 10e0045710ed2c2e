"""The signed distance that sculpting begins with: the fitted head joined with its hair."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor

from portrait_head.geometry.tet_grid import TetGrid

COARSE = 0.008  # metres between the points at which everything is evaluated
NEAR = 0.010  # metres from the surface within which every vertex is

Depth = Callable[[np.ndarray], np.ndarray]
"""Points [N, 3] to metres under a surface [N], negative outside."""


def depth_on_grid(grid: TetGrid, depth: Depth) -> Tensor:
    """[N] float32 metres for the grid's vertices: `depth` itself near the surface, interpolated farther away."""
    low, high = grid.bounds.cpu().numpy()
    counts = np.ceil((high - low) / COARSE).astype(int) + 1
    axes = [low[axis] + COARSE * np.arange(counts[axis]) for axis in range(3)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    coarse = depth(points.reshape(-1, 3)).reshape(counts)
    vertices = grid.vertices.cpu().numpy()
    found = map_coordinates(coarse, ((vertices - low) / COARSE).T, order=1, output=np.float32)
    near = np.abs(found) < NEAR
    found[near] = depth(vertices[near])
    return torch.from_numpy(found).to(grid.device)
