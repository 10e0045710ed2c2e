"""A found state on a finer grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from portrait_head.geometry.surface import vertex_normals
from portrait_head.geometry.tet_grid import TetGrid
from portrait_head.sculpting.config import FieldConfig
from portrait_head.sculpting.field import SurfaceField
from portrait_head.sculpting.start import depth_on_grid

RADIUS, RESOLUTION = 0.08, 48


def ball(points: np.ndarray) -> np.ndarray:
    return (RADIUS - np.linalg.norm(points, axis=1)).astype(np.float32)


@pytest.fixture(scope="module")
def field() -> SurfaceField:
    grid = TetGrid.over(torch.tensor([[-0.12] * 3, [0.12] * 3], dtype=torch.float64), RESOLUTION)
    return SurfaceField(grid, depth_on_grid(grid, ball), 0.01, FieldConfig(), torch.ones(grid.vertex_count))


def test_a_finer_surface_lies_on_the_body_itself(field: SurfaceField) -> None:
    state = field.state()
    surface = field.surface(state, state, ball)
    cell = 0.24 / RESOLUTION / 2
    off = np.abs(ball(surface.vertices.numpy()))
    assert off.max() < cell**2 / (8 * RADIUS) * 1.5  # a chord's height over an arc, edges being up to a cell long
    assert len(surface.triangles) > 10_000
    assert (vertex_normals(surface.vertices.numpy(), surface.triangles.numpy()) * surface.vertices.numpy()).sum() > 0


def test_a_fine_grid_keeps_its_cells(field: SurfaceField) -> None:
    grid = TetGrid.over(torch.tensor([[-0.12] * 3, [0.12] * 3], dtype=torch.float64), 96)
    fine = SurfaceField(grid, depth_on_grid(grid, ball), 0.01, FieldConfig(), torch.ones(grid.vertex_count))
    state = fine.state()
    grown = replace(state, offsets=state.offsets + 0.002)
    surface = fine.surface(grown, grown, ball)  # its samples are the body, whatever set them
    radii = np.linalg.norm(surface.vertices.numpy(), axis=1)
    assert radii.mean() == pytest.approx(RADIUS + 0.002, abs=1e-4)
    halved = field.surface(field.state(), field.state(), ball)
    assert len(surface.triangles) == pytest.approx(len(halved.triangles) * 1.025**2, rel=0.02)  # for a larger ball


def test_what_was_found_is_added_and_what_only_set_the_samples_is_not(field: SurfaceField) -> None:
    start = field.state()
    settled = replace(start, offsets=start.offsets + 0.001)
    grown = replace(settled, offsets=settled.offsets + 0.003)
    radii = np.linalg.norm(field.surface(grown, settled, ball).vertices.numpy(), axis=1)
    assert radii.mean() == pytest.approx(RADIUS + 0.003, abs=1e-4)


def test_lattices_carry_the_finer_surface(field: SurfaceField) -> None:
    start = field.state()
    step = torch.tensor([0.004, 0.0, 0.0])[None, :, None, None, None]
    carried = replace(start, lattices=(start.lattices[0] + step, *start.lattices[1:]))
    middle = field.surface(carried, start, ball).vertices.mean(dim=0)
    torch.testing.assert_close(middle, torch.tensor([0.004, 0.0, 0.0]), atol=1e-4, rtol=0)
