"""Textures are read where their conventions say, and mip levels keep a far texture from aliasing."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from portrait_head.rendering.rasteriser import make_rasteriser
from portrait_head.rendering.tensor_camera import look_at
from portrait_head.rendering.texture_sampling import mip_level, mip_pyramid, sample_texture


def noise(height=6, width=8, channels=3):
    return torch.rand(height, width, channels, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_texel_centres_give_the_texels():
    texture = noise()
    column, row = torch.meshgrid(torch.arange(8) + 0.5, torch.arange(6) + 0.5, indexing="xy")
    uvs = torch.stack([column / 8, 1 - row / 6], dim=-1).double()  # v counts from the bottom, rows from the top
    assert torch.allclose(sample_texture(texture, uvs), texture)


def test_between_texels_it_is_linear():
    texture = noise()
    uvs = torch.tensor([[3.0 / 8, 1 - 2.25 / 6]], dtype=torch.float64)  # between columns 2 and 3, rows 1 and 2
    mixed = 0.25 * texture[1] + 0.75 * texture[2]
    assert torch.allclose(sample_texture(texture, uvs)[0], (mixed[2] + mixed[3]) / 2)


@pytest.mark.parametrize("levels", [None, 1.3])
def test_outside_it_repeats_or_stays_at_its_edge(levels):
    texture = noise(8, 8)
    inside = torch.rand(30, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    level = None if levels is None else torch.full((30,), levels, dtype=torch.float64)
    beyond = inside + torch.tensor([2.0, -3.0], dtype=torch.float64)
    assert torch.allclose(sample_texture(texture, beyond, level), sample_texture(texture, inside, level))
    corner = sample_texture(texture, torch.tensor([[7.0, -2.0]], dtype=torch.float64), boundary="clamp")
    assert torch.equal(corner[0], texture[-1, -1])


def test_pyramid_keeps_the_mean_and_each_level_lies_over_the_last():
    texture = noise(32, 16)
    pyramid = mip_pyramid(texture)
    assert [tuple(level.shape[:2]) for level in pyramid] == [(32, 16), (16, 8), (8, 4), (4, 2), (2, 1)]
    for finer, coarser in itertools.pairwise(pyramid):
        assert torch.allclose(coarser.mean(dim=(0, 1)), texture.mean(dim=(0, 1)))
        assert torch.allclose(coarser[0, 0], finer[:2, :2].mean(dim=(0, 1)))


def test_whole_levels_read_one_texture_and_fractions_mix_two():
    texture = noise(16, 16)
    uvs = torch.rand(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    at = [
        sample_texture(texture, uvs, torch.full((20,), level, dtype=torch.float64)) for level in (0.0, 1.0, 1.25, 9.0)
    ]
    assert torch.allclose(at[0], sample_texture(texture, uvs))
    assert torch.allclose(at[1], sample_texture(mip_pyramid(texture)[1], uvs))
    assert torch.allclose(at[2], 0.75 * at[1] + 0.25 * sample_texture(mip_pyramid(texture)[2], uvs))
    assert torch.allclose(at[3], texture.mean(dim=(0, 1)).expand(20, 3))


def test_gradients_are_those_of_finite_differences():
    texture = noise(4, 8, 2).requires_grad_()
    generator = torch.Generator().manual_seed(4)
    uvs = torch.rand(5, 2, dtype=torch.float64, generator=generator).requires_grad_()
    level = torch.tensor([0.2, 0.5, 1.1, 1.7, 0.9], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(sample_texture, (texture, uvs, level))
    assert torch.autograd.gradcheck(lambda t, u: sample_texture(t, u, boundary="clamp"), (texture, uvs))


def floor(distance, slope):
    """A square metre seen by a camera `distance` metres away, leant back by `slope` degrees, and its coordinates."""
    lean = math.radians(slope)
    vertices = torch.tensor([[x, y * math.cos(lean), -y * math.sin(lean)] for x, y in CORNERS])
    view = look_at(torch.tensor([0.0, 0.0, distance]), torch.zeros(3), 30.0, 96, 96)
    triangles = torch.tensor([[0, 1, 2], [0, 2, 3]])
    fragments = make_rasteriser("cpu").rasterise(vertices, triangles, view)
    return vertices, triangles, fragments, view


CORNERS = [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]
UVS = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


@pytest.mark.parametrize("distance", [2.0, 6.0, 20.0])
def test_level_of_an_upright_square_is_its_texels_a_pixel(distance):
    vertices, triangles, fragments, view = floor(distance, 0.0)
    level = mip_level(UVS, triangles, vertices, triangles, fragments, view, (512, 512))
    expected = math.log2(512 * distance / view.focal)
    assert torch.allclose(level[fragments.covered], torch.tensor(expected), atol=1e-3)
    assert float(level[~fragments.covered].abs().sum()) == 0


def test_level_is_that_of_coordinates_one_pixel_on():
    vertices, triangles, fragments, view = floor(2.0, 70.0)
    level = mip_level(UVS, triangles, vertices, triangles, fragments, view, (2048, 1024))
    uvs = make_rasteriser("cpu").interpolate(UVS, triangles, fragments) * torch.tensor([1024.0, 2048.0])
    around = fragments.covered.clone()
    around[[0, -1]] = around[:, [0, -1]] = False
    for axis in (0, 1):
        for step in (-1, 1):
            around &= fragments.covered.roll(step, axis)
    down = (uvs.roll(-1, 0) - uvs.roll(1, 0)).norm(dim=-1) / 2
    right = (uvs.roll(-1, 1) - uvs.roll(1, 1)).norm(dim=-1) / 2
    expected = torch.maximum(down, right)[around].log2()
    assert int(around.sum()) > 200
    # Central differences are off by their second order, which is small except at the far end of the floor.
    assert torch.allclose(level[around], expected, atol=0.02)


def test_far_waves_fade_to_their_mean_instead_of_aliasing():
    # An analytic texture: waves of 8 texels. Far away, ten waves a pixel, only their mean 0.5 may be left.
    texel = (torch.arange(512) + 0.5) / 512
    texture = (0.5 + 0.5 * torch.sin(2 * math.pi * 64 * texel)).expand(512, 512)[..., None].contiguous()
    vertices, triangles, fragments, view = floor(25.0, 0.0)
    uvs = make_rasteriser("cpu").interpolate(UVS, triangles, fragments)[fragments.covered]
    level = mip_level(UVS, triangles, vertices, triangles, fragments, view, (512, 512))[fragments.covered]
    assert float((sample_texture(texture, uvs) - 0.5).abs().max()) > 0.2
    assert float((sample_texture(texture, uvs, level) - 0.5).abs().max()) < 0.01


def test_near_waves_are_the_analytic_ones():
    texel = (torch.arange(512) + 0.5) / 512
    texture = (0.5 + 0.5 * torch.sin(2 * math.pi * 4 * texel)).expand(512, 512)[..., None].contiguous()
    vertices, triangles, fragments, view = floor(1.5, 20.0)
    uvs = make_rasteriser("cpu").interpolate(UVS, triangles, fragments)[fragments.covered]
    level = mip_level(UVS, triangles, vertices, triangles, fragments, view, (512, 512))[fragments.covered]
    expected = 0.5 + 0.5 * torch.sin(2 * math.pi * 4 * uvs[:, :1])
    inner = (uvs[:, 0] - 0.5).abs() < 0.45  # at the borders the texture repeats, which sines of whole waves survive
    assert float((sample_texture(texture, uvs, level) - expected)[inner].abs().max()) < 0.02
