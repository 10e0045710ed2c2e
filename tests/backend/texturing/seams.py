"""The places where the UV layout cuts the head open, and the colours on both sides."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from portrait_head.head_model import load_head_model
from portrait_head.texturing.sampling import sample_texture


def faces(material: str) -> np.ndarray:
    """The head model's quads [F] of a material."""
    model = load_head_model()
    return np.concatenate([np.arange(*part.faces) for part in model.parts if part.material == material])


def seams(material: str) -> np.ndarray:
    """Edges of the mesh that lie in two places of the layout: UVs [E, 2 sides, 2 ends, 2]."""
    model = load_head_model()
    sides = defaultdict(list)
    for row in faces(material):
        quad, uvs = model.quads[row], model.uvs[row]
        for corner in range(4):
            ends = (corner, (corner + 1) % 4)
            first, second = sorted(ends, key=lambda end: quad[end])
            sides[quad[first], quad[second]].append((uvs[first], uvs[second]))
    found = np.array([pair for pair in sides.values() if len(pair) == 2])
    return found[np.abs(found[:, 0] - found[:, 1]).max(axis=(1, 2)) > 1e-5]


def across(texture: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Colour steps over edges of a texture [H, W, 3]: one for each of five places along each edge."""
    along = np.linspace(0.1, 0.9, 5)[:, None, None, None]
    places = edges[None, :, :, 0] * (1 - along) + edges[None, :, :, 1] * along
    one, other = (sample_texture(texture, places[:, :, side].reshape(-1, 2)) for side in (0, 1))
    return np.abs(one.astype(float) - other).mean(axis=-1)
