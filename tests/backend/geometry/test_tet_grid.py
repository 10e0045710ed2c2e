import math
import time

import pytest
import torch
from portrait_head.errors import PortraitHeadError
from portrait_head.geometry.tet_grid import TET_PAIRS, TetGrid
from torch import Tensor

CPU = torch.device("cpu")
CELL = 0.01
BOXES = [(1, 1, 1), (1, 2, 5), (5, 3, 4), (4, 7, 2)]


def small(cells: tuple[int, int, int]) -> TetGrid:
    return TetGrid((0.0, 0.1, -0.02), CELL, cells, CPU)


def volumes(vertices: Tensor, tets: Tensor) -> Tensor:
    a, b, c, d = vertices.double()[tets.long()].unbind(dim=1)
    return ((b - a) * torch.linalg.cross(c - a, d - a)).sum(dim=1) / 6


@pytest.mark.parametrize("cells", BOXES)
def test_tetrahedra_are_positive_and_fill_the_box(cells: tuple[int, int, int]) -> None:
    grid = small(cells)
    volume = volumes(grid.vertices, grid.tetrahedra.tets)
    assert float(volume.min()) > CELL**3 / 25  # a whole one has a twelfth of a cube, one on a wall half of that
    assert float(volume.sum()) == pytest.approx(math.prod(cells) * CELL**3, rel=1e-5)  # float32 vertices


@pytest.mark.parametrize("cells", BOXES)
def test_neighbours_meet_face_to_face_and_the_rest_lies_on_the_walls(cells: tuple[int, int, int]) -> None:
    grid = small(cells)
    tets = grid.tetrahedra.tets
    corners = torch.cat([tets[:, [0, 1, 2]], tets[:, [0, 1, 3]], tets[:, [0, 2, 3]], tets[:, [1, 2, 3]]])
    faces, count = corners.sort(dim=1).values.unique(dim=0, return_counts=True)
    assert int(count.max()) <= 2
    distance = grid.wall_distance()[faces[count == 1].long()]
    assert float(distance.abs().max()) < 1e-6
    # A ball: vertices - edges + faces - tetrahedra = 1.
    assert int(grid.used.sum()) - len(grid.tetrahedra.edges) + len(faces) - len(tets) == 1


@pytest.mark.parametrize("cells", BOXES)
def test_edges_occur_once_and_are_those_of_the_tetrahedra(cells: tuple[int, int, int]) -> None:
    grid = small(cells)
    table = grid.tetrahedra
    pairs = torch.stack([table.tets[:, list(pair)] for pair in TET_PAIRS], dim=1).sort(dim=2).values
    assert torch.equal(table.edges[table.tet_edges.long()], pairs)
    assert len(table.edges.unique(dim=0)) == len(table.edges) == len(table.tet_edges.unique())
    assert len(table.tets.sort(dim=1).values.unique(dim=0)) == len(table.tets)


@pytest.mark.parametrize("cells", BOXES)
def test_edges_are_as_long_as_the_lattice_says(cells: tuple[int, int, int]) -> None:
    grid = small(cells)
    first, second = grid.tetrahedra.edges.long().unbind(dim=1)
    length = (grid.vertices[first] - grid.vertices[second]).norm(dim=1) / CELL
    expected = torch.tensor([1 / 2, math.sqrt(1 / 2), math.sqrt(3 / 4), 1])
    off = (length[:, None] - expected).abs()
    assert float(off.amin(dim=1).max()) < 1e-4
    short = off.argmin(dim=1) < 2
    nearest = torch.minimum(grid.wall_distance()[first], grid.wall_distance()[second])
    assert float(nearest[short].abs().max()) < 1e-6  # only into a wall, and in it


@pytest.mark.parametrize("cells", BOXES)
def test_the_used_vertices_are_those_of_the_tetrahedra_each_in_its_own_place(cells: tuple[int, int, int]) -> None:
    grid = small(cells)
    used = grid.used.reshape(-1).nonzero().squeeze(1)
    assert torch.equal(used, grid.tetrahedra.tets.unique().long())
    assert len((grid.vertices[used] / CELL * 8).round().unique(dim=0)) == len(used)


def test_the_lattice_is_its_own_mirror_image() -> None:
    grid = small((4, 3, 5))
    middles = grid.vertices[grid.tetrahedra.tets.long()].mean(dim=1) / CELL
    mirrored = middles * torch.tensor([-1.0, 1.0, 1.0])
    distance = torch.cdist(middles, mirrored, compute_mode="donot_use_mm_for_euclid_dist")
    assert float(distance.amin(dim=1).max()) < 1e-4


def test_a_box_grows_evenly_to_whole_cubes() -> None:
    bounds = torch.tensor([[-0.13, -0.2, -0.14], [0.13, 0.16, 0.17]])
    grid = TetGrid.over(bounds, 64)
    assert grid.cells[1] == 64
    assert grid.cell == pytest.approx(0.36 / 64, rel=1e-6)
    growth = (grid.bounds - bounds) * torch.tensor([[-1.0], [1.0]])
    assert float(growth.min()) > -1e-6
    assert float(growth.max()) < grid.cell / 2
    assert growth[0].tolist() == pytest.approx(growth[1].tolist(), abs=1e-9)


def test_a_side_of_whole_cubes_gains_none() -> None:
    assert TetGrid.over(torch.tensor([[-0.1, -0.2, -0.1], [0.1, 0.2, 0.1]]), 60).cells == (30, 60, 30)


@pytest.mark.parametrize(
    ("bounds", "resolution"),
    [(((0, 0, 0), (1, 0, 1)), 64), (((0, 0, 0), (1, 1, 1)), 47), (((0, 0, 0), (1, 1, 1)), 257)],
)
def test_an_impossible_grid_is_refused(bounds: tuple, resolution: int) -> None:
    with pytest.raises(PortraitHeadError) as caught:
        TetGrid.over(torch.tensor(bounds, dtype=torch.float32), resolution)
    assert caught.value.kind == "bad_grid"


@pytest.mark.parametrize("seed", range(3))
def test_no_tetrahedron_turns_over_within_the_deformation_limit(seed: int) -> None:
    grid = small((3, 4, 3))
    direction = torch.randn(grid.vertex_count, 3, generator=torch.Generator().manual_seed(seed))
    moves = torch.nn.functional.normalize(direction) * grid.deformation_limit * 0.999 * grid.wall_freedom()
    assert float(volumes(grid.vertices + moves, grid.tetrahedra.tets).min()) > 0


def test_the_deformation_limit_is_not_smaller_than_it_has_to_be() -> None:
    grid = small((3, 3, 3))
    tet = grid.tetrahedra.tets[len(grid.tetrahedra.tets) // 2].long()
    lower, upper, first, second = grid.vertices[tet]
    towards = torch.nn.functional.normalize((first + second - lower - upper), dim=0) * grid.deformation_limit * 1.001
    moves = torch.zeros_like(grid.vertices)
    moves[tet] = torch.stack([towards, towards, -towards, -towards])
    assert float(volumes(grid.vertices + moves, tet[None]).min()) < 0


def test_walls_stay_flat_under_a_freed_deformation() -> None:
    grid = small((3, 4, 5))
    moved = grid.vertices + 0.2 * CELL * grid.wall_freedom()
    low, high = grid.bounds.float()
    on_wall = (grid.vertices - low).abs() < 1e-6
    assert torch.equal(moved[on_wall], grid.vertices[on_wall])
    inner = grid.wall_distance() > 1e-6
    assert float((moved - grid.vertices)[inner].min()) > 0.19 * CELL
    assert bool(((moved > low - 1e-6) & (moved < high + 1e-6)).all())


def test_a_head_at_128_is_laid_out_in_seconds() -> None:
    grid = TetGrid.over(torch.tensor([[-0.13, -0.20, -0.14], [0.13, 0.16, 0.16]]), 128)
    started, worked = time.perf_counter(), time.process_time()
    tetrahedra = grid.tetrahedra
    print(f"{len(tetrahedra.tets)} tetrahedra at 128: {time.perf_counter() - started:.2f} s", end=", ")
    print(f"{time.process_time() - worked:.2f} s of processor time")
    assert len(tetrahedra.tets) == sum(4 * math.prod(grid.face_shape(axis)) for axis in range(3))
    assert int(tetrahedra.tet_edges.max()) == len(tetrahedra.edges) - 1


def test_a_finer_grid_fills_the_same_box_with_half_the_cell():
    grid = TetGrid.over(torch.tensor([[-1.0, -0.5, -0.7], [1.0, 0.5, 0.6]]), 48)
    finer = grid.finer()
    torch.testing.assert_close(finer.bounds, grid.bounds)
    assert finer.cell == grid.cell / 2


def test_interpolation_is_exact_for_linear_fields():
    grid = TetGrid.over(torch.tensor([[-1.0, -0.5, -0.7], [1.0, 0.5, 0.6]]), 48)
    slopes = torch.tensor([[1.0, -2.0], [0.5, 3.0], [2.0, 0.1]])
    low, high = grid.bounds.float()
    points = (
        low
        + grid.cell
        + (high - low - 2 * grid.cell) * torch.rand((200, 3), generator=torch.Generator().manual_seed(0))
    )
    torch.testing.assert_close(grid.interpolate(grid.vertices @ slopes, points), points @ slopes, atol=1e-4, rtol=0)
