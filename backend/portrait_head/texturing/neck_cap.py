"""A lid on the open end of the neck, so that who looks from below sees no inside of the head."""

from __future__ import annotations

import numpy as np

from portrait_head.head_model.model import HeadModel
from portrait_head.head_model.topology import border_edges
from portrait_head.texturing.painted_scene import PaintSurface
from portrait_head.texturing.uv_raster import UvRaster

_TEXTURE_SIDE = 4  # texels; one colour


def neck_cap(model: HeadModel, vertices: np.ndarray, raster: UvRaster, skin: np.ndarray) -> PaintSurface:
    """A surface to be shown, in the colour of the skin round the neck's end.

    Args:
        model: the head model, whose skin ends in its region `rim`.
        vertices: [V, 3] metres, of a head with its topology.
        raster: of the skin.
        skin: [N, 3] sRGB 0 to 1, the colours of its texels.
    """
    edges = neck_edges(model)
    middle = vertices[edges[:, 0]].mean(axis=0)
    points = np.concatenate([vertices[edges[:, 0]], vertices[edges[:, 1]], middle[None]])
    count = len(edges)
    triangles = np.stack([np.arange(count) + count, np.arange(count), np.full(count, 2 * count)], axis=1)
    on_rim = np.zeros(len(vertices), np.float32)
    on_rim[model.regions["rim"]] = 1
    weight = raster.spread(on_rim)
    colour = (skin * weight[:, None]).sum(axis=0) / weight.sum()
    texture = np.broadcast_to(colour.astype(np.float32), (_TEXTURE_SIDE, _TEXTURE_SIDE, 3)).copy()
    return PaintSurface(points, triangles, np.full((count, 3, 2), 0.5, np.float32), texture)


def neck_edges(model: HeadModel) -> np.ndarray:
    """[E, 2] the edges of the neck's end, each in the direction in which the face beside it runs."""
    first, stop = model.part("skin").faces
    quads = model.quads[first:stop]
    rim = set(model.regions["rim"].tolist())
    border = {edge for edge in border_edges(quads) if rim.issuperset(edge)}
    directed = np.stack([quads, np.roll(quads, -1, axis=1)], axis=-1).reshape(-1, 2)
    return np.array([edge for edge in directed.tolist() if (min(edge), max(edge)) in border])
