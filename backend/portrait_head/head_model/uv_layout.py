"""Where each part of the head lies in its material's texture."""

from __future__ import annotations

import numpy as np

from portrait_head.head_model.model import Part


def lay_out_uvs(
    vertices: np.ndarray, quads: np.ndarray, source_uvs: np.ndarray, parts: tuple[Part, ...], mirror: np.ndarray
) -> np.ndarray:
    """[F, 4, 2] float32: MakeHuman's own layout `source_uvs` [F, 4, 2], spread so that each material fills its square."""
    uvs = source_uvs.astype(np.float32).copy()
    for material in {part.material: None for part in parts}:
        rows = np.concatenate([np.arange(*part.faces) for part in parts if part.material == material])
        low, high = uvs[rows].min(axis=(0, 1)), uvs[rows].max(axis=(0, 1))
        uvs[rows] = (uvs[rows] - low) / (high - low).max()
    return uvs
