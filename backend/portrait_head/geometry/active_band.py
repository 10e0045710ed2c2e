"""The tetrahedra that a moving surface can cross, so that a step touches nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from portrait_head.geometry.isosurface import Isosurface
from portrait_head.geometry.marching_tetrahedra import marching_tetrahedra
from portrait_head.geometry.tet_grid import TetGrid, Tetrahedra, edge_slots

# Steps around the crossed edges. More of them make each extraction slower and refreshes rarer.
HOPS = 1


@dataclass(frozen=True)
class BandExtractor:
    """Marching tetrahedra in a band of a grid, as a `SurfaceExtractor`.

    Attributes:
        grid: the lattice.
        hops: how wide the band is, see `ActiveBand.around`.
    """

    grid: TetGrid
    hops: int = HOPS

    @property
    def vertices(self) -> Tensor:
        """[N, 3] float32 metres."""
        return self.grid.vertices

    def parameters(self) -> list[Tensor]:
        """None: field and deformation say it all."""
        return []

    def around(self, sdf: Tensor) -> ActiveBand:
        """The band around the surface of a field [N] over the grid."""
        return ActiveBand.around(self.grid, sdf, self.hops)


@dataclass(frozen=True)
class ActiveBand:
    """The tetrahedra around a surface, numbered on their own and in the grid's order.

    Every tetrahedron outside the band has its four corners on one side of the surface, and they are all watched: a
    vertex is, unless all its tetrahedra belong to the band. While no watched vertex changes its side, nothing outside
    can be crossed, and the band gives exactly what the whole grid would give. So the tests for a refresh are exact.

    Values that are optimised at the band's `vertices` alone leave the field elsewhere as it is, and only the rim needs
    to be looked at (`needs_refresh`). If the field over the whole grid is what moves, by a momentum or a regulariser
    say, every watched vertex is (`misses`).

    Attributes:
        vertices: [M] int64, ascending: the vertices of the grid that belong to a tetrahedron of the band.
        tetrahedra: the band's, into these [M].
        rim: [R] int32 into `vertices`: those that are watched.
        rim_inside: [R] bool, whether they lay inside the surface when the band was laid.
        watched: [N] bool, at least every vertex of the grid with a tetrahedron outside the band.
        inside: [N] bool, whether they lay inside the surface when the band was laid.
    """

    vertices: Tensor
    tetrahedra: Tetrahedra
    rim: Tensor
    rim_inside: Tensor
    watched: Tensor
    inside: Tensor

    @staticmethod
    def around(grid: TetGrid, sdf: Tensor, hops: int = HOPS) -> ActiveBand:
        """The band of every tetrahedron that is crossed or touches a vertex within `hops` steps of a crossed edge.

        Args:
            grid: the lattice.
            sdf: [N] positive inside.
            hops: 0 or more.
        """
        inside = sdf.detach() > 0
        near = _near(grid, inside, hops)
        used = torch.zeros(grid.vertex_count, dtype=torch.bool, device=grid.device)
        strides = torch.tensor(grid.strides, device=grid.device)
        tets = []
        for axis in range(3):
            faces = (_faces_touching(grid, near, axis).nonzero() * strides).sum(dim=1).int()
            tets.append(faces[:, None, None] + grid.tet_offsets[axis])
            used.index_fill_(0, tets[-1].reshape(-1).long(), True)
        vertices = used.nonzero().squeeze(1)
        number = used.cumsum(0, dtype=torch.int32).sub_(1)
        near = near.reshape(-1)
        rim = (~near.index_select(0, vertices)).nonzero().squeeze(1).int()
        return ActiveBand(
            vertices,
            _renumbered(grid, vertices, number, tets),
            rim,
            inside.index_select(0, vertices.index_select(0, rim)),
            grid.used.reshape(-1) & ~near,
            inside,
        )

    def needs_refresh(self, values: Tensor) -> bool:
        """Whether the surface has reached the band's rim, for values [M] at `vertices`; no others may have moved."""
        return not torch.equal(values.detach().index_select(0, self.rim) > 0, self.rim_inside)

    def misses(self, sdf: Tensor) -> bool:
        """Whether a field [N] over the whole grid may cross something outside the band."""
        return bool((((sdf.detach() > 0) != self.inside) & self.watched).any())

    def extract(self, values: Tensor, deformation: Tensor) -> Isosurface:
        """The surface of values [M] and a deformation [M, 3] at `vertices`, metres."""
        surface = marching_tetrahedra(self.tetrahedra, values, deformation)
        return Isosurface(surface.vertices, surface.triangles, surface.crossed, values.new_zeros(0))


def _near(grid: TetGrid, inside: Tensor, hops: int) -> Tensor:
    """[2, *shape] bool: vertices within `hops` steps of an edge from a middle to a corner that is crossed.

    A crossed tetrahedron has such an edge: those four join all its corners.
    """
    inside = inside.reshape(2, *grid.shape)
    near = _grown(grid, inside & grid.used) & _grown(grid, ~inside & grid.used)
    for _ in range(hops):
        near = _grown(grid, near)
    return near


def _grown(grid: TetGrid, mask: Tensor) -> Tensor:
    """The mask [2, *shape] with all corners next to its middles and all middles next to its corners."""
    corners, middles = mask
    for axis in range(3):  # what `roll` wraps round comes from, or goes to, the unused last corners
        corners = corners | corners.roll(1, axis)
        middles = middles | middles.roll(-1, axis)
    return (mask | torch.stack([middles, corners])) & grid.used


def _faces_touching(grid: TetGrid, mask: Tensor, axis: int) -> Tensor:
    """[*face_shape(axis)] bool: the faces of which a corner or a neighbouring middle is in the mask [2, *shape]."""
    shape = grid.face_shape(axis)
    touching = torch.zeros(shape, dtype=torch.bool, device=mask.device)
    second, third = (axis + 1) % 3, (axis + 2) % 3
    for across in (0, 1):
        for up in (0, 1):
            start = [0, 0, 0]
            start[second], start[third] = across, up
            touching |= _window(mask[0], start, shape)
    for layer in (0, 1):
        start = [1, 1, 1]
        start[axis] = layer
        touching |= _window(mask[1], start, shape)
    return touching


def _window(mask: Tensor, start: list[int], shape: tuple[int, int, int]) -> Tensor:
    x, y, z = (slice(low, low + count) for low, count in zip(start, shape, strict=True))
    return mask[x, y, z]


def _renumbered(grid: TetGrid, vertices: Tensor, number: Tensor, tets: list[Tensor]) -> Tetrahedra:
    """Tetrahedra of the grid with their vertices and edges numbered in the grid's order.

    Args:
        grid: the lattice.
        vertices: [M] int64, the vertices that the tetrahedra use.
        number: [N] int32, the places of those in `vertices`.
        tets: for each axis [F, 4, 4] int32, the tetrahedra around faces across it.
    """
    owner, direction = edge_slots(grid.device)
    corners = [number.index_select(0, block.reshape(-1)).reshape(-1, 4, 4) for block in tets]
    slots = []
    for axis, block in enumerate(corners):
        owners = block.gather(2, owner[axis].expand(len(block), -1, -1))
        slots.append((owners * 7 + direction[axis]).reshape(-1, 6))
    all_slots = torch.cat(slots)
    exists = torch.zeros(7 * len(vertices), dtype=torch.bool, device=grid.device)
    exists.index_fill_(0, all_slots.reshape(-1).long(), True)
    edges = exists.nonzero().squeeze(1)
    vertices = vertices.int()
    there = grid.neighbours(vertices)
    here = vertices[:, None].expand_as(there)
    ends = [end(here, there).reshape(-1).index_select(0, edges) for end in (torch.minimum, torch.maximum)]
    return Tetrahedra(
        grid.vertices.index_select(0, vertices),
        torch.cat(corners).reshape(-1, 4),
        torch.stack([number.index_select(0, end) for end in ends], dim=1),
        exists.cumsum(0, dtype=torch.int32).sub_(1).index_select(0, all_slots.reshape(-1)).reshape(-1, 6),
    )
