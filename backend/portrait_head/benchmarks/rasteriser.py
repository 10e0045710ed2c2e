"""How fast one view of a sculpt is drawn and differentiated, against plain torch and against Embree's ray casting.

The mesh is a head-sized ball with bumps, its vertices and triangles in random order: the hardest for caches.
"""

from __future__ import annotations

import math
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from portrait_head import memory
from portrait_head.rendering.normals import vertex_normals
from portrait_head.rendering.orbit import orbit_view
from portrait_head.rendering.rasteriser import Rasteriser, make_rasteriser
from portrait_head.rendering.raycast import RayCaster, visibility
from portrait_head.rendering.tensor_camera import TensorCamera
from portrait_head.threads import torch_threads

SIZE = 512  # pixels a side
RINGS = 224  # 224 rings of 224 pairs of triangles are 100 thousand
ROUNDS = 7  # of each side in turn, so that what else the machine does strikes both
BAR = 0.25  # seconds for drawing and differentiating, on two cores


@dataclass(frozen=True)
class Scene:
    """A mesh, a view of it, and how much each value of the picture weighs.

    Attributes:
        vertices: [V, 3] metres.
        triangles: [F, 3].
        camera: the view.
        weights: [SIZE, SIZE, 3].
    """

    vertices: Tensor
    triangles: Tensor
    camera: TensorCamera
    weights: Tensor


def measure(threads: int = 1) -> Iterator[dict[str, Any]]:
    """Time drawing with gradients, and visibility alone.

    Args:
        threads: torch's, for all sides; one by default, because more of them measure the scheduler on a busy machine.

    Yields:
        A line for each: median `seconds` of the Warp rasteriser, its processor time (what a busy machine does not
        lengthen), the peer's seconds, their `ratio` (peer over Warp), the largest memory of the process while the Warp
        side ran and, for the first use in a process, `first_seconds`.
    """
    with torch_threads(threads):
        device = "cuda" if torch.cuda.is_available() else "cpu"
        scene = bumpy_ball(device)
        start = time.perf_counter()
        rasteriser = make_rasteriser(device)
        _draw(rasteriser, scene)
        first_seconds = time.perf_counter() - start
        yield {
            "measured": "visibility, normals and antialiasing, forward and backward",
            "peer": "the same without antialiasing in plain torch",
            **_alternate(lambda: _draw(rasteriser, scene), lambda: _draw_in_torch(scene), scene),
            "bar": BAR,
            "first_seconds": round(first_seconds, 2),
        }
        pinhole = scene.camera.to_pinhole()
        vertices, triangles = scene.vertices.cpu().numpy(), scene.triangles.cpu().numpy()
        yield {
            "measured": "visibility",
            "peer": "Embree on the CPU, its tree built anew",
            **_alternate(
                lambda: rasteriser.rasterise(scene.vertices, scene.triangles, scene.camera),
                lambda: visibility(RayCaster(vertices, triangles), pinhole),
                scene,
            ),
        }


def bumpy_ball(device: str) -> Scene:
    """The mesh that is measured, before a camera of the orbit."""
    generator = torch.Generator().manual_seed(0)
    polar = torch.linspace(0, math.pi, RINGS + 1)
    around = torch.arange(RINGS) * (2 * math.pi / RINGS)
    theta, phi = torch.meshgrid(polar, around, indexing="ij")
    radius = 0.12 * (1 + 0.05 * torch.sin(9 * theta) * torch.sin(7 * phi))
    ball = torch.stack([theta.sin() * phi.sin(), theta.cos(), theta.sin() * phi.cos()], dim=-1) * radius[..., None]
    ring, sector = torch.meshgrid(torch.arange(RINGS), torch.arange(RINGS), indexing="ij")
    a, b = ring * RINGS + sector, (ring + 1) * RINGS + sector
    c, d = (ring + 1) * RINGS + (sector + 1) % RINGS, ring * RINGS + (sector + 1) % RINGS
    triangles = torch.stack([torch.stack([a, b, c], dim=-1), torch.stack([a, c, d], dim=-1)]).reshape(-1, 3)
    place = torch.randperm(ball.numel() // 3, generator=generator)  # where each vertex goes
    vertices = torch.empty(len(place), 3).index_copy(0, place, ball.reshape(-1, 3))
    triangles = place[triangles][torch.randperm(len(triangles), generator=generator)]
    view = orbit_view(10.0, 25.0, 0.6, 28.0, torch.zeros(3, device=device), SIZE, SIZE)
    weights = torch.rand(SIZE, SIZE, 3, generator=generator)
    return Scene(vertices.to(device), triangles.to(device), view.camera, weights.to(device))


def _draw(rasteriser: Rasteriser, scene: Scene) -> Tensor:
    """The gradient [V, 3] of the weighed picture of normals."""
    vertices = scene.vertices.clone().requires_grad_()
    fragments = rasteriser.rasterise(vertices, scene.triangles, scene.camera)
    normals = rasteriser.interpolate(vertex_normals(vertices, scene.triangles), scene.triangles, fragments)
    picture = rasteriser.antialias(normals, fragments, vertices, scene.triangles, scene.camera)
    return torch.autograd.grad((picture * scene.weights).sum(), vertices)[0]


def _draw_in_torch(scene: Scene) -> Tensor:
    """The same gradient without antialiasing: every pixel of every triangle's rectangle tested, the nearest kept."""
    vertices = scene.vertices.clone().requires_grad_()
    camera_vertices = scene.camera.to_camera(vertices)
    with torch.no_grad():
        nearest = _nearest_in_torch(camera_vertices, scene.triangles, scene.camera)
    pixel = (nearest >= 0).nonzero()[:, 0]
    corners = scene.triangles[nearest[pixel]]
    edges = _edge_functions(camera_vertices[corners], pixel % SIZE, pixel // SIZE, scene.camera)
    weights = edges / edges.sum(dim=1, keepdim=True)
    normals = (vertex_normals(vertices, scene.triangles)[corners] * weights[..., None]).sum(dim=1)
    return torch.autograd.grad((normals * scene.weights.reshape(-1, 3)[pixel]).sum(), vertices)[0]


def _nearest_in_torch(camera_vertices: Tensor, triangles: Tensor, camera: TensorCamera) -> Tensor:
    """The nearest triangle of every pixel: [SIZE * SIZE], -1 for none."""
    pixels = camera.project_camera(camera_vertices)[triangles]
    low = (pixels.amin(dim=1) - 0.5).ceil().long().clamp(min=0)
    high = (pixels.amax(dim=1) - 0.5).floor().long().clamp(max=SIZE - 1)
    extent = (high - low + 1).clamp(min=0)
    counts = extent.prod(dim=1)
    triangle = torch.repeat_interleave(counts)
    number = torch.arange(len(triangle), device=counts.device) - (counts.cumsum(0) - counts)[triangle]
    column = low[triangle, 0] + number % extent[triangle, 0]
    row = low[triangle, 1] + number // extent[triangle, 0]
    corners = camera_vertices[triangles[triangle]]
    edges = _edge_functions(corners, column, row, camera)
    inside = (edges >= 0).all(dim=1) | (edges <= 0).all(dim=1)
    depth = -(edges * corners[..., 2]).sum(dim=1) / edges.sum(dim=1)
    # A positive float's bits grow with it, so the smallest key is the nearest triangle's.
    keys = (depth[inside].view(torch.int32).long() << 32) | triangle[inside]
    empty = torch.iinfo(torch.int64).max
    drawn = torch.full((SIZE * SIZE,), empty, device=keys.device)
    drawn.scatter_reduce_(0, (row * SIZE + column)[inside], keys, "amin")
    return torch.where(drawn == empty, -1, drawn & 0xFFFFFFFF)


def _edge_functions(corners: Tensor, column: Tensor, row: Tensor, camera: TensorCamera) -> Tensor:
    """Homogeneous edge functions [N, 3] of triangles [N, 3, 3] at pixels [N]."""
    ray = torch.stack([column + 0.5 - camera.centre[0], camera.centre[1] - row - 0.5], dim=1) / camera.focal
    beside = corners[..., :2] + ray[:, None] * corners[..., 2:]
    following, last = beside.roll(-1, dims=1), beside.roll(-2, dims=1)
    return following[..., 0] * last[..., 1] - following[..., 1] * last[..., 0]


def _alternate(mine: Callable[[], object], peer: Callable[[], object], scene: Scene) -> dict[str, Any]:
    """Both sides in turn: median seconds, their ratio, and what they ran on."""
    cuda = scene.vertices.is_cuda
    seconds: tuple[list[float], list[float]] = ([], [])
    cpu_seconds: list[float] = []
    peak = 0.0
    for side in (mine, peer):
        side()  # what is compiled or allocated once does not count
    for _ in range(ROUNDS):
        for side, times in zip((mine, peer), seconds, strict=True):
            memory.reset_peak()
            start, cpu_start = time.perf_counter(), time.process_time()
            side()
            if cuda:
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
            if side is mine:
                cpu_seconds.append(time.process_time() - cpu_start)
                peak = max(peak, memory.peak_mb())
    median, peer_median = (statistics.median(times) for times in seconds)
    return {
        "seconds": round(median, 4),
        "cpu_seconds": round(statistics.median(cpu_seconds), 4),
        "peer_seconds": round(peer_median, 4),
        "ratio": round(peer_median / median, 2),
        "triangles": len(scene.triangles),
        "size": SIZE,
        "peak_mb": round(peak),
        "device": torch.cuda.get_device_name() if cuda else platform.machine(),
        "threads": torch.get_num_threads(),
    }
