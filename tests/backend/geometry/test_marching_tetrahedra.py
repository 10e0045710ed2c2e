import math

import numpy as np
import pytest
import torch
from portrait_head.geometry.marching_tetrahedra import END_MARGIN, TetSurface, marching_tetrahedra, sign_consistency
from portrait_head.geometry.tet_grid import TetGrid
from torch import Tensor

from tests.backend.geometry.meshes import areas, euler, is_closed_and_manifold, pieces, rim, volume

CPU = torch.device("cpu")
CELL = 0.01
GRID = TetGrid((0.0, 0.0, 0.0), CELL, (24, 20, 22), CPU)
TINY = TetGrid((0.0, 0.0, 0.0), CELL, (6, 5, 7), CPU)


def ball(points: Tensor, centre: tuple[float, float, float], radius: float) -> Tensor:
    return radius - (points - points.new_tensor(centre)).norm(dim=1)


def torus(points: Tensor, ring: float, tube: float) -> Tensor:
    across = points[:, [0, 2]].norm(dim=1) - ring
    return tube - torch.stack([across, points[:, 1]], dim=1).norm(dim=1)


def surface_of(sdf: Tensor, grid: TetGrid = GRID) -> TetSurface:
    return marching_tetrahedra(grid.tetrahedra, sdf)


def euler_inside(grid: TetGrid, sdf: Tensor) -> int:
    """The Euler number of the simplices with all corners inside, to which the inside can be shrunk.

    A closed surface has twice the Euler number of what it encloses.
    """
    tets = grid.tetrahedra.tets.sort(dim=1).values
    faces = torch.cat([tets[:, [0, 1, 2]], tets[:, [0, 1, 3]], tets[:, [0, 2, 3]], tets[:, [1, 2, 3]]])
    inside = sdf > 0
    faces = faces[inside[faces.long()].all(dim=1)].unique(dim=0)
    edges, tets = (int(inside[simplices.long()].all(dim=1).sum()) for simplices in (grid.tetrahedra.edges, tets))
    return int((inside & grid.used.reshape(-1)).sum()) - edges + len(faces) - tets


def test_a_ball() -> None:
    surface = surface_of(ball(GRID.vertices, (0.003, -0.002, 0.001), 0.08))
    assert is_closed_and_manifold(surface.vertices, surface.triangles)
    assert euler(surface.triangles) == 2
    assert volume(surface.vertices, surface.triangles) == pytest.approx(4 / 3 * math.pi * 0.08**3, rel=0.01)


def test_a_torus() -> None:
    surface = surface_of(torus(GRID.vertices, 0.06, 0.03))
    assert is_closed_and_manifold(surface.vertices, surface.triangles)
    assert euler(surface.triangles) == 0
    # A chord of a cell cuts (cell / tube)^2 / 12 to / 4 of the area off a circle.
    assert volume(surface.vertices, surface.triangles) == pytest.approx(2 * math.pi**2 * 0.06 * 0.03**2, rel=0.03)


# A corner of the lattice, a middle, and neither.
TOUCHES = [(0.0, 0.0, 0.0), (0.005, 0.005, 0.005), (0.0031, -0.0017, 0.0042)]
ALONG_AN_AXIS, ACROSS = (1.0, 0.0, 0.0), (0.6, 0.64, 0.48)


def blobs(touch: tuple[float, float, float], direction: tuple[float, float, float], gap: float) -> Tensor:
    apart = torch.tensor(direction) * (0.04 + gap / 2)
    left, right = (0.04 - (GRID.vertices - (torch.tensor(touch) + side * apart)).norm(dim=1) for side in (-1, 1))
    return torch.maximum(left, right)


@pytest.mark.parametrize("touch", TOUCHES)
@pytest.mark.parametrize(("gap", "count"), [(-CELL / 2, 1), (CELL, 2)])
def test_two_blobs_are_one_where_they_touch_and_two_where_they_do_not(
    touch: tuple[float, float, float], gap: float, count: int
) -> None:
    surface = surface_of(blobs(touch, ACROSS, gap))
    assert is_closed_and_manifold(surface.vertices, surface.triangles)
    assert pieces(surface.triangles) == count
    assert euler(surface.triangles) == 2 * count
    assert volume(surface.vertices, surface.triangles) == pytest.approx(2 * 4 / 3 * math.pi * 0.04**3, rel=0.05)


# Where blobs just touch, the gap beside the point is thinner than a cell, and edges lead over it from one blob to the
# other, most of all those along an axis. What is right then is the topology of what the lattice sees.
@pytest.mark.parametrize("touch", TOUCHES)
@pytest.mark.parametrize("direction", [ALONG_AN_AXIS, ACROSS])
@pytest.mark.parametrize("gap", [-1e-3, 0.0, 1e-6, 1e-3])
def test_two_blobs_that_just_touch_join_as_the_lattice_sees_them(
    touch: tuple[float, float, float], direction: tuple[float, float, float], gap: float
) -> None:
    sdf = blobs(touch, direction, gap)
    surface = surface_of(sdf)
    assert is_closed_and_manifold(surface.vertices, surface.triangles)
    assert euler(surface.triangles) == 2 * euler_inside(GRID, sdf)
    assert volume(surface.vertices, surface.triangles) == pytest.approx(2 * 4 / 3 * math.pi * 0.04**3, rel=0.04)


def test_vertices_lie_on_the_surface_within_the_interpolation_error() -> None:
    # Along an edge of length h the distance to a ball bends by at most 1 / r, so that a straight line misses it by
    # h^2 / (8 r), measured where r is smallest: half an edge inside.
    ball_error = CELL**2 / (8 * (0.08 - CELL))
    vertices = surface_of(ball(GRID.vertices, (0.003, -0.002, 0.001), 0.08)).vertices
    assert float(ball(vertices, (0.003, -0.002, 0.001), 0.08).abs().max()) < ball_error
    tube_error = CELL**2 / (8 * (0.03 - CELL))
    vertices = surface_of(torus(GRID.vertices, 0.06, 0.03)).vertices
    assert float(torus(vertices, 0.06, 0.03).abs().max()) < tube_error


def test_a_plane_is_met_exactly() -> None:
    normal = torch.nn.functional.normalize(torch.tensor([0.3, -0.8, 0.5]), dim=0)
    vertices = surface_of(0.0123 - GRID.vertices @ normal).vertices
    assert float((0.0123 - vertices @ normal).abs().max()) < CELL * END_MARGIN


@pytest.mark.parametrize("seed", range(8))
def test_any_field_gives_a_closed_manifold(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    sdf = torch.randn(TINY.vertex_count, generator=rng)
    if seed % 2:
        sdf = sdf.round()  # two in five are exactly 0
    sdf = torch.where(TINY.wall_distance() < 1e-6, -1.0, sdf)
    surface = surface_of(sdf, TINY)
    assert is_closed_and_manifold(surface.vertices, surface.triangles)
    assert euler(surface.triangles) == 2 * euler_inside(TINY, sdf)
    assert float(areas(surface.vertices, surface.triangles).min()) > 0
    assert volume(surface.vertices, surface.triangles) > 0


def test_zeros_in_the_field_leave_no_triangle_without_area_and_finite_gradients() -> None:
    sdf = (
        (0.06 - GRID.vertices.abs().sum(dim=1) / CELL * CELL).mul(1e4).round().div(1e4)
    )  # an octahedron on the lattice
    tiny = torch.finfo(torch.float32).tiny
    sdf = torch.where(
        sdf == 0, torch.tensor([0.0, -0.0, tiny, -tiny]).repeat(len(sdf))[: len(sdf)], sdf
    ).requires_grad_()
    assert int((sdf.abs() <= tiny).sum()) > 100
    surface = surface_of(sdf)
    assert is_closed_and_manifold(surface.vertices, surface.triangles)
    assert float(areas(surface.vertices.detach(), surface.triangles).min()) > 0
    surface.vertices.square().sum().backward()
    assert sdf.grad is not None
    assert bool(sdf.grad.isfinite().all())


@pytest.mark.parametrize("level", [1.0, -1.0])
def test_a_field_without_zero_has_no_surface(level: float) -> None:
    sdf = torch.full((TINY.vertex_count,), level, requires_grad=True)
    surface = surface_of(sdf, TINY)
    assert surface.vertices.shape == (0, 3)
    assert surface.triangles.shape == (0, 3)
    surface.vertices.sum().backward()
    assert sdf.grad is not None
    assert not sdf.grad.any()


def test_a_surface_that_leaves_the_box_has_one_clean_rim_on_its_wall() -> None:
    wall = GRID.bounds[0, 1]
    deformation = 0.2 * CELL * torch.ones_like(GRID.vertices) * GRID.wall_freedom()
    surface = marching_tetrahedra(GRID.tetrahedra, ball(GRID.vertices, (0.0, -0.07, 0.0), 0.06), deformation)
    open_sides = rim(surface.triangles)
    assert float((surface.vertices[open_sides.reshape(-1), 1] - wall).abs().max()) < 1e-6
    assert len(open_sides[:, 0].unique()) == len(open_sides[:, 1].unique()) == len(open_sides)  # closed lines
    assert (
        pieces(open_sides.new_tensor(np.unique(open_sides, return_inverse=True)[1]).reshape(-1, 2)[:, [0, 1, 1]]) == 1
    )


def test_a_wall_can_cap_a_surface_that_leaves_the_box() -> None:
    sdf = torch.minimum(ball(GRID.vertices, (0.0, -0.07, 0.0), 0.06), GRID.wall_distance(CELL))
    surface = surface_of(sdf)
    assert is_closed_and_manifold(surface.vertices, surface.triangles)
    cap = GRID.bounds[0, 1] + CELL
    height = surface.vertices[:, 1]
    assert float(height.min()) > cap - CELL * 2 * END_MARGIN
    flat = (height - cap).abs() < CELL * 2 * END_MARGIN
    across = math.sqrt(0.06**2 - (cap + 0.07) ** 2)
    within = surface.vertices[:, [0, 2]].norm(dim=1) < across - 2 * CELL
    assert bool(flat[within & (height < cap + CELL)].all())
    assert int(flat.sum()) > 100


def smooth_case() -> tuple[Tensor, Tensor, Tensor]:
    """A field whose crossings stay away from vertices, a deformation, and weights for the vertices; float64."""
    rng = torch.Generator().manual_seed(4)
    sdf = ball(TINY.vertices.double(), (0.001, 0.0007, -0.0004), 0.021)
    sdf = torch.where(sdf.abs() < 2e-4, 2e-4 * torch.where(sdf > 0, 1.0, -1.0), sdf)
    deformation = 0.1 * CELL * torch.randn(TINY.vertex_count, 3, generator=rng, dtype=torch.float64)
    count = len(marching_tetrahedra(TINY.tetrahedra, sdf).vertices)
    return sdf, deformation, torch.randn(count, 3, generator=rng, dtype=torch.float64)


def test_gradients_agree_with_finite_differences() -> None:
    sdf, deformation, weights = smooth_case()

    def energy(sdf: Tensor, deformation: Tensor) -> Tensor:
        vertices = marching_tetrahedra(TINY.tetrahedra, sdf, deformation).vertices
        return (weights * vertices + vertices**2).sum()

    sdf.requires_grad_()
    deformation.requires_grad_()
    gradients = torch.autograd.grad(energy(sdf, deformation), (sdf, deformation))
    step = 1e-8
    rng = torch.Generator().manual_seed(5)
    compared = 0
    with torch.no_grad():
        for which, gradient in enumerate(gradients):
            flat = gradient.reshape(-1)
            touched = flat.nonzero().squeeze(1)
            untouched = (flat == 0).nonzero().squeeze(1)[:20]
            entries = touched[torch.randperm(len(touched), generator=rng)[:100]]
            for entry in torch.cat([entries, untouched]).tolist():
                values = []
                for side in (1, -1):
                    moved = [sdf.clone(), deformation.clone()]
                    moved[which].view(-1)[entry] += side * step
                    values.append(float(energy(*moved)))
                # Sums of some 500 terms near 1 carry 1e-13, which the step turns into 1e-5.
                assert (values[0] - values[1]) / (2 * step) == pytest.approx(float(flat[entry]), rel=1e-3, abs=1e-4)
                compared += abs(float(flat[entry])) > 0.1
    assert compared > 150


def test_field_and_deformation_get_no_gradient_far_from_the_surface() -> None:
    sdf = ball(GRID.vertices, (0.0, 0.0, 0.0), 0.08).requires_grad_()
    deformation = torch.zeros(GRID.vertex_count, 3, requires_grad=True)
    marching_tetrahedra(GRID.tetrahedra, sdf, deformation).vertices.sum().backward()
    far = sdf.detach().abs() > CELL
    assert sdf.grad is not None and deformation.grad is not None
    assert not sdf.grad[far].any()
    assert not deformation.grad[far].any()


def test_equal_input_gives_equal_bytes() -> None:
    results = []
    for _ in range(2):
        sdf = ball(GRID.vertices, (0.003, -0.002, 0.001), 0.08).requires_grad_()
        surface = surface_of(sdf)
        surface.vertices.square().sum().backward()
        results.append((surface.vertices, surface.triangles, surface.crossed, surface.edges, surface.tets, sdf.grad))
    assert all(torch.equal(first, second) for first, second in zip(*results, strict=True))


def test_vertices_and_triangles_know_where_they_came_from() -> None:
    sdf = torus(GRID.vertices, 0.06, 0.03)
    surface = surface_of(sdf)
    table = GRID.tetrahedra
    assert torch.equal(surface.crossed.sort(dim=1).values, table.edges[surface.edges].long())
    inner, outer = surface.crossed.unbind(dim=1)
    assert float(sdf[inner].min()) > 0 >= float(sdf[outer].max())
    edges_of_triangle = surface.edges[surface.triangles.long()]
    found = edges_of_triangle[:, :, None] == table.tet_edges[surface.tets][:, None, :]
    assert bool(found.any(dim=2).all())
    assert bool((surface.tets.diff() >= 0).all())


def test_sign_consistency_is_the_cross_entropy_of_each_end_against_the_other() -> None:
    sdf = torus(GRID.vertices, 0.06, 0.03)
    crossed = surface_of(sdf).crossed
    a, b = (sdf[crossed] / CELL).unbind(dim=1)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    expected = entropy(a, (b > 0).float(), reduction="none") + entropy(b, (a > 0).float(), reduction="none")
    assert torch.allclose(sign_consistency(sdf, crossed, CELL), expected, rtol=1e-5)
    assert float(sign_consistency(sdf, crossed, CELL).min()) >= 2 * math.log(2)
