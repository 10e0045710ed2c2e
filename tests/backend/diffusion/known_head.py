"""A head known from every side, a prior that believes in it, and how far a surface is from another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from portrait_head.diffusion.guidance_images import encode_normals
from portrait_head.diffusion.memory_plan import PLANS
from portrait_head.diffusion.noise_schedule import stable_diffusion_schedule
from portrait_head.diffusion.score_distillation import Branch
from portrait_head.geometry.nearest import SurfaceIndex
from portrait_head.rendering.normals import vertex_normals
from portrait_head.rendering.rasteriser import make_rasteriser
from portrait_head.rendering.tensor_camera import TensorCamera
from torch import Tensor

from tests.backend.diffusion.analytic import AnalyticPredictor, gaussian

SAMPLES = 6000  # points on each surface
ELLIPSOID = (0.07, 0.09, 0.08)  # metres, the half axes of what every test begins with

Mesh = tuple[np.ndarray, np.ndarray]


def globe(level: int) -> Mesh:
    """Directions [V, 3] and triangles [F, 3] of an icosahedron, each triangle cut in four `level` times."""
    golden = (1 + 5**0.5) / 2
    corners = [(0, s, t * golden) for s in (-1, 1) for t in (-1, 1)]
    points = np.array([np.roll(corner, shift) for shift in range(3) for corner in corners], dtype=float)
    near = np.linalg.norm(points[:, None] - points[None], axis=-1) < 2.1
    triangles = np.array(
        [(a, b, c) for a in range(12) for b in range(a) for c in range(b) if near[a, b] and near[b, c] and near[a, c]]
    )
    inwards = np.linalg.det(points[triangles]) < 0
    triangles[inwards] = triangles[inwards][:, ::-1]
    for _ in range(level):
        edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
        unique, owner = np.unique(edges, axis=0, return_inverse=True)
        ab, bc, ca = len(points) + owner.reshape(3, -1)
        a, b, c = triangles.T
        quarters = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        triangles = np.concatenate([np.stack(corner, axis=1) for corner in quarters])
        points = np.concatenate([points, points[unique].mean(axis=1)])
    return points / np.linalg.norm(points, axis=1, keepdims=True), triangles


def head() -> Mesh:
    """Metres: a skull with nose, chin, ears, eye sockets and an occiput, each a bump on an ellipsoid."""
    directions, triangles = globe(4)
    radius = 1 / np.linalg.norm(directions / (0.078, 0.115, 0.098), axis=1)
    bumps = (
        ((0, -0.15, 1), 0.13, 0.022),
        ((0, -0.75, 0.7), 0.2, 0.012),
        ((0, 0.25, -1), 0.35, 0.012),
        ((1, -0.1, -0.1), 0.14, 0.015),
        ((-1, -0.1, -0.1), 0.14, 0.015),
        ((0.35, 0.12, 1), 0.12, -0.006),
        ((-0.35, 0.12, 1), 0.12, -0.006),
    )
    for towards, width, height in bumps:
        gap = directions - np.array(towards) / np.linalg.norm(towards)
        radius = radius + height * np.exp(-(gap**2).sum(axis=1) / (2 * width**2))
    return directions * radius[:, None], triangles


@dataclass(frozen=True)
class View:
    """What a camera sees: see `diffusion.guidance.RenderedView`."""

    camera: TensorCamera
    normals: Tensor
    depth: Tensor
    mask: Tensor


def render(vertices: Tensor, triangles: Tensor, camera: TensorCamera) -> View:
    """A mesh as the sculpt would show it: the mask alone is antialiased."""
    rasteriser = make_rasteriser("cpu")
    fragments = rasteriser.rasterise(vertices, triangles, camera)
    turned = camera.directions_to_camera(vertex_normals(vertices, triangles))
    normals = torch.nn.functional.normalize(rasteriser.interpolate(turned, triangles, fragments), dim=-1)
    covered = fragments.covered[..., None].to(vertices)
    mask = rasteriser.antialias(covered, fragments, vertices, triangles, camera)[..., 0]
    return View(camera, normals, fragments.depth, mask)


class KnowingPrior:
    """Pixels are latents, and in every view the positive branch believes in the known head's normal map."""

    plan = PLANS[0]

    def __init__(self, known: Mesh) -> None:
        self._vertices, self._triangles = torch.tensor(known[0]).float(), torch.tensor(known[1]).int()

    def encode(self, picture: Tensor) -> Tensor:
        return picture * 2.0 - 1.0

    def at(self, camera: TensorCamera, depth: Tensor | None = None) -> AnalyticPredictor:
        view = render(self._vertices, self._triangles, camera)
        believed = self.encode(encode_normals(view.normals, view.mask))
        beliefs = {Branch.POSITIVE: gaussian(believed, 0.1), Branch.NEGATIVE: gaussian(0.0, 1.0)}
        return AnalyticPredictor(stable_diffusion_schedule(), beliefs)

    def shrink(self) -> bool:
        return False


def gaps(one: Mesh, other: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Points [2 N, 3] of both surfaces and how far [2 N] each lies from the other surface, metres."""
    points, distances = [], []
    for here, there in ((one, other), (other, one)):
        corners = here[0][here[1]]
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        random = np.random.default_rng(0)
        chosen = random.choice(len(corners), SAMPLES, p=area / area.sum())
        sampled = (corners[chosen] * random.dirichlet((1, 1, 1), SAMPLES)[..., None]).sum(axis=1)
        points.append(sampled)
        distances.append(SurfaceIndex(*there).nearest(sampled).distance)
    return np.concatenate(points), np.concatenate(distances)
