"""The Warp rasteriser agrees with the brute-force reference, in values and gradients, and with its conventions."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from portrait_head.errors import PortraitHeadError
from portrait_head.rendering.normals import vertex_normals
from portrait_head.rendering.rasteriser import make_rasteriser
from portrait_head.rendering.reference_rasteriser import ReferenceRasteriser
from portrait_head.rendering.tensor_camera import TensorCamera, look_at
from portrait_head.rendering.warp_rasteriser import WarpRasteriser

from tests.backend.rendering.meshes import box, globe, soup, turned

WIDTH, HEIGHT = 56, 48


def camera(eye=(0.05, 0.02, 0.5), field_of_view=35.0):
    # Made in float32, so that it is exactly the same camera in both dtypes.
    return look_at(torch.tensor(eye), torch.zeros(3), field_of_view, WIDTH, HEIGHT)


def in_dtype(view, dtype):
    return TensorCamera(view.rotation.to(dtype), view.translation.to(dtype), view.focal, view.centre, WIDTH, HEIGHT)


def grazing():
    vertices, triangles = globe(8, 12)
    return vertices * torch.tensor([1.0, 1e-3, 1.0]), triangles  # a disc seen almost from its edge


def degenerate():
    vertices, triangles = soup(30, 0.1, 7)
    vertices[3:6] = vertices[3]  # a point
    vertices[8] = (vertices[6] + vertices[7]) / 2  # a line
    triangles[4] = triangles[4, 0]
    return vertices, triangles


def around_the_camera():
    vertices, triangles = soup(80, 0.4, 8)
    return vertices * 4, triangles  # before it, behind it, and through its plane


SCENES = {
    "small triangles": soup(150, 0.05, 1),
    "overlapping": soup(40, 0.3, 2),
    "one triangle": soup(1, 0.4, 3),
    "beyond the border": soup(30, 1.5, 4),
    "around the camera": around_the_camera(),
    "grazing": grazing(),
    "degenerate": degenerate(),
    "closed and smooth": (turned(globe(12, 16)[0], (7, 11, 3)), globe(12, 16)[1]),
    "finer than pixels": globe(30, 40, 0.05),
    "closed and sharp": (turned(box()[0], (20, 30, 10)), box()[1]),
    "two bodies that touch": (
        torch.cat([globe(8, 12)[0], box()[0] + 0.06]),
        torch.cat([globe(8, 12)[1], box()[1] + 86]),
    ),
    "empty": (torch.rand(5, 3).double(), torch.zeros(0, 3, dtype=torch.long)),
}


@dataclass
class Drawn:
    """What a rasteriser made of a scene, in float64, and gradients of a random weighing of it."""

    ids: torch.Tensor
    barycentrics: torch.Tensor
    depth: torch.Tensor
    values: torch.Tensor
    picture: torch.Tensor
    vertex_gradient: torch.Tensor
    attribute_gradient: torch.Tensor


def draw(rasteriser, scene, dtype, view=None):
    view = in_dtype(view or camera(), dtype)
    generator = torch.Generator().manual_seed(11)
    vertices = scene[0].to(dtype).requires_grad_()
    attributes = torch.rand(len(vertices), 4, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    weights = torch.rand(HEIGHT, WIDTH, 5, generator=generator, dtype=torch.float64).to(dtype)
    fragments = rasteriser.rasterise(vertices, scene[1], view)
    values = rasteriser.interpolate(attributes, scene[1], fragments)
    picture = rasteriser.antialias(values, fragments, vertices, scene[1], view)
    weighed = (picture * weights[..., :4]).sum() + (fragments.depth * weights[..., 4]).sum()
    gradients = torch.autograd.grad(weighed, (vertices, attributes))
    made = (fragments.triangle_ids, fragments.barycentrics, fragments.depth, values, picture, *gradients)
    return Drawn(*(part.detach().to(torch.float64) for part in made))


@pytest.fixture(scope="module")
def pairs():
    return {
        name: (
            draw(WarpRasteriser(), scene, torch.float32),
            draw(ReferenceRasteriser(), in_float32(scene), torch.float64),
        )
        for name, scene in SCENES.items()
    }


def in_float32(scene):
    """The vertices that a float32 rasteriser is given, exactly."""
    return scene[0].float().double(), scene[1]


@pytest.mark.parametrize("name", SCENES)
def test_triangles_are_those_of_the_reference_but_on_shared_edges(pairs, name):
    drawn, expected = pairs[name]
    view = in_dtype(camera(), torch.float64)
    differ = (drawn.ids != expected.ids).nonzero()
    assert len(differ) <= 0.002 * WIDTH * HEIGHT
    for row, column in differ.tolist():
        # Where they differ, the pixel's centre lies within a thousandth of a pixel of an edge of either triangle.
        near = []
        for drawing in (drawn, expected):
            if drawing.ids[row, column] >= 0:
                corners = view.project(SCENES[name][0][SCENES[name][1][int(drawing.ids[row, column])]])
                near.append(distance_to_outline(torch.tensor([column + 0.5, row + 0.5]).double(), corners))
        assert min(near) < 1e-3


def distance_to_outline(point, corners):
    ends = corners.roll(-1, dims=0)
    along = ((point - corners) * (ends - corners)).sum(1) / (ends - corners).square().sum(1)
    return (corners + along.clamp(0, 1)[:, None] * (ends - corners) - point).norm(dim=1).min()


@pytest.mark.parametrize("name", SCENES)
def test_depth_barycentrics_and_attributes_are_those_of_the_reference(pairs, name):
    drawn, expected = pairs[name]
    same = drawn.ids == expected.ids
    # float32 places a vertex to 1e-8 m, a hundred-thousandth of a pixel here; thin triangles magnify that.
    assert torch.allclose(drawn.depth[same], expected.depth[same], atol=1e-6, rtol=1e-6)
    assert torch.allclose(drawn.barycentrics[same], expected.barycentrics[same], atol=5e-5)
    assert torch.allclose(drawn.values[same], expected.values[same], atol=5e-5)
    assert torch.equal(drawn.values[drawn.ids < 0], torch.zeros_like(drawn.values[drawn.ids < 0]))


@pytest.mark.parametrize("name", SCENES)
def test_antialiased_picture_and_gradients_are_those_of_the_reference(pairs, name):
    drawn, expected = pairs[name]
    same = (drawn.ids == expected.ids).all(dim=0)  # a pixel on an edge touches its neighbours: leave its column out
    assert torch.allclose(drawn.picture[:, same], expected.picture[:, same], atol=5e-5)
    if bool(same.all()):
        for mine, reference in (
            (drawn.vertex_gradient, expected.vertex_gradient),
            (drawn.attribute_gradient, expected.attribute_gradient),
        ):
            assert torch.allclose(mine, reference, rtol=0, atol=1e-4 * float(reference.abs().max()))


def test_most_scenes_are_compared_in_gradients_too(pairs):
    whole = [name for name, (drawn, expected) in pairs.items() if torch.equal(drawn.ids, expected.ids)]
    assert len(whole) >= len(SCENES) - 1


def test_reference_gradients_are_those_of_finite_differences():
    vertices, triangles = soup(3, 0.2, 5)
    view, rasteriser = in_dtype(camera(), torch.float64), ReferenceRasteriser()
    attributes = torch.rand(9, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ids = rasteriser.rasterise(vertices, triangles, view).triangle_ids

    def picture(vertices, attributes):
        fragments = rasteriser.rasterise(vertices, triangles, view)
        assert torch.equal(fragments.triangle_ids, ids)  # a step so small that no pixel changes hands
        values = rasteriser.interpolate(attributes, triangles, fragments)
        blended = rasteriser.antialias(values, fragments, vertices, triangles, view)
        return torch.stack([blended.sum(), (blended**2).sum(), fragments.depth.sum()])

    inputs = (vertices.clone().requires_grad_(), attributes.requires_grad_())
    assert torch.autograd.gradcheck(picture, inputs, eps=1e-8, atol=1e-3, rtol=1e-4)


def test_known_point_lands_in_its_pixel_with_row_zero_on_top():
    # One small triangle at the upper left as the camera sees it: x to the left of the image, y up.
    vertices = torch.tensor([[-0.05, 0.06, 0.0], [-0.046, 0.06, 0.0], [-0.048, 0.064, 0.0]])
    view = look_at(torch.tensor([0.0, 0.0, 0.5]), torch.zeros(3), 30.0, 100, 100)
    fragments = WarpRasteriser().rasterise(vertices, torch.tensor([[0, 1, 2]]), view)
    row, column = fragments.covered.nonzero().float().mean(dim=0).tolist()
    across, down = view.project(vertices.mean(dim=0)).tolist()
    assert row < 50 and column < 50
    assert (column + 0.5, row + 0.5) == pytest.approx((across, down), abs=0.5)
    assert torch.allclose(fragments.depth[fragments.covered], torch.tensor(0.5))


def test_pixel_centres_lie_at_half():
    # A square from pixel edge 10 to pixel edge 20 covers exactly the pixels 10 to 19 both ways.
    view = TensorCamera(torch.eye(3), torch.tensor([0.0, 0.0, -1.0]), 100.0, (0.0, 0.0), 32, 32)
    low, high = 0.1, 0.2
    vertices = torch.tensor([[low, -low, 0.0], [high, -low, 0.0], [high, -high, 0.0], [low, -high, 0.0]])
    triangles = torch.tensor([[0, 3, 2], [0, 2, 1]])
    for rasteriser in (WarpRasteriser(), ReferenceRasteriser()):
        covered = rasteriser.rasterise(vertices, triangles, view).covered
        assert covered[10:20, 10:20].all() and int(covered.sum()) == 100


def test_barycentrics_are_perspective_correct():
    # A floor that runs away from the viewer: head-space positions as attributes come back as the points on the rays.
    vertices = torch.tensor([[-1.0, -0.1, 0.4], [1.0, -0.1, 0.4], [0.0, -0.1, -5.0]])
    view = look_at(torch.tensor([0.0, 0.0, 0.5]), torch.tensor([0.0, -0.05, 0.0]), 40.0, 64, 64)
    rasteriser, triangles = WarpRasteriser(), torch.tensor([[0, 1, 2]])
    fragments = rasteriser.rasterise(vertices, triangles, view)
    points = rasteriser.interpolate(vertices, triangles, fragments)[fragments.covered]
    rows, columns = fragments.covered.nonzero(as_tuple=True)
    assert len(points) > 500
    assert torch.allclose(view.project(points), torch.stack([columns, rows], dim=1) + 0.5, atol=2e-3)
    assert torch.allclose(-view.to_camera(points)[:, 2], fragments.depth[fragments.covered], atol=1e-5)


def test_closed_surface_has_no_cracks():
    vertices, triangles = globe(40, 50)
    view = in_dtype(camera(), torch.float32)
    drawn = WarpRasteriser().rasterise(vertices.float(), triangles, view)
    column, row = torch.meshgrid(torch.arange(WIDTH) + 0.5, torch.arange(HEIGHT) + 0.5, indexing="xy")
    away = torch.stack([column, row], dim=-1) - view.project(torch.zeros(3))
    inner = away.norm(dim=-1) < 0.95 * view.focal * 0.1 / 0.5
    assert int(inner.sum()) > 300 and bool(drawn.covered[inner].all())


def test_attributes_may_have_seams_of_their_own():
    vertices, triangles = box()
    corners = torch.arange(36).reshape(-1, 3)
    colours = torch.rand(36, 3, generator=torch.Generator().manual_seed(3))
    view, rasteriser = in_dtype(camera(), torch.float32), WarpRasteriser()
    fragments = rasteriser.rasterise(vertices.float(), triangles, view)
    values = rasteriser.interpolate(colours, corners, fragments)
    expected = (colours[corners][fragments.triangle_ids.long()] * fragments.barycentrics[..., None]).sum(dim=2)
    assert torch.allclose(values[fragments.covered], expected[fragments.covered], atol=1e-6)


def test_same_input_gives_the_same_bits():
    scene = globe(30, 40)
    first, second = (draw(WarpRasteriser(), scene, torch.float32) for _ in range(2))
    for one, other in zip(vars(first).values(), vars(second).values(), strict=True):
        assert torch.equal(one, other)


def test_gradient_that_comes_in_another_layout_is_the_same():
    scene = globe(8, 12)
    view, rasteriser = in_dtype(camera(), torch.float32), WarpRasteriser()
    gradients = []
    for turn in (False, True):
        vertices = scene[0].float().requires_grad_()
        fragments = rasteriser.rasterise(vertices, scene[1], view)
        values = rasteriser.interpolate(vertices, scene[1], fragments)
        # A convolution wants channels first and hands back a gradient in that layout.
        squares = (values.permute(2, 0, 1).contiguous() if turn else values).square().sum()
        gradients += torch.autograd.grad(squares, vertices)
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-6)


def test_normal_image_pulls_the_vertices_that_are_seen():
    vertices, triangles = globe(24, 32)
    view, rasteriser = in_dtype(camera((0.0, 0.0, 0.5)), torch.float32), WarpRasteriser()
    moved = vertices.float().requires_grad_()

    def picture(vertices):
        fragments = rasteriser.rasterise(vertices, triangles, view)
        values = rasteriser.interpolate(vertex_normals(vertices, triangles), triangles, fragments)
        return rasteriser.antialias(values, fragments, vertices, triangles, view)

    dented = vertices.float()
    nose = int((dented - torch.tensor([0.0, 0.0, 0.1])).norm(dim=1).argmin())
    dented[nose] *= 0.9
    (gradient,) = torch.autograd.grad((picture(moved) - picture(dented)).square().sum(), moved)
    pull = gradient.norm(dim=1)
    assert int(pull.argmax()) == nose or float(pull[nose]) > 0.3 * float(pull.max())
    assert float(gradient[nose] @ moved[nose].detach()) > 0  # a step against the gradient dents it
    assert float(pull[vertices[:, 2] < -0.03].max()) == 0  # the back is not seen
    step = moved.detach() - 2e-4 * gradient / pull.max()
    assert (picture(step) - picture(dented)).square().sum() < (picture(moved) - picture(dented)).square().sum()


def test_vertices_that_are_not_finite_are_not_seen():
    vertices, triangles = globe(8, 12)
    vertices = vertices.float()
    vertices[5] = torch.nan
    vertices[40, 0] = torch.inf
    drawn = WarpRasteriser().rasterise(vertices, triangles, in_dtype(camera(), torch.float32))
    seen = triangles[drawn.triangle_ids[drawn.covered].long()]
    assert len(seen) > 100 and not bool(((seen == 5) | (seen == 40)).any())
    assert bool(drawn.barycentrics.isfinite().all()) and bool(drawn.depth.isfinite().all())


@pytest.mark.parametrize("index", [-1, 8])
def test_triangle_that_names_no_vertex_is_refused(index):
    vertices, triangles = box()
    triangles[3, 1] = index
    with pytest.raises(ValueError, match="of 8"):
        WarpRasteriser().rasterise(vertices.float(), triangles, in_dtype(camera(), torch.float32))


def test_warp_is_chosen_unless_another_is_asked_for():
    assert isinstance(make_rasteriser("cpu"), WarpRasteriser)
    assert isinstance(make_rasteriser("cpu", "reference"), ReferenceRasteriser)
    with pytest.raises(PortraitHeadError) as error:
        make_rasteriser("cpu", "nvdiffrast")
    assert error.value.kind == "no_nvdiffrast"
