"""The surface where a field over tetrahedra is zero, with gradients to the field and to the tetrahedra's corners.

Doi and Koide, "An Efficient Method of Triangulating Equi-Valued Surfaces by Using Tetrahedral Cells" (1991); made
differentiable by Shen et al., "Deep Marching Tetrahedra" (2021), section 3.1.3. The tetrahedra know their edges, so a
crossed edge is its own vertex: nothing is sorted and no duplicates are looked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any

import torch
from torch import Tensor

from portrait_head.geometry.tet_grid import TET_PAIRS, Tetrahedra

# A vertex stays this share of an edge away from its ends, so that a zero in the field makes no triangle without area:
# micrometres on a head, and still a hundred times what float32 resolves.
END_MARGIN = 1e-3
SMALLEST_STEP = 1e-12  # metres between the field's ends of a crossed edge; below, gradients stop growing


@dataclass(frozen=True)
class TetSurface:
    """A triangle mesh and where in the tetrahedra it came from.

    Attributes:
        vertices: [V, 3] metres, differentiable.
        triangles: [F, 3] int32, counter-clockwise seen from outside, in the order of the tetrahedra.
        crossed: [V, 2] int64, the ends of the edge that each vertex lies on, first the one inside.
        edges: [V] int64, that edge; ascending.
        tets: [F] int64, the tetrahedron that each triangle lies in.
    """

    vertices: Tensor
    triangles: Tensor
    crossed: Tensor
    edges: Tensor
    tets: Tensor


def marching_tetrahedra(tetrahedra: Tetrahedra, sdf: Tensor, deformation: Tensor | None = None) -> TetSurface:
    """The surface where `sdf` is zero.

    Inside the tetrahedra every edge of it has exactly two triangles; where the surface leaves them it has an open rim.
    What is thinner than an edge can be missed: a gap of less than a cell square to an axis is bridged here and there.
    A field of exactly 0 counts as outside. On a CPU equal input gives equal bytes, gradients included; on a GPU sums of
    gradients vary in their last bits unless `torch.use_deterministic_algorithms` forbids it.

    Args:
        tetrahedra: the grid's or a band's, N vertices.
        sdf: [N] metres, positive inside.
        deformation: [N, 3] metres added to the vertices; it must leave every tetrahedron its orientation.
    """
    with torch.no_grad():
        inside = sdf > 0
        edges, crossed = _crossed_edges(tetrahedra, inside)
        tets, triangles = _triangles(tetrahedra, inside, edges)
    positions = tetrahedra.vertices.to(sdf.dtype)
    if deformation is not None:
        positions = positions + deformation
    vertices: Any = _Crossings.apply(sdf, positions, crossed)
    return TetSurface(vertices, triangles, crossed, edges, tets)


def sign_consistency(sdf: Tensor, crossed: Tensor, scale: float) -> Tensor:
    """[V] how little the field agrees on its sign along each crossed edge; it thins out floaters and inner cavities.

    Munkberg et al., "Extracting Triangular 3D Models, Materials, and Lighting From Images" (2022), equation 2: the
    cross-entropy of each end against the sign of the other. As the signs differ, both are a softplus of the distance.

    Args:
        sdf: [N] metres.
        crossed: [V, 2] int64, the inner and the outer end of each crossed edge.
        scale: metres that make one logit; a cell is a good choice.
    """
    inside, outside = crossed.unbind(dim=1)
    softplus = torch.nn.functional.softplus
    return softplus(sdf.index_select(0, inside) / scale) + softplus(-sdf.index_select(0, outside) / scale)


def _crossed_edges(tetrahedra: Tetrahedra, inside: Tensor) -> tuple[Tensor, Tensor]:
    """[V] int64 edges with one end inside, and [V, 2] int64 those ends, the one inside first."""
    sides = inside.index_select(0, tetrahedra.edges.reshape(-1)).view(-1, 2)
    edges = (sides[:, 0] != sides[:, 1]).nonzero().squeeze(1)
    ends = tetrahedra.edges.index_select(0, edges).long()  # `index_add_` on a CPU is ten times slower with int32
    first, second = ends.unbind(dim=1)
    forwards = sides.index_select(0, edges)[:, 0]
    return edges, torch.stack([torch.where(forwards, first, second), torch.where(forwards, second, first)], dim=1)


def _triangles(tetrahedra: Tetrahedra, inside: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    """[F] int64 tetrahedra and [F, 3] int32 triangles into the crossed edges [V]."""
    device = edges.device
    vertex_of_edge = torch.empty(len(tetrahedra.edges), dtype=torch.int32, device=device)
    vertex_of_edge[edges] = torch.arange(len(edges), dtype=torch.int32, device=device)
    sides = inside.index_select(0, tetrahedra.tets.reshape(-1))
    together = sides.view(torch.int32)  # four booleans at once
    mixed = ((together != 0) & (together != 0x01010101)).nonzero().squeeze(1)
    a, b, c, d = sides.view(-1, 4).index_select(0, mixed).int().unbind(dim=1)
    case = a + 2 * b + 4 * c + 8 * d
    table = torch.tensor(TRIANGLES, device=device).index_select(0, case)
    used = tetrahedra.tet_edges.index_select(0, mixed).gather(1, table.clamp(min=0))
    present = table[:, ::3].reshape(-1) >= 0
    triangles = vertex_of_edge.index_select(0, used.reshape(-1)).reshape(-1, 3)
    kept = present.nonzero().squeeze(1)
    return mixed.index_select(0, kept // 2), triangles.index_select(0, kept)


class _Crossings(torch.autograd.Function):
    """Where the field vanishes along crossed edges, assuming that it is linear there."""

    @staticmethod
    def forward(ctx: Any, sdf: Tensor, positions: Tensor, crossed: Tensor) -> Tensor:
        inside, outside = crossed.unbind(dim=1)
        high, low = sdf.index_select(0, inside), sdf.index_select(0, outside)
        step = (high - low).clamp(min=SMALLEST_STEP)
        share = (high / step).clamp(END_MARGIN, 1 - END_MARGIN)
        start = positions.index_select(0, inside)
        along = positions.index_select(0, outside) - start
        ctx.save_for_backward(crossed, high, low, step, share, along)
        ctx.count = len(sdf)
        return start + share[:, None] * along

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        crossed, high, low, step, share, along = ctx.saved_tensors
        inside, outside = crossed.unbind(dim=1)
        to_sdf = to_positions = None
        if ctx.needs_input_grad[0]:
            steep = (gradient * along).sum(dim=1) / step**2
            to_sdf = gradient.new_zeros(ctx.count)
            to_sdf.index_add_(0, inside, -low * steep).index_add_(0, outside, high * steep)
        if ctx.needs_input_grad[1]:
            to_outside = gradient * share[:, None]
            to_positions = gradient.new_zeros(ctx.count, 3)
            to_positions.index_add_(0, inside, gradient - to_outside).index_add_(0, outside, to_outside)
        return to_sdf, to_positions, None


def _triangle_table() -> list[list[int]]:
    """[16][6] edges of the up to two triangles for each set of corners inside, -1 for none.

    The corners of a tetrahedron can be renamed by an even permutation without turning it over. With one corner `a`
    inside, the triangle ab, ac, ad of a positively oriented tetrahedron abcd looks away from a; with `a` and `b` inside
    the quadrilateral is ac, ad, bd, bc; other cases are these seen from the other side.
    """
    edge = {frozenset(pair): number for number, pair in enumerate(TET_PAIRS)}
    even = [order for order in permutations(range(4)) if sum(a > b for a, b in combinations(order, 2)) % 2 == 0]
    table = []
    for case in range(16):
        inside = [corner for corner in range(4) if case >> corner & 1]
        few = inside if len(inside) <= 2 else [corner for corner in range(4) if corner not in inside]
        triangles: list[tuple[tuple[int, int], ...]] = []
        if few:
            a, b, c, d = next(order for order in even if set(order[: len(few)]) == set(few))
            if len(few) == 1:
                triangles = [((a, b), (a, c), (a, d))]
            else:
                triangles = [((a, c), (a, d), (b, d)), ((a, c), (b, d), (b, c))]
        if len(inside) == 3:
            triangles = [triangle[::-1] for triangle in triangles]
        row = [edge[frozenset(pair)] for triangle in triangles for pair in triangle]
        table.append(row + [-1] * (6 - len(row)))
    return table


TRIANGLES = _triangle_table()
