import pytest
import torch
from portrait_head.geometry.active_band import ActiveBand, BandExtractor
from portrait_head.geometry.marching_tetrahedra import TetSurface, marching_tetrahedra
from portrait_head.geometry.tet_grid import TetGrid
from torch import Tensor

CELL = 0.01
GRID = TetGrid((0.0, 0.0, 0.0), CELL, (24, 20, 22), torch.device("cpu"))


def ball(centre: tuple[float, float, float], radius: float) -> Tensor:
    return radius - (GRID.vertices - torch.tensor(centre)).norm(dim=1)


def wavy(phase: float) -> Tensor:
    """A field far from a distance: its surface comes and goes in many places, and leaves the box."""
    x, y, z = (GRID.vertices * 60).unbind(dim=1)
    return 3 * torch.sin(x + phase) + torch.sin(2 * y - phase) + torch.sin(z) - 1.5


def in_band(band: ActiveBand, sdf: Tensor, deformation: Tensor) -> TetSurface:
    return marching_tetrahedra(band.tetrahedra, sdf[band.vertices], deformation[band.vertices])


def noise(seed: int) -> Tensor:
    return CELL / 10 * torch.randn(GRID.vertex_count, 3, generator=torch.Generator().manual_seed(seed))


def same(in_band: TetSurface, whole: TetSurface, band: ActiveBand) -> bool:
    return (
        torch.equal(in_band.vertices, whole.vertices)
        and torch.equal(in_band.triangles, whole.triangles)
        and torch.equal(band.vertices[in_band.crossed], whole.crossed)
    )


@pytest.mark.parametrize("hops", [0, 1, 3])
@pytest.mark.parametrize("sdf", [ball((0.004, 0.0, -0.003), 0.07), ball((0.0, -0.07, 0.0), 0.06), wavy(0.3)])
def test_the_band_gives_what_the_grid_gives(sdf: Tensor, hops: int) -> None:
    band = ActiveBand.around(GRID, sdf, hops)
    deformation = noise(0)
    whole = marching_tetrahedra(GRID.tetrahedra, sdf, deformation)
    assert same(in_band(band, sdf, deformation), whole, band)
    assert not band.needs_refresh(sdf[band.vertices])
    assert not band.misses(sdf)


def test_a_band_around_a_ball_is_a_small_part_of_the_grid() -> None:
    band = ActiveBand.around(GRID, ball((0.0, 0.0, 0.0), 0.05), 0)
    assert len(band.tetrahedra.tets) < len(GRID.tetrahedra.tets) / 5


def test_the_bands_tables_are_the_grids() -> None:
    band = ActiveBand.around(GRID, ball((0.004, 0.0, -0.003), 0.07))
    table = band.tetrahedra
    assert torch.equal(table.vertices, GRID.vertices[band.vertices])
    assert torch.equal(table.tets.unique(), torch.arange(len(band.vertices), dtype=torch.int32))
    assert torch.equal(table.tet_edges.unique(), torch.arange(len(table.edges), dtype=torch.int32))
    members = GRID.tetrahedra.tets.unique(dim=0)
    both = torch.cat([members, band.vertices[table.tets].int()]).unique(dim=0)
    assert len(both) == len(members)


@pytest.mark.parametrize("hops", [0, 1])
@pytest.mark.parametrize("shape", ["wavy", "ball"])
def test_a_moving_surface_never_leaves_the_band_unnoticed(shape: str, hops: int) -> None:
    deformation = noise(1)
    band = None
    laid = 0
    for step in range(20):
        sdf = wavy(0.3 + 0.04 * step) if shape == "wavy" else ball((0.001 * step, 0.0, 0.0), 0.06 + 0.001 * step)
        if band is None or band.misses(sdf):
            band = ActiveBand.around(GRID, sdf, hops)
            laid += 1
        whole = marching_tetrahedra(GRID.tetrahedra, sdf, deformation)
        assert same(in_band(band, sdf, deformation), whole, band)
    assert 2 <= laid < 20


@pytest.mark.parametrize(("hops", "fewest", "most"), [(0, 4, 30), (1, 2, 12), (3, 1, 6)])
def test_optimising_in_bands_is_optimising_over_the_grid(hops: int, fewest: int, most: int) -> None:
    """A ball grows by gradient steps on the values in the band alone, which a descent over the whole grid confirms."""

    def step(vertices: Tensor, values: Tensor) -> Tensor:
        energy = (vertices.norm(dim=1) - 0.075).square().sum()
        (gradient,) = torch.autograd.grad(energy, values)
        return (values - (200 * gradient).clamp(-CELL / 10, CELL / 10)).detach()

    extractor = BandExtractor(GRID, hops)
    sdf = ball((0.002, 0.0, 0.0), 0.05)
    everywhere = sdf.clone()
    band = extractor.around(sdf)
    values = sdf[band.vertices]
    laid = 1
    for _ in range(60):
        if band.needs_refresh(values):
            sdf[band.vertices] = values
            band = extractor.around(sdf)
            values = sdf[band.vertices]
            laid += 1
        values.requires_grad_()
        everywhere.requires_grad_()
        surface = band.extract(values, torch.zeros(len(values), 3))
        whole = marching_tetrahedra(GRID.tetrahedra, everywhere)
        assert torch.equal(surface.vertices, whole.vertices)
        assert torch.equal(surface.triangles, whole.triangles)
        values, everywhere = step(surface.vertices, values), step(whole.vertices, everywhere)
    sdf[band.vertices] = values
    assert torch.equal(sdf, everywhere)
    assert fewest <= laid <= most
    assert float((surface.vertices.detach().norm(dim=1) - 0.075).abs().mean()) < CELL / 2


def test_a_change_far_from_the_band_is_noticed() -> None:
    sdf = ball((0.0, 0.0, 0.0), 0.05)
    band = ActiveBand.around(GRID, sdf)
    known = torch.where(GRID.used.reshape(-1), sdf, 0)
    for place in (known.argmin(), known.argmax()):  # the farthest outside, the deepest inside
        assert not torch.isin(place, band.vertices)
        changed = sdf.clone()
        changed[place] *= -1
        assert band.misses(changed)


def test_every_change_of_side_that_the_band_could_miss_is_watched() -> None:
    sdf = ball((0.0, 0.0, 0.0), 0.05)
    band = ActiveBand.around(GRID, sdf)
    inside_band = torch.zeros(GRID.vertex_count, dtype=torch.bool)
    inside_band[band.vertices] = True
    members = {tuple(tet) for tet in band.vertices[band.tetrahedra.tets].tolist()}
    outside = torch.tensor([tet for tet in GRID.tetrahedra.tets.tolist() if tuple(tet) not in members])
    exposed = torch.zeros(GRID.vertex_count, dtype=torch.bool)
    exposed[outside.reshape(-1)] = True
    assert bool((band.watched | ~exposed).all())
    rim = torch.zeros(GRID.vertex_count, dtype=torch.bool)
    rim[band.vertices[band.rim]] = True
    assert torch.equal(rim, inside_band & band.watched)


@pytest.mark.parametrize("level", [1.0, -1.0])
def test_a_field_without_zero_has_an_empty_band(level: float) -> None:
    band = ActiveBand.around(GRID, torch.full((GRID.vertex_count,), level))
    values = torch.empty(0, requires_grad=True)
    assert len(band.vertices) == 0
    assert not band.needs_refresh(values)
    assert band.extract(values, torch.empty(0, 3)).triangles.shape == (0, 3)


def test_laying_a_band_needs_no_tables_of_the_grid() -> None:
    grid = TetGrid((0.0, 0.0, 0.0), CELL, (24, 20, 22), torch.device("cpu"))
    ActiveBand.around(grid, ball((0.0, 0.0, 0.0), 0.05))
    assert "tetrahedra" not in vars(grid)
