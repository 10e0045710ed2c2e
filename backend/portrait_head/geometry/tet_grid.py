"""A regular lattice of tetrahedra over a box.

The lattice is the body-centred cubic one: the corners of cubes and the middles of cubes. Each face between two cubes
carries four tetrahedra, each joining the two middles to one side of the face. Against the split of a cube into six, for
as many vertices, edges and tetrahedra, its edges differ in length by 15 % instead of 73 %, its dihedral angles are 60
and 90 degrees, and it equals its own mirror image, so that a symmetric head stays symmetric (Labelle and Shewchuk,
"Isosurface Stuffing", 2007).

On the walls of the box the missing middle is moved into the middle of the face: the walls are flat, and every face has
its four tetrahedra. One rule then makes all of them, and an edge is the step of a vertex in one of seven directions:
its slot is `7 * vertex + direction`. Tables follow from these numbers; no edge is ever looked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from portrait_head.errors import PortraitHeadError

RESOLUTIONS = (48, 256)  # below, lips and lids vanish; above, the field alone takes gigabytes

# Half of the fourteen steps to a neighbour, in half cells: along an axis, or from a middle to a corner and back.
DIRECTIONS = ((2, 0, 0), (0, 2, 0), (0, 0, 2), (1, -1, -1), (1, -1, 1), (1, 1, -1), (1, 1, 1))
SIDES = ((0, 0), (1, 0), (1, 1), (0, 1))  # the corners of a face, anticlockwise seen from the upper middle
TET_PAIRS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))  # the corners that the six edges of a tetrahedron join


@dataclass(frozen=True)
class Tetrahedra:
    """Tetrahedra that share their corners and edges.

    Attributes:
        vertices: [N, 3] float32 metres.
        tets: [T, 4] int32 into `vertices`, positively oriented.
        edges: [E, 2] int32 into `vertices`, each edge once, the lower number first.
        tet_edges: [T, 6] int32 into `edges`, in the order of `TET_PAIRS`.
    """

    vertices: Tensor
    tets: Tensor
    edges: Tensor
    tet_edges: Tensor


@dataclass(frozen=True)
class TetGrid:
    """A box of cubes filled with tetrahedra; only what is asked for is computed.

    Vertices are numbered as two lattices of `shape`, corners before middles. The last corners of each axis, and the
    middles outside of two walls at once, belong to no tetrahedron (`used` tells); they lie on the walls too.

    Attributes:
        centre: the middle of the box, metres.
        cell: the side of a cube, metres; edges are `cell` or sqrt(3/4) `cell` long (into a wall 1/2, in it sqrt(1/2)).
        cells: how many cubes lie along each axis.
        device: where the tensors lie.
    """

    centre: tuple[float, float, float]
    cell: float
    cells: tuple[int, int, int]
    device: torch.device

    @staticmethod
    def over(bounds: Tensor, resolution: int, device: torch.device | str = "cpu") -> TetGrid:
        """The grid over a box, which grows evenly to whole cubes.

        Args:
            bounds: [2, 3] lowest and highest corner, metres.
            resolution: cubes along the longest side, 48 to 256.

        Raises:
            PortraitHeadError: ``bad_grid`` if the box is empty or the resolution out of range.
        """
        low, high = bounds.detach().double().cpu()
        if not bool((high > low).all()):
            raise PortraitHeadError("bad_grid", f"No box from {low.tolist()} to {high.tolist()}.", "Check the bounds.")
        if not RESOLUTIONS[0] <= resolution <= RESOLUTIONS[1]:
            message = f"A grid of {resolution} cells was asked for."
            raise PortraitHeadError("bad_grid", message, f"Choose {RESOLUTIONS[0]} to {RESOLUTIONS[1]}.")
        cell = float((high - low).max()) / resolution
        x, y, z = ((high - low) / cell - 1e-4).ceil().int().tolist()  # float32 bounds must not add a cube to a side
        middle_x, middle_y, middle_z = ((low + high) / 2).tolist()
        return TetGrid((middle_x, middle_y, middle_z), cell, (x, y, z), torch.device(device))

    @property
    def bounds(self) -> Tensor:
        """[2, 3] float64 metres: the box that the tetrahedra fill."""
        half = torch.tensor(self.cells, dtype=torch.float64) * (self.cell / 2)
        return torch.stack([-half, half]) + torch.tensor(self.centre, dtype=torch.float64)

    @property
    def deformation_limit(self) -> float:
        """Metres that each vertex may move, in any direction that `wall_freedom` leaves, without turning one over.

        A tetrahedron is at least half a cell wide in every direction. To become flat it has to lose that width, to
        which two of its corners can each give a quarter.
        """
        return self.cell / 4

    @property
    def shape(self) -> tuple[int, int, int]:
        """How many corners, and how many middles, lie along each axis."""
        x, y, z = self.cells
        return x + 2, y + 2, z + 2

    @property
    def vertex_count(self) -> int:
        """N, the length of a field over the grid."""
        return 2 * math.prod(self.shape)

    @cached_property
    def vertices(self) -> Tensor:
        """[N, 3] float32 metres."""
        lattices = []
        for shift in (0.0, 0.5):
            axes = []
            for middle, count in zip(self.centre, self.cells, strict=True):
                steps = (torch.arange(count + 2, dtype=torch.float64) - shift).clamp(0, count) - count / 2
                axes.append((middle + self.cell * steps).float())
            lattices.append(torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3))
        return torch.cat(lattices).to(self.device)

    @cached_property
    def used(self) -> Tensor:
        """[2, *shape] bool: the vertices that belong to a tetrahedron."""
        used = torch.ones((2, *self.shape), dtype=torch.bool, device=self.device)
        walls = torch.zeros(self.shape, dtype=torch.uint8, device=self.device)
        for axis in range(3):
            used[0].select(axis, -1).fill_(False)
            walls.select(axis, 0).add_(1)
            walls.select(axis, -1).add_(1)
        used[1] = walls < 2
        return used

    @property
    def strides(self) -> tuple[int, int, int]:
        """How far apart the numbers of neighbours along each axis lie."""
        return self.shape[1] * self.shape[2], self.shape[2], 1

    @cached_property
    def tet_offsets(self) -> Tensor:
        """[3, 4, 4] int32: from the number of a face's lowest corner to the vertices of its tetrahedra.

        By the axis that the face lies across and by the side of the face.
        """
        table = [[[self._number(point) for point in tet] for tet in _tets_around_face(axis)] for axis in range(3)]
        return torch.tensor(table, dtype=torch.int32, device=self.device)

    def neighbours(self, vertices: Tensor) -> Tensor:
        """[n, 7] int32: the vertices one step in each of `DIRECTIONS` from `vertices` [n]; some do not exist."""
        origins = (0, 0, 0), (1, 1, 1)
        steps = [[self._number(_add(origin, step)) - self._number(origin) for step in DIRECTIONS] for origin in origins]
        table = torch.tensor(steps, dtype=torch.int32, device=self.device)
        middle = vertices >= self.vertex_count // 2
        return vertices[:, None] + table.index_select(0, middle.int())

    def face_shape(self, axis: int) -> tuple[int, int, int]:
        """How many faces across `axis` lie along each axis."""
        x, y, z = (count + (other == axis) for other, count in enumerate(self.cells))
        return x, y, z

    @cached_property
    def tetrahedra(self) -> Tetrahedra:
        """Every tetrahedron, face by face: at a resolution of 128 over a head 0.7 GB, which an `ActiveBand` spares."""
        exists = self._edge_mask().reshape(-1)
        slots = exists.nonzero().squeeze(1)
        vertices = torch.arange(self.vertex_count, dtype=torch.int32, device=self.device)
        there = self.neighbours(vertices)
        here = vertices[:, None].expand_as(there)
        ends = [end(here, there).reshape(-1).index_select(0, slots) for end in (torch.minimum, torch.maximum)]
        number = exists.cumsum(0, dtype=torch.int32).sub_(1)
        owner, direction = edge_slots(self.device)
        counts = [4 * math.prod(self.face_shape(axis)) for axis in range(3)]
        tets = torch.empty((sum(counts), 4), dtype=torch.int32, device=self.device)
        tet_edges = torch.empty((sum(counts), 6), dtype=torch.int32, device=self.device)
        blocks = zip(tets.split(counts), tet_edges.split(counts), strict=True)
        for axis, (block, block_edges) in enumerate(blocks):
            x, y, z = (
                torch.arange(count, dtype=torch.int32, device=self.device) * stride
                for count, stride in zip(self.face_shape(axis), self.strides, strict=True)
            )
            faces = (x[:, None, None] + y[:, None] + z).reshape(-1, 1, 1)
            offsets = self.tet_offsets[axis]
            torch.add(faces, offsets, out=block.view(-1, 4, 4))
            slots = faces * 7 + (offsets.gather(1, owner[axis]) * 7 + direction[axis])
            torch.index_select(number, 0, slots.reshape(-1), out=block_edges.view(-1))
        return Tetrahedra(self.vertices, tets, torch.stack(ends, dim=1), tet_edges)

    def finer(self) -> TetGrid:
        """The same box in cubes of half the side."""
        x, y, z = self.cells
        return TetGrid(self.centre, self.cell / 2, (2 * x, 2 * y, 2 * z), self.device)

    def interpolate(self, values: Tensor, points: Tensor) -> Tensor:
        """What a field over the grid is between its vertices: [P, C] float32, exact for linear fields.

        The mean of what the corners and what the middles say, each interpolated between eight of them.

        Args:
            values: [N, C] float32 over the vertices.
            points: [P, 3] metres in the box.
        """
        low = self.bounds[0].float().to(self.device)
        last = torch.tensor(self.shape, dtype=torch.float32, device=self.device) - 1
        found = torch.zeros((len(points), values.shape[1]), device=self.device)
        for lattice, shift in zip(values.reshape(2, *self.shape, -1), (0.0, 0.5), strict=True):
            # `grid_sample` wants channels first, and x for the last axis.
            places = (((points - low) / self.cell + shift) / last * 2 - 1).flip(1)[None, None, None]
            found += torch.nn.functional.grid_sample(
                lattice.permute(3, 0, 1, 2)[None], places, align_corners=True, padding_mode="border"
            )[0, :, 0, 0].T
        return found / 2

    def wall_distance(self, inset: float = 0.0) -> Tensor:
        """[N] float32 metres from the nearest wall moved inwards by `inset`; positive inside.

        `torch.minimum(sdf, grid.wall_distance(grid.cell))` closes a surface that leaves the box with a flat cap;
        without it the surface ends in an open rim on the wall.
        """
        low, high = self.bounds.float().to(self.device)
        return torch.minimum(self.vertices - low, high - self.vertices).amin(dim=1) - inset

    def wall_freedom(self) -> Tensor:
        """[N, 3] float32: 0 along the normals of the walls that a vertex lies on, else 1.

        A deformation multiplied by it leaves the walls flat, and with them the rim of an open surface.
        """
        low, high = self.bounds.float().to(self.device)
        near = 0.1 * self.cell
        return ((self.vertices - low > near) & (high - self.vertices > near)).float()

    def _number(self, point: tuple[int, ...]) -> int:
        """The number of a vertex at a point in half cells from the first corner: all even, or all odd for middles."""
        middle = point[0] % 2
        lattice = middle * (self.vertex_count // 2)
        return lattice + sum((place + middle) // 2 * stride for place, stride in zip(point, self.strides, strict=True))

    def _edge_mask(self) -> Tensor:
        """[2, *shape, 7] bool: which steps lead from a vertex to another vertex of one of its tetrahedra."""
        corner, middle = self.used
        mask = torch.zeros((2, *self.shape, 7), dtype=torch.bool, device=self.device)
        for axis in range(3):
            mask[0, ..., axis] = corner & corner.roll(-1, axis)
            columns = [slice(1, -1)] * 3
            columns[axis] = slice(0, -1)
            mask[(1, *columns, axis)] = True
        for direction, (_, y, z) in enumerate(DIRECTIONS[3:], start=3):
            # What `roll` wraps round comes from, or goes to, the unused last corners.
            mask[0, ..., direction] = corner & middle.roll((-1, -int(y > 0), -int(z > 0)), (0, 1, 2))
            mask[1, ..., direction] = middle & corner.roll((0, int(y < 0), int(z < 0)), (0, 1, 2))
        return mask


def edge_slots(device: torch.device) -> tuple[Tensor, Tensor]:
    """Of each edge of the tetrahedra around a face, the corner that owns it and its direction.

    Returns:
        [3, 4, 6] int64, 0 to 3, and [3, 4, 6] int32 into `DIRECTIONS`; by the axis that the face lies across, by its
        side, in the order of `TET_PAIRS`.
    """
    owners, directions = [], []
    for axis in range(3):
        for tet in _tets_around_face(axis):
            for first, second in TET_PAIRS:
                step = tuple(b - a for a, b in zip(tet[first], tet[second], strict=True))
                forwards = step in DIRECTIONS
                owners.append(first if forwards else second)
                directions.append(DIRECTIONS.index(step if forwards else tuple(-place for place in step)))
    shape = (3, 4, 6)
    return (
        torch.tensor(owners, device=device).reshape(shape),
        torch.tensor(directions, dtype=torch.int32, device=device).reshape(shape),
    )


def _tets_around_face(axis: int) -> list[list[tuple[int, ...]]]:
    """The four tetrahedra at the face across `axis`, as points in half cells from the face's lowest corner."""
    second, third = (axis + 1) % 3, (axis + 2) % 3
    lower, upper = [1, 1, 1], (1, 1, 1)
    lower[axis] = -1
    sides = []
    for across, up in SIDES:
        side = [0, 0, 0]
        side[second], side[third] = 2 * across, 2 * up
        sides.append(tuple(side))
    return [[tuple(lower), upper, sides[side], sides[(side + 1) % 4]] for side in range(4)]


def _add(point: tuple[int, ...], step: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(point, step, strict=True))
