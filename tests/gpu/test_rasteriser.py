"""On CUDA the rasterisers give what they give on the CPU."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from portrait_head.rendering.normals import vertex_normals
from portrait_head.rendering.rasteriser import make_rasteriser
from portrait_head.rendering.tensor_camera import TensorCamera, look_at

from tests.backend.rendering.meshes import globe, soup

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
needs_nvdiffrast = pytest.mark.skipif(
    importlib.util.find_spec("nvdiffrast") is None, reason="needs nvdiffrast, which the user installs"
)
SCENES = {"soup": soup(200, 0.1, 1), "globe": globe(24, 32)}


def draw(name, device, prefer=None):
    """Triangle ids, depth, normals, the antialiased picture and the gradient to the vertices, on the CPU."""
    vertices = SCENES[name][0].float().to(device).requires_grad_()
    triangles = SCENES[name][1].to(device)
    eye, centre = torch.tensor([0.05, 0.02, 0.5], device=device), torch.zeros(3, device=device)
    camera = look_at(eye, centre, 35.0, 160, 128)
    rasteriser = make_rasteriser(device, prefer)
    fragments = rasteriser.rasterise(vertices, triangles, camera)
    normals = rasteriser.interpolate(vertex_normals(vertices, triangles), triangles, fragments)
    picture = rasteriser.antialias(normals, fragments, vertices, triangles, camera)
    weights = torch.rand(picture.shape, generator=torch.Generator().manual_seed(2)).to(device)
    (gradient,) = torch.autograd.grad((picture * weights).sum() + fragments.depth.sum(), vertices)
    parts = (fragments.triangle_ids, fragments.depth, normals, picture, gradient)
    return [part.detach().cpu() for part in parts]


@pytest.mark.parametrize("name", SCENES)
def test_warp_on_cuda_agrees_with_warp_on_the_cpu(name):
    here, there = draw(name, "cpu"), draw(name, "cuda")
    same = here[0] == there[0]
    assert int((~same).sum()) <= 4  # pixels on shared edges
    for mine, other in zip(here[1:3], there[1:3], strict=True):
        assert torch.allclose(mine[same], other[same], atol=1e-4)
    assert int(((here[3] - there[3]).abs().amax(dim=-1) > 1e-3).sum()) <= 12
    if bool(same.all()):
        assert torch.allclose(here[4], there[4], atol=1e-2 * float(here[4].abs().max()))


def test_warp_on_cuda_gives_the_same_bits_again():
    torch.use_deterministic_algorithms(True)
    try:
        first, second = draw("globe", "cuda"), draw("globe", "cuda")
    finally:
        torch.use_deterministic_algorithms(False)
    for mine, other in zip(first, second, strict=True):
        assert torch.equal(mine, other)


@needs_nvdiffrast
@pytest.mark.parametrize("name", SCENES)
def test_nvdiffrast_agrees_with_warp_inside_surfaces(name):
    warp, peer = draw(name, "cuda"), draw(name, "cuda", "nvdiffrast")
    same = warp[0] == peer[0]
    # nvdiffrast snaps vertices to a sixteenth of a pixel, so outlines and seams differ by a pixel here and there.
    assert float(same.float().mean()) > 0.98
    assert torch.allclose(warp[1][same], peer[1][same], atol=1e-3)
    assert float((warp[2] - peer[2])[same].abs().mean()) < 1e-2


@needs_nvdiffrast
def test_nvdiffrast_outline_has_the_gradient_of_its_area():
    # Large triangles, whose outlines nvdiffrast's antialiasing sees.
    vertices, triangles = (part.cuda() for part in globe(10, 14))
    camera = look_at(torch.tensor([0.0, 0.0, 0.5]).cuda(), torch.zeros(3).cuda(), 35.0, 128, 128)
    rates = []
    for prefer in (None, "nvdiffrast"):
        rasteriser = make_rasteriser("cuda", prefer)
        growth = torch.zeros((), device="cuda", requires_grad=True)
        grown = vertices.float() * (1 + growth)
        fragments = rasteriser.rasterise(grown, triangles, camera)
        mask = fragments.covered[..., None].float()
        covered = rasteriser.antialias(mask, fragments, grown, triangles, camera).sum()
        rates.append(float(torch.autograd.grad(covered, growth)[0]))
    assert rates[1] == pytest.approx(rates[0], rel=0.05)


@needs_nvdiffrast
def test_nvdiffrast_puts_row_zero_on_top_and_minds_the_principal_point():
    view = TensorCamera(torch.eye(3).cuda(), torch.tensor([0.0, 0.0, -1.0]).cuda(), 100.0, (0.0, 0.0), 32, 24)
    corners = [(10, 5), (10, 15), (20, 15), (20, 5)]
    vertices = torch.tensor([[x / 100, -y / 100, 0.0] for x, y in corners]).cuda()
    triangles = torch.tensor([[0, 1, 2], [0, 2, 3]]).cuda()
    fragments = make_rasteriser("cuda", "nvdiffrast").rasterise(vertices, triangles, view)
    assert bool(fragments.covered[5:15, 10:20].all()) and int(fragments.covered.sum()) == 100
    assert torch.allclose(fragments.depth[fragments.covered], torch.ones(1).cuda(), atol=1e-4)
