"""Points of the skin with their tangents, where the shading of the photo is compared with the head's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from portrait_head.fitting.config import ShadingConfig
from portrait_head.fitting.space import FaceSpace, FitModel
from portrait_head.head_model.model import HeadModel
from portrait_head.rendering.raycast import RayCaster

RAY_START = 5e-4  # metres above the skin from which rays leave


@dataclass(frozen=True)
class SurfaceSamples:
    """Points that carry two tangents; everything is linear in scores and expression weights.

    The cross product of the tangents points out of the head, so a normal and its derivative cost two cross products.

    Attributes:
        points: their space, N points.
        first: the space of the first tangents (vectors, not places).
        second: the space of the second tangents.
        polynomial: [N, Q] low-order polynomials of the place on the template, without the constant, each of mean 0
            and standard deviation 1: what the albedo may do.
        openness: [N] the share of each point's half space, cosine-weighted, that the mean face leaves open.
    """

    points: FaceSpace
    first: FaceSpace
    second: FaceSpace
    polynomial: np.ndarray
    openness: np.ndarray

    def chosen(self, rows: np.ndarray) -> SurfaceSamples:
        """Only the samples `rows`."""

        def of(space: FaceSpace) -> FaceSpace:
            return FaceSpace(space.mean[rows], space.modes[:, rows], space.expressions[:, rows])

        return SurfaceSamples(
            of(self.points), of(self.first), of(self.second), self.polynomial[rows], self.openness[rows]
        )


def surface_samples(fit_model: FitModel, config: ShadingConfig) -> SurfaceSamples:
    """Middles and corners of the quads of the bare facial skin: no eyes, brows, lips or nostrils."""
    model = fit_model.model
    allowed = _bare_skin(model, config)
    stencils = [_quad_stencil(quad) for quad in model.quads[slice(*model.part("skin").faces)] if allowed[quad].all()]
    stencils += [
        _ring_stencil(vertex, ring) for vertex, ring in _rings(model).items() if allowed[[vertex, *ring]].all()
    ]
    width = max(len(vertices) for vertices, _ in stencils)
    corners = np.zeros((len(stencils), width), dtype=np.int64)
    weights = np.zeros((3, len(stencils), width))
    for row, (vertices, weight) in enumerate(stencils):
        corners[row, : len(vertices)] = vertices
        weights[:, row, : len(vertices)] = weight
    points, first, second = (fit_model.vertices.at(corners, weight) for weight in weights)
    values = _polynomial(points.mean, config.albedo_order)
    openness = _openness(fit_model, points.mean, np.cross(first.mean, second.mean), config.openness_rays)
    return SurfaceSamples(points, first, second, (values - values.mean(axis=0)) / values.std(axis=0), openness)


def _bare_skin(model: HeadModel, config: ShadingConfig) -> np.ndarray:
    """[V] bool."""
    allowed = np.zeros(len(model.vertices), dtype=bool)
    allowed[model.regions["face"]] = True
    allowed[model.regions["forehead"]] = True
    skin = np.arange(*model.part("skin").vertices)
    for region, margin in config.kept_away:
        near = KDTree(model.vertices[model.regions[region]]).query(model.vertices[skin])[0] < margin
        allowed[skin[near]] = False
    return allowed


def _quad_stencil(quad: np.ndarray) -> tuple[list[int], np.ndarray]:
    """A quad's corners, and their weights in its middle and in its two diagonals."""
    return quad.tolist(), np.array([[0.25, 0.25, 0.25, 0.25], [-1, 0, 1, 0], [0, -1, 0, 1]])


def _ring_stencil(vertex: int, ring: list[int]) -> tuple[list[int], np.ndarray]:
    """A vertex after its neighbours, and their weights in its place and in two tangents.

    The tangents are those of a subdivision surface (Halstead, Kass, DeRose 1993) without the diagonal corners.
    """
    angle = np.arange(len(ring)) * 2 * np.pi / len(ring)
    weights = np.stack([np.zeros(len(ring)), np.cos(angle), np.sin(angle)])
    return [*ring, vertex], np.column_stack([weights, [1.0, 0.0, 0.0]])


def _rings(model: HeadModel) -> dict[int, list[int]]:
    """Neighbours of every skin vertex inside the surface, counter-clockwise seen from outside."""
    after: dict[int, dict[int, int]] = {}
    for quad in model.quads[slice(*model.part("skin").faces)].tolist():
        for place, vertex in enumerate(quad):
            after.setdefault(vertex, {})[quad[(place + 1) % 4]] = quad[place - 1]
    rings = {}
    for vertex, following in after.items():
        ring = [next(iter(following))]
        while (neighbour := following.get(ring[-1], -1)) not in (-1, ring[0]):
            ring.append(neighbour)
        if neighbour == ring[0] and len(ring) == len(following):
            rings[vertex] = ring
    return rings


def _polynomial(points: np.ndarray, order: int) -> np.ndarray:
    """[N, Q] the monomials x^a y^b with 0 < a + b <= order over the face."""
    x, y = ((points - points.mean(axis=0)) / points.std(axis=0))[:, :2].T
    return np.stack([x**a * y**b for a in range(order + 1) for b in range(order + 1 - a) if a + b], axis=1)


def _openness(fit_model: FitModel, points: np.ndarray, normals: np.ndarray, rays: int) -> np.ndarray:
    """[N] the share of each point's half space, cosine-weighted, that the mean face leaves open."""
    normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    index = np.arange(rays) + 0.5
    # A spiral over the disc, lifted to the half sphere (Malley).
    radius, angle = np.sqrt(index / rays), np.pi * (1 + 5**0.5) * index
    local = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1 - radius**2)], axis=1)
    side = np.cross(normals, np.where(np.abs(normals[:, :1]) < 0.9, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    frame = np.stack([side, np.cross(normals, side), normals], axis=1)
    model = fit_model.model
    caster = RayCaster(fit_model.vertices.mean, model.triangles()[: 2 * model.part("skin").faces[1]])
    blocked = caster.occluded((points + RAY_START * normals)[:, None], local @ frame)
    return 1 - blocked.mean(axis=1)
