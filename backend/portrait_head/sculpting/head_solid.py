"""The fitted head as a solid: skin without holes, and the eyeballs in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull

from portrait_head.geometry.solids import common
from portrait_head.geometry.surface import vertex_normals
from portrait_head.geometry.tessellation import phong_tessellation
from portrait_head.geometry.winding import Solid
from portrait_head.head_model.model import HeadModel
from portrait_head.head_model.topology import border_edges

EYES = ("left", "right")
BALL_POINTS = 600
RIM_ROUNDING = 0.010  # metres over which that cut is rounded: a sharp edge would fray
RIM_MARGIN = 0.006  # metres over the highest point of the neck's ragged end where it is cut straight


@dataclass(frozen=True)
class Ball:
    """A sphere: centre [3] and radius, metres."""

    centre: np.ndarray
    radius: float

    def depth(self, points: np.ndarray) -> np.ndarray:
        """Metres under the surface, negative outside: [N] for points [N, 3]."""
        return self.radius - np.linalg.norm(points - self.centre, axis=-1)

    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        """The sphere as vertices [V, 3] and triangles [F, 3], outward."""
        places = fibonacci_sphere(BALL_POINTS)
        triangles = ConvexHull(places).simplices
        corners = places[triangles]
        inward = np.linalg.det(corners) < 0
        triangles[inward] = triangles[inward][:, ::-1]
        return self.centre + self.radius * places, triangles


def fibonacci_sphere(count: int) -> np.ndarray:
    """[N, 3] points spread evenly over the unit sphere."""
    turn = np.pi * (1 + 5**0.5) * np.arange(count)
    height = 1 - (2 * np.arange(count) + 1) / count
    across = np.sqrt(1 - height**2)
    return np.stack([across * np.cos(turn), height, across * np.sin(turn)], axis=-1)


@dataclass(frozen=True)
class Cut:
    """A plane through `point` [3] with the unit normal `up` [3] into what stays."""

    point: np.ndarray
    up: np.ndarray

    def height(self, points: np.ndarray) -> np.ndarray:
        """Metres over the plane: [N] for points [N, 3]."""
        return (points - self.point) @ self.up


@dataclass(frozen=True)
class HeadSolid:
    """The head without hair, as one body.

    Attributes:
        vertices: [V, 3] float64 metres: first those of the head model, then what closes and refines the skin.
        triangles: [T, 3] of the closed skin, outward: a film between the lips, the eye sockets open to the eyeballs'
            middles, a flat cap on the neck.
        eyes: the eyeballs, left and right.
        cut: the plane that ends the neck.
        edges: [E, 2] the vertices that the last E of `vertices` lie between.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    eyes: tuple[Ball, Ball]
    cut: Cut
    edges: np.ndarray

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Values [M] of the head model's vertices carried to all [V]; 0 where an opening was closed."""
        coarse = np.zeros(len(self.vertices) - len(self.edges))
        coarse[: len(values)] = values
        return np.concatenate([coarse, coarse[self.edges].mean(axis=1)])

    def depth(self, points: np.ndarray) -> np.ndarray:
        """Metres under the surface of skin and eyes, negative outside: [N] float32 for points [N, 3]."""
        depth = Solid(self.vertices, self.triangles).signed_distance(points)
        for ball in self.eyes:
            depth = np.maximum(depth, ball.depth(points).astype(np.float32))
        return common(depth, self.cut.height(points), RIM_ROUNDING).astype(np.float32)


def head_solid(model: HeadModel, vertices: np.ndarray) -> HeadSolid:
    """Close and smooth the skin of a head with the topology of `model` and `vertices` [V, 3] metres.

    The hidden skin round the eyeballs is left out; each opening becomes a fan round its middle, for the eyes round the
    middle of the eyeball, which fills it.
    """
    vertices = vertices.astype(np.float64)
    first, stop = model.part("skin").faces
    quads = model.quads[first:stop]
    hidden = np.concatenate([model.regions[f"eye_socket_{side}"] for side in EYES])
    quads = quads[~np.isin(quads, hidden).any(axis=1)]
    skin = quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
    normals = vertex_normals(vertices, skin)
    eyes = tuple(_ball(vertices[slice(*model.part(f"eye_{side}").vertices)]) for side in EYES)
    middles, fans = [], []
    for loop in _openings(quads):
        middle = vertices[loop[:, 0]].mean(axis=0)
        for side, ball in zip(EYES, eyes, strict=True):
            if np.isin(loop, model.regions[f"eye_loop_{side}"]).all():
                middle = ball.centre
        tip = np.full(len(loop), len(vertices) + len(middles))
        fans.append(np.stack([loop[:, 1], loop[:, 0], tip], axis=1))
        middles.append(middle)
    closed = np.concatenate([vertices, middles])
    normals = np.concatenate([normals, np.zeros((len(middles), 3))])
    finer, triangles, edges = phong_tessellation(closed, np.concatenate([skin, *fans]), normals)
    return HeadSolid(finer, triangles, (eyes[0], eyes[1]), _cut(vertices[model.regions["rim"]]), edges)


def _openings(quads: np.ndarray) -> list[np.ndarray]:
    """The closed lines [E, 2] of border edges round each opening, directed as the faces beside them are."""
    border = {tuple(edge) for edge in border_edges(quads)}
    directed = np.stack([quads, np.roll(quads, -1, axis=1)], axis=-1).reshape(-1, 2)
    on_border = [(min(edge), max(edge)) in border for edge in directed.tolist()]
    follow = dict(directed[np.array(on_border)].tolist())
    loops = []
    while follow:
        start = min(follow)
        line, here = [], start
        while here in follow:
            line.append((here, follow[here]))
            here = follow.pop(here)
        loops.append(np.array(line))
    return loops


def _cut(rim: np.ndarray) -> Cut:
    """The plane along the neck's end [N, 3] that leaves all of it below."""
    middle = rim.mean(axis=0)
    up = np.linalg.svd(rim - middle)[2][-1]
    up *= np.sign(up[1])
    return Cut(middle + up * (((rim - middle) @ up).max() + RIM_MARGIN), up)


def _ball(points: np.ndarray) -> Ball:
    centre = points.mean(axis=0)
    return Ball(centre, float(np.linalg.norm(points - centre, axis=1).mean()))
