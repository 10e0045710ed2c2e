"""Pictures that the diffusion models see, on a ball whose normals are known."""

import numpy as np
import pytest
import torch
from portrait_head.diffusion.guidance_images import decode_depth, decode_normals, encode_depth, encode_normals
from portrait_head.rendering.orbit import orbit_view
from portrait_head.rendering.tensor_camera import TensorCamera

SIDE = 64
CENTRE = torch.tensor([0.0, 0.1, 0.02])
RADIUS = 0.12
VIEWS = [(0, 0), (0, 90), (0, 180), (0, -90), (80, 0), (-80, 40)]  # elevation, azimuth


def ball(camera: TensorCamera) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """World normals [H, W, 3], depth [H, W] and mask [H, W] of the ball, by intersecting every pixel's ray."""
    pixels = np.stack(np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5), axis=-1)
    pinhole = camera.to_pinhole()
    rays, eye, centre = pinhole.rays(pixels), pinhole.position, CENTRE.numpy().astype(float)
    middle = rays @ (centre - eye)
    inside = middle**2 - ((centre - eye) ** 2).sum() + RADIUS**2
    hit = inside > 0
    points = eye + rays * (middle - np.sqrt(np.maximum(inside, 0)))[..., None]
    normals = np.where(hit[..., None], (points - centre) / RADIUS, 0)
    depth = np.where(hit, -pinhole.to_camera(points)[..., 2], 0)
    return tuple(torch.from_numpy(array).float() for array in (normals, depth, hit.astype(float)))  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize(("elevation", "azimuth"), VIEWS)
def test_a_ball_looks_the_same_from_everywhere(elevation, azimuth):
    """Its camera-space normals do; world normals, another view's camera or a second encoding would not."""
    camera = orbit_view(elevation, azimuth, 0.6, 30.0, CENTRE, SIDE, SIDE).camera
    normals, _, mask = ball(camera)
    picture = encode_normals(camera.directions_to_camera(normals), mask)
    assert picture.shape == (1, 3, SIDE, SIDE)
    red, green, blue = picture[0]
    middle, edge = SIDE // 2, int(mask[SIDE // 2].nonzero().min())
    # At the middle the surface faces the viewer; half a pixel off is less than 0.02 of direction.
    assert picture[0, :, middle, middle].numpy() == pytest.approx([0.5, 0.5, 1.0], abs=0.03)
    assert red[middle, SIDE - 1 - edge] > 0.9 > 0.1 > red[middle, edge]  # red grows to the right
    assert green[edge, middle] > 0.9 > 0.1 > green[SIDE - 1 - edge, middle]  # green grows upwards
    assert float(blue[mask > 0].min()) > 0.5  # nothing that is seen faces away
    reference = orbit_view(0, 0, 0.6, 30.0, CENTRE, SIDE, SIDE).camera
    front = encode_normals(reference.directions_to_camera(ball(reference)[0]), ball(reference)[2])
    torch.testing.assert_close(picture, front, atol=2e-3, rtol=0)


def test_normals_survive_the_way_there_and_back():
    camera = orbit_view(10, 30, 0.6, 30.0, CENTRE, SIDE, SIDE).camera
    normals, _, mask = ball(camera)
    seen = camera.directions_to_camera(normals)
    torch.testing.assert_close(decode_normals(encode_normals(seen, mask), mask), seen, atol=1e-5, rtol=0)


def test_outside_is_black_and_an_edge_fades_towards_it():
    normals = torch.zeros(1, 3, 3)
    normals[0, :2] = torch.tensor([1.0, 0.0, 0.0])
    picture = encode_normals(normals, torch.tensor([[1.0, 0.5, 0.0]]))
    assert picture[0, :, 0].T.tolist() == [[1.0, 0.5, 0.5], [0.5, 0.25, 0.25], [0.0, 0.0, 0.0]]


def test_nearer_is_brighter_and_depth_comes_back_up_to_scale_and_shift():
    camera = orbit_view(0, 0, 0.6, 30.0, CENTRE, SIDE, SIDE).camera
    _, depth, mask = ball(camera)
    picture = encode_depth(depth, mask)
    assert picture.shape == (1, 3, SIDE, SIDE)
    assert float(picture.max()) == pytest.approx(1.0)
    assert int(picture[0, 0].argmax()) // SIDE in (SIDE // 2 - 1, SIDE // 2)
    assert float(picture[0, 0][mask == 0].abs().max()) == 0.0
    relative = decode_depth(picture, mask)[mask > 0]
    assert np.corrcoef(relative, (-1.0 / depth[mask > 0]))[0, 1] == pytest.approx(1.0, abs=1e-5)
    assert (float(relative.min()), float(relative.max())) == pytest.approx((0.0, 1.0), abs=1e-5)


def test_gradients_are_those_of_finite_differences():
    generator = torch.Generator().manual_seed(0)
    mask = torch.ones(4, 4, dtype=torch.float64)
    mask[0] = 0.0
    depth = 0.5 + 0.1 * torch.rand(4, 4, generator=generator, dtype=torch.float64)
    nearest, farthest = depth[1:].argmin(), depth[1:].argmax()
    normals = torch.randn(4, 4, 3, generator=generator, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda n: encode_normals(n, mask), (normals,))
    # The stretch carries no gradient, so the ends of the range are held still for the comparison.
    free = torch.ones(12, dtype=torch.float64)
    free[nearest] = free[farthest] = 0.0
    move = torch.randn(12, generator=generator, dtype=torch.float64) * free
    direction = torch.cat([torch.zeros(4, dtype=torch.float64), move]).view(4, 4)
    variable = depth.clone().requires_grad_()
    probe = torch.randn(1, 3, 4, 4, generator=generator, dtype=torch.float64)
    (encode_depth(variable, mask) * probe).sum().backward()
    assert variable.grad is not None
    step = 1e-6
    moved = [(encode_depth(depth + sign * step * direction, mask) * probe).sum() for sign in (1, -1)]
    assert float((variable.grad * direction).sum()) == pytest.approx(float(moved[0] - moved[1]) / (2 * step), rel=1e-6)


def test_an_empty_view_is_a_black_picture():
    empty = torch.zeros(4, 4, requires_grad=True)
    picture = encode_depth(empty, torch.zeros(4, 4))
    assert float(picture.abs().max().detach()) == 0.0
    picture.sum().backward()
    assert float(decode_depth(torch.rand(1, 3, 4, 4), torch.zeros(4, 4)).abs().max()) == 0.0


def test_a_covered_pixel_without_depth_stays_black():
    """At an outline the antialiased mask reaches pixels that no surface fills."""
    depth = torch.tensor([[0.5, 0.6, 0.0]], requires_grad=True)
    picture = encode_depth(depth, torch.tensor([[1.0, 1.0, 0.7]]))
    picture.square().sum().backward()
    assert picture[0, 0].tolist() == [[pytest.approx(1.0), 0.0, 0.0]]
    assert depth.grad is not None
    assert torch.isfinite(depth.grad).all()
