"""Small meshes for the rasterisers' tests, in metres, the size of heads; float64 vertices, outward triangles."""

from __future__ import annotations

import math

import torch


def globe(rings: int, sectors: int, radius: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    """A sphere by latitude and longitude: (vertices [V, 3], triangles [F, 3])."""
    polar = torch.linspace(0, math.pi, rings + 1, dtype=torch.float64)[1:-1]
    around = torch.arange(sectors, dtype=torch.float64) * (2 * math.pi / sectors)
    theta, phi = torch.meshgrid(polar, around, indexing="ij")
    belt = torch.stack([theta.sin() * phi.sin(), theta.cos(), theta.sin() * phi.cos()], dim=-1).reshape(-1, 3)
    poles = torch.tensor([[0.0, 1, 0], [0, -1, 0]], dtype=torch.float64)
    here = torch.arange(sectors)
    after = (here + 1) % sectors
    triangles = []
    for ring in range(rings - 2):
        a, b = ring * sectors + here, (ring + 1) * sectors + here
        c, d = (ring + 1) * sectors + after, ring * sectors + after
        triangles += [torch.stack([a, b, c], 1), torch.stack([a, c, d], 1)]
    top, last = len(belt), (rings - 2) * sectors
    triangles += [torch.stack([torch.full_like(here, top), here, after], 1)]
    triangles += [torch.stack([torch.full_like(here, top + 1), last + after, last + here], 1)]
    return torch.cat([belt, poles]) * radius, torch.cat(triangles)


def box(half: float = 0.08) -> tuple[torch.Tensor, torch.Tensor]:
    """A cube of twelve triangles: (vertices [8, 3], triangles [12, 3]); vertex 4x + 2y + z with 0 or 1 for each."""
    vertices = torch.cartesian_prod(*[torch.tensor([-half, half], dtype=torch.float64)] * 3)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    triangles = [corner for a, b, c, d in quads for corner in ((a, b, c), (a, c, d))]
    return vertices, torch.tensor(triangles)


def soup(count: int, size: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Unconnected random triangles of about `size` in a block the size of a head: (vertices, triangles)."""
    generator = torch.Generator().manual_seed(seed)
    middles = (torch.rand(count, 1, 3, generator=generator, dtype=torch.float64) - 0.5) * 0.3
    corners = (torch.rand(count, 3, 3, generator=generator, dtype=torch.float64) - 0.5) * size
    return (middles + corners).reshape(-1, 3), torch.arange(3 * count).reshape(-1, 3)


def rough(body: tuple[torch.Tensor, torch.Tensor], metres: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The body with every vertex displaced at random."""
    generator = torch.Generator().manual_seed(9)
    return body[0] + torch.randn(body[0].shape, generator=generator, dtype=torch.float64) * metres, body[1]


def turned(vertices: torch.Tensor, degrees: tuple[float, float, float]) -> torch.Tensor:
    """The vertices turned about x, then y, then z."""
    for axis, angle in enumerate(degrees):
        sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
        j, k = (axis + 1) % 3, (axis + 2) % 3
        rotation = torch.eye(3, dtype=vertices.dtype)
        rotation[j, j] = rotation[k, k] = cosine
        rotation[k, j], rotation[j, k] = sine, -sine
        vertices = vertices @ rotation.T
    return vertices
