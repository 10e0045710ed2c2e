"""The sculpt as a head of its own, free of the head model's topology, that makes the same 52 expressions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait_head.geometry import surface
from portrait_head.geometry.cut import part
from portrait_head.geometry.deformation_transfer import transfer
from portrait_head.geometry.nearest import SurfaceIndex
from portrait_head.head_model.model import HeadModel
from portrait_head.head_model.onto_surface import shown_skin
from portrait_head.head_model.openings import open_eyes_and_mouth


@dataclass(frozen=True)
class FreeHead:
    """A sculpt in its two parts, at rest.

    Attributes:
        vertices: [S, 3] float64 metres, the skin with open lids and parted lips.
        triangles: [T, 3] int64, outward.
        shape_keys: [K, S, 3] float32 metres.
        hair_vertices: [H, 3] float64 metres, cut off along the hairline: its rim is the skin's; H = 0 for none.
        hair_triangles: [U, 3] int64, outward.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    shape_keys: np.ndarray
    hair_vertices: np.ndarray
    hair_triangles: np.ndarray


def simplified(
    vertices: np.ndarray, triangles: np.ndarray, values: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A closed surface with about `count` triangles: vertices, triangles, and the old vertices' `values` [N] there."""
    fewer, faces = surface.decimate(vertices.astype(np.float64), triangles.astype(np.int64), count)
    return fewer, faces, SurfaceIndex(vertices, triangles).nearest(fewer).interpolate(values, triangles)


def free_head(
    model: HeadModel,
    head: np.ndarray,
    deltas: np.ndarray,
    sculpt: tuple[np.ndarray, np.ndarray],
    hair: np.ndarray,
    count: int,
) -> FreeHead:
    """The sculpt decimated, parted, opened and given the head's expressions.

    Args:
        model: the head model.
        head: [V, 3] metres, its vertices at rest, lying on the sculpt.
        deltas: [K, V, 3] metres, its expressions.
        sculpt: vertices [N, 3] metres and triangles [M, 3] of head and hair as one closed surface at rest.
        hair: [N] positive where the surface is hair's.
        count: about how many triangles head and hair together may have. Fewer than some 10 000 leave lids and lips
            too coarse to open.
    """
    vertices, triangles, hair = simplified(*sculpt, hair, count)
    cut_off, skin = part(vertices, triangles, hair[None])
    opened = open_eyes_and_mouth(model, head, skin.vertices, skin.triangles)
    keys = transfer(head, shown_skin(model), deltas, opened.vertices, opened.triangles)
    return FreeHead(opened.vertices, opened.triangles, keys, cut_off.vertices, cut_off.triangles)
