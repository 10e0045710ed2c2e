"""Outlines have the gradients of the area that they enclose, and pixels there the share that is covered."""

from __future__ import annotations

import math

import pytest
import torch
from portrait_head.rendering.reference_rasteriser import ReferenceRasteriser
from portrait_head.rendering.silhouettes import Crossings, blend
from portrait_head.rendering.tensor_camera import TensorCamera, look_at
from portrait_head.rendering.warp_rasteriser import WarpRasteriser

from tests.backend.rendering.meshes import box, globe, rough, turned

SIZE = 128
VIEW = look_at(torch.tensor([0.0, 0.0, 0.5]), torch.zeros(3), 35.0, SIZE, SIZE)
FLAT = TensorCamera(torch.eye(3), torch.tensor([0.0, 0.0, -1.0]), 100.0, (0.0, 0.0), 32, 32)  # 1 cm a pixel

BODIES = {
    "sphere of large triangles": globe(10, 14),
    "sphere": globe(32, 48),
    "sphere finer than pixels": globe(200, 300),
    "rough sphere": rough(globe(32, 48), 0.002),
    "rough sphere finer than pixels": rough(globe(120, 180), 0.0005),
    "box": (turned(box()[0], (20, 30, 10)), box()[1]),
    "box that faces the camera": (turned(box()[0], (3, -2, 4)), box()[1]),
}
CHANGES = {
    "growing": lambda vertices, amount: vertices * (1 + amount),
    "widening": lambda vertices, amount: vertices * torch.stack([1 + amount, amount * 0 + 1, amount * 0 + 1]),
    "coming closer": lambda vertices, amount: vertices + torch.stack([amount * 0, amount * 0, amount]),
}


def coverage(vertices, triangles, view=VIEW, rasteriser=None):
    rasteriser = rasteriser or WarpRasteriser()
    fragments = rasteriser.rasterise(vertices, triangles, view)
    mask = fragments.covered[..., None].to(vertices.dtype)
    return rasteriser.antialias(mask, fragments, vertices, triangles, view)[..., 0]


def pixel_count(vertices, triangles, oversampling=12):
    """The covered area in pixels, counted on a finer grid: no antialiasing has a part in it."""
    view = VIEW.resized(SIZE * oversampling, SIZE * oversampling)
    covered = WarpRasteriser().rasterise(vertices, triangles, view).covered
    return float(covered.sum()) / oversampling**2


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("body", BODIES)
def test_gradient_of_area_is_its_finite_difference(body, change):
    vertices, triangles = BODIES[body][0].float(), BODIES[body][1]
    step = 0.01
    ahead, behind = (pixel_count(CHANGES[change](vertices, torch.tensor(d)), triangles) for d in (step, -step))
    amount = torch.zeros((), requires_grad=True)
    (rate,) = torch.autograd.grad(coverage(CHANGES[change](vertices, amount), triangles).sum(), amount)
    # The bar is 5 %. Steep and flat parts of an outline are counted along rows and columns apart, which is what costs.
    assert float(rate) == pytest.approx((ahead - behind) / (2 * step), rel=0.05)


@pytest.mark.parametrize("direction", [(1.0, 0.0), (0.0, 1.0), (0.6, -0.8)])
@pytest.mark.parametrize("body", BODIES)
def test_body_that_leaves_a_window_uncovers_it_at_the_right_rate(body, direction):
    vertices, triangles = BODIES[body][0].float(), BODIES[body][1]
    shift = torch.tensor([*direction, 0.0])
    window = torch.zeros(SIZE, SIZE)
    window[: SIZE // 2 + 9, SIZE // 2 - 5 :] = 1  # not symmetric, so that what leaves is not what enters

    def seen(amount, oversampling):
        view = VIEW.resized(SIZE * oversampling, SIZE * oversampling)
        covered = WarpRasteriser().rasterise(vertices + shift * amount, triangles, view).covered.float()
        return float((torch.nn.functional.avg_pool2d(covered[None], oversampling)[0] * window).sum())

    step = 0.002
    difference = (seen(step, 12) - seen(-step, 12)) / (2 * step)
    amount = torch.zeros((), requires_grad=True)
    (rate,) = torch.autograd.grad((coverage(vertices + shift * amount, triangles) * window).sum(), amount)
    outline = 2 * math.pi * 0.1 * VIEW.focal**2 / 0.5**2  # what the whole outline would sweep at most, pixels a metre
    assert float(rate) == pytest.approx(difference, rel=0.05, abs=0.01 * outline)


@pytest.mark.parametrize("body", BODIES)
def test_covered_share_sums_to_the_area(body):
    vertices, triangles = BODIES[body][0].float(), BODIES[body][1]
    drawn = coverage(vertices, triangles)
    assert float(drawn.min()) >= 0 and float(drawn.max()) <= 1
    assert float(drawn.sum()) == pytest.approx(pixel_count(vertices, triangles), rel=2e-3)


def square(left, right, top, bottom, depth=0.0):
    """An upright square between pixel edges of the flat camera."""
    scale = 0.01 * (1 - depth)  # farther squares are larger by as much
    corners = [(left, top), (left, bottom), (right, bottom), (right, top)]
    vertices = torch.tensor([[x * scale, -y * scale, depth] for x, y in corners])
    return vertices, torch.tensor([[0, 1, 2], [0, 2, 3]])


@pytest.mark.parametrize("rasteriser", [WarpRasteriser(), ReferenceRasteriser()])
@pytest.mark.parametrize("edge", [20.0, 20.2, 20.49, 20.51, 20.8])
def test_upright_edge_covers_exactly_its_share_of_a_pixel(rasteriser, edge):
    vertices, triangles = square(10.0, edge, 5.0, 15.0)
    row = coverage(vertices, triangles, FLAT, rasteriser)[10]
    assert float(row[20]) == pytest.approx(edge - 20, abs=1e-4)
    assert float(row[19]) == pytest.approx(1, abs=1e-4) and float(row[21]) == 0
    assert float(row[10]) == pytest.approx(1, abs=1e-4) and float(row[9]) == pytest.approx(0, abs=1e-4)


def test_gradient_belongs_to_the_edge_that_moves():
    vertices, triangles = square(10.2, 20.3, 5.1, 15.4)
    vertices.requires_grad_()
    (gradient,) = torch.autograd.grad(coverage(vertices, triangles, FLAT).sum(), vertices)
    # Ten rows of pixels, a hundred pixels a metre.
    assert float(gradient[2:, 0].sum()) == pytest.approx(10 * 100, rel=1e-4)
    assert float(gradient[:2, 0].sum()) == pytest.approx(-10 * 100, rel=1e-4)
    assert float(gradient[[0, 3], 1].sum()) == pytest.approx(10 * 100, rel=1e-4)


def test_nearer_outline_blends_over_what_lies_behind_it():
    near, near_triangles = square(10.0, 20.3, 5.0, 15.0)
    far, far_triangles = square(2.0, 30.0, 2.0, 30.0, depth=-0.5)
    vertices, triangles = torch.cat([near, far]), torch.cat([near_triangles, far_triangles + 4])
    vertices.requires_grad_()
    colours = torch.tensor([[0.8]] * 4 + [[0.2]] * 4)
    rasteriser = WarpRasteriser()
    fragments = rasteriser.rasterise(vertices, triangles, FLAT)
    drawn = rasteriser.antialias(
        rasteriser.interpolate(colours, triangles, fragments), fragments, vertices, triangles, FLAT
    )
    assert drawn[10, 20].item() == pytest.approx(0.3 * 0.8 + 0.7 * 0.2, abs=1e-4)
    (gradient,) = torch.autograd.grad(drawn[10, 20].sum(), vertices)
    assert float(gradient[2:4, 0].sum()) == pytest.approx(0.6 * 100, rel=1e-3)
    assert float(gradient[4:].abs().max()) == 0  # the far square's outline has no part in it


def test_outline_hidden_behind_a_nearer_surface_does_nothing():
    near, near_triangles = square(2.0, 30.0, 2.0, 30.0)
    far, far_triangles = square(10.0, 20.3, 5.0, 15.0, depth=-0.5)
    vertices, triangles = torch.cat([near, far]), torch.cat([near_triangles, far_triangles + 4]).flip(0)
    image = torch.rand(32, 32, 3, generator=torch.Generator().manual_seed(1))
    rasteriser = WarpRasteriser()
    fragments = rasteriser.rasterise(vertices, triangles, FLAT)
    drawn = rasteriser.antialias(image, fragments, vertices, triangles, FLAT)
    assert torch.equal(drawn[4:28, 4:28], image[4:28, 4:28])


def test_edges_inside_a_surface_are_no_outlines():
    vertices, triangles = globe(24, 32)
    image = torch.rand(SIZE, SIZE, 3, generator=torch.Generator().manual_seed(2))
    rasteriser = WarpRasteriser()
    fragments = rasteriser.rasterise(vertices.float(), triangles, VIEW)
    changed = rasteriser.antialias(image, fragments, vertices.float(), triangles, VIEW) != image
    across = torch.arange(SIZE) + 0.5 - SIZE / 2
    radius = (across[:, None] ** 2 + across**2).sqrt()
    rim = VIEW.focal * 0.1 / math.sqrt(0.5**2 - 0.1**2)
    assert not bool(changed.any(dim=-1)[(radius - rim).abs() > 3].any())


def test_open_rim_is_an_outline_whichever_side_of_the_surface_is_seen():
    vertices, triangles = globe(24, 32)
    vertices = vertices.float()
    bowl = triangles[(vertices[triangles][:, :, 2] < 0.05).any(dim=1)]  # open towards the viewer: its inside is seen
    amount = torch.zeros((), requires_grad=True)
    drawn = coverage(vertices * (1 + amount), bowl)
    (rate,) = torch.autograd.grad(drawn.sum(), amount)
    (whole,) = torch.autograd.grad(coverage(vertices * (1 + amount), triangles).sum(), amount)
    assert float(rate) == pytest.approx(float(whole), rel=1e-3)  # the same outline
    assert torch.allclose(drawn, coverage(vertices, bowl.flip(1)), atol=1e-4)  # whichever way the triangles turn


def test_blending_has_the_gradients_of_finite_differences():
    generator = torch.Generator().manual_seed(3)
    image = torch.rand(6, 7, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    ends = torch.tensor([[2.4, 0.5], [3.2, 4.8], [0.3, 2.1], [6.7, 2.9]], dtype=torch.float64)
    vertices = torch.cat([ends * torch.tensor([0.01, -0.01]), torch.full((4, 1), -1.0)], dim=1).double()
    vertices.requires_grad_()
    crossings = Crossings(
        axis=torch.tensor([0, 0, 1, 1]),
        row=torch.tensor([1, 2, 1, 1]),
        column=torch.tensor([2, 2, 1, 4]),
        surface_second=torch.tensor([False, True, True, False]),
        edge=torch.tensor([[0, 1], [0, 1], [2, 3], [2, 3]]),
    )
    view = TensorCamera(torch.eye(3), torch.zeros(3), 100.0, (0.0, 0.0), 7, 6)
    assert torch.autograd.gradcheck(lambda i, v: blend(i, crossings, v, view), (image, vertices), eps=1e-7, atol=1e-4)
