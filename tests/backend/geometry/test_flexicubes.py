import math

import pytest
import torch
from portrait_head.errors import PortraitHeadError
from portrait_head.geometry import flexicubes
from portrait_head.geometry.flexicubes import CUBE_CORNERS, CubeGrid, FlexiCubesExtractor
from torch import Tensor

from tests.backend.geometry.meshes import is_closed_and_manifold, volume

BOUNDS = torch.tensor([[-0.1, -0.12, -0.09], [0.1, 0.13, 0.09]])
with_kaolin = pytest.mark.skipif(not flexicubes.available(), reason="kaolin is not installed")


def ball(points: Tensor, radius: float) -> Tensor:
    return radius - (points - points.new_tensor([0.003, 0.0, -0.002])).norm(dim=1)


def test_cubes_are_cubes_that_fill_the_box() -> None:
    grid = CubeGrid.over(BOUNDS, 25)
    assert grid.cells == (20, 25, 18)
    assert len(grid.cubes) == 20 * 25 * 18
    corners = grid.vertices[grid.cubes]
    expected = corners[:, :1] + 0.01 * torch.tensor(CUBE_CORNERS, dtype=torch.float32)
    assert torch.allclose(corners, expected, atol=1e-6)
    assert torch.allclose(grid.vertices.amin(dim=0), BOUNDS[0], atol=1e-6)
    assert torch.allclose(grid.vertices.amax(dim=0), BOUNDS[1], atol=1e-6)


def test_crossed_edges_lead_from_inside_to_outside_over_one_cell() -> None:
    grid = CubeGrid.over(BOUNDS, 25)
    sdf = ball(grid.vertices, 0.06)
    inner, outer = grid.crossed(sdf).unbind(dim=1)
    assert float(sdf[inner].min()) > 0 >= float(sdf[outer].max())
    length = (grid.vertices[inner] - grid.vertices[outer]).norm(dim=1)
    assert torch.allclose(length, torch.tensor(0.01), atol=1e-6)
    # Lines along an axis enter and leave a ball once each, one a cell.
    assert len(inner) == pytest.approx(3 * 2 * math.pi * 6**2, rel=0.05)


@pytest.mark.skipif(flexicubes.available(), reason="kaolin is installed")
def test_without_kaolin_the_user_is_told_what_to_do() -> None:
    with pytest.raises(PortraitHeadError, match="kaolin") as caught:
        FlexiCubesExtractor(BOUNDS, 25)
    assert caught.value.kind == "missing_package"


@with_kaolin
def test_flexicubes_make_a_ball_with_gradients_to_all_that_is_optimised() -> None:
    extractor = FlexiCubesExtractor(BOUNDS, 25)
    active = extractor.around(ball(extractor.vertices, 0.06))
    values = ball(extractor.vertices, 0.06)[active.vertices].requires_grad_()
    deformation = torch.zeros(len(values), 3, requires_grad=True)
    surface = active.extract(values, deformation)
    vertices = surface.vertices.detach()
    assert is_closed_and_manifold(vertices, surface.triangles)
    # A vertex is the mean of its cube's crossings, a little inside of where a ball bulges; a cell is 10 mm.
    assert volume(vertices, surface.triangles) == pytest.approx(4 / 3 * math.pi * 0.06**3, rel=0.05)
    assert float(ball(vertices, 0.06).abs().max()) < 0.002
    assert not active.needs_refresh(values)
    (surface.vertices.square().sum() + surface.deviation.sum()).backward()
    for tensor in (values, deformation, *extractor.parameters()):
        assert tensor.grad is not None
        assert bool(tensor.grad.isfinite().all())
        assert bool(tensor.grad.any())
