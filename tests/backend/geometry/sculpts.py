"""Sculpted surfaces of which the truth is known: the head model's own skin, pushed about and meshed anew."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from portrait_head.geometry import surface
from portrait_head.geometry.nearest import SurfaceIndex
from portrait_head.head_model import load_head_model
from portrait_head.head_model.model import HeadModel
from portrait_head.head_model.onto_surface import shown_skin
from portrait_head.rendering.raycast import RayCaster
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

CELL = 0.004  # metres; coarser than a sculpt's, for speed


def skin_triangles(model: HeadModel) -> np.ndarray:
    """Skin without the mouth's cavity [T, 3]."""
    first, last = model.part("skin").faces
    return model.triangles()[2 * first : 2 * last]


def known_field(points: np.ndarray, amplitude: float = 0.003, symmetric: bool = True, seed: int = 0) -> np.ndarray:
    """A smooth displacement [N, 3] of points [N, 3]: 24 bumps 25 mm wide all over the head, up to about `amplitude`."""
    generator = np.random.default_rng(seed)
    centres = generator.uniform((-0.08, -0.08, -0.08), (0.08, 0.14, 0.11), (24, 3))
    pushes = generator.normal(size=(24, 3)) * amplitude / 2
    if symmetric:
        centres = np.concatenate([centres, centres * (-1, 1, 1)])
        pushes = np.concatenate([pushes, pushes * (-1, 1, 1)])
    near = np.exp(-((points[:, None] - centres) ** 2).sum(axis=2) / (2 * 0.025**2))
    return near @ pushes


def subdivided(vertices: np.ndarray, triangles: np.ndarray, rounds: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The same surface with every triangle cut in four, `rounds` times."""
    for _ in range(rounds):
        edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        unique, inverse = np.unique(edges, axis=0, return_inverse=True)
        middle = inverse.reshape(-1, 3) + len(vertices)
        vertices = np.concatenate([vertices, vertices[unique].mean(axis=1)])
        a, b, c = triangles.T
        ab, bc, ca = middle.T
        triangles = np.concatenate(
            [np.stack(corner, axis=1) for corner in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
        )
    return vertices, triangles


@dataclass(frozen=True)
class Mesh:
    vertices: np.ndarray
    triangles: np.ndarray

    def border(self) -> int:
        """How many edges have one triangle."""
        return int((self.edges()[1] == 1).sum())

    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Edges [E, 2] and how many triangles each has [E]."""
        edges = np.sort(self.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        return np.unique(edges, axis=0, return_counts=True)

    def assert_manifold(self) -> None:
        """No edge has more than two triangles, neighbours are wound alike, every vertex has one fan of triangles."""
        assert self.edges()[1].max() <= 2
        directed = self.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
        assert len(np.unique(directed, axis=0)) == len(directed)
        # A corner of a triangle is linked with that of its neighbour at the same vertex: one piece a vertex.
        corner = np.arange(self.triangles.size).reshape(-1, 3)
        ends = np.stack([corner, np.roll(corner, -1, axis=1)], axis=-1).reshape(-1, 2)
        flip = directed[:, 0] > directed[:, 1]
        ends[flip] = ends[flip][:, ::-1]
        order = np.lexsort(np.sort(directed, axis=1).T)
        edge = np.sort(directed, axis=1)[order]
        same = (edge[1:] == edge[:-1]).all(axis=1)
        one, other = ends[order][:-1][same], ends[order][1:][same]
        links = coo_matrix((np.ones(2 * len(one)), (one.T.ravel(), other.T.ravel())), shape=(corner.size, corner.size))
        assert connected_components(links, directed=False)[0] == len(np.unique(self.triangles))


def meshed_anew(vertices: np.ndarray, triangles: np.ndarray, count: int = 40000) -> tuple[np.ndarray, np.ndarray]:
    """The same surface with about `count` triangles on vertices of its own."""
    vertices, triangles = subdivided(vertices, triangles, 2)
    return surface.decimate(*surface.keep(vertices, triangles, np.ones(len(triangles), bool)), count)


@cache
def voxel_sculpt(amplitude: float = 0.003, cell: float = CELL) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A closed sculpt as marching cells make it: lips grown together, eyeballs in one with the lids, the neck closed.

    Returns:
        vertices [N, 3], triangles [M, 3] outward, and the true head's vertices [V, 3] that it was made of.
    """
    model = load_head_model()
    head = model.vertices.astype(np.float64)
    head = head + known_field(head, amplitude)
    rim = model.regions["rim"]
    middle = head[rim].mean(axis=0)
    ring = rim[np.argsort(np.arctan2(*(head[rim] - middle)[:, [0, 2]].T))]
    floor = np.stack([ring, np.roll(ring, -1), np.full(len(ring), len(head))], axis=1)
    balls = [model.triangles()[2 * model.part(f"eye_{side}").faces[0] :][:140] for side in ("left", "right")]
    closed = np.concatenate([shown_skin(model), *balls, floor])
    corners = np.concatenate([head, [middle]])

    low, high = head.min(axis=0) - 5 * cell, head.max(axis=0) + 5 * cell
    axes = [np.arange(low[axis], high[axis], cell) for axis in range(3)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    far = np.ones(points.shape[:3], bool)
    for mesh, rounds in ((closed, 2), (floor, 5)):
        far[tuple(np.rint((subdivided(corners, mesh, rounds)[0] - low) / cell).astype(int).T)] = False
    near = np.asarray(ndimage.distance_transform_edt(far)) <= 2.0
    distance = SurfaceIndex(corners, closed).nearest(points[near]).distance
    # Inside is what hardly a ray leaves: lids and eyeballs have a gap between them.
    caster = RayCaster(corners, closed)
    directions = np.stack(np.meshgrid(*[[-1.0, 0.13, 1.0]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[::2]
    met = caster.occluded(points[near][:, None], directions).mean(axis=1) > 0.9
    pieces = np.empty(near.shape, np.int32)
    ndimage.label(~near, output=pieces)
    field = np.where(pieces == pieces[0, 0, 0], -3 * cell, 3 * cell)
    field[near] = np.where(met, distance, -distance)
    vertices, triangles = surface.isosurface(ndimage.gaussian_filter(field, 0.5), low, cell)
    return (*surface.without_crumbs(vertices, triangles, 0.2), head)
