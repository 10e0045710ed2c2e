"""The skin's UV layout, `data/skin_uvs.npz`: the same for every head, with half of its room for the face.

    python -m portrait_head.head_model.derive.skin_layout

The left half of the skin, cut open along the midline of the back, is flattened so that every triangle comes out as
nearly as it can in its own shape and in the size that its place on the head deserves: whole on the face, less and less
away from it. The border is free within walls at a gutter from the square's sides. The front's midline stays at
u = 1/2, and the right half is the left's reflection. Eyes and mouth are closed by fans of triangles, which keeps lids
and lips from folding over one another. The hidden skin round each eyeball is flattened likewise and has an upper corner
of the square.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import KDTree

from portrait_head.head_model import HeadModel, load_head_model
from portrait_head.head_model.derive.flatten import Patch, flatten, harmonic, in_plane
from portrait_head.head_model.topology import QuadGraph, border_edges
from portrait_head.head_model.uv_layout import GUTTER, SKIN_TABLE

MIDLINE = 1e-6  # metres; the template is symmetric to the bit
CROWN_Y = 0.10  # metres, below the top of the crown, above all else on the midline of the back
START, START_RADIUS = np.array([0.5, 0.5]), 0.4  # of the half disc that the flattening begins with


@dataclass(frozen=True)
class Config:
    """Tuned for the face's share of the map and for even texels on it; lengths on the template in metres.

    Attributes:
        scalp: size of a triangle far from the face in heights of the scalp, the face's own being 1.
        neck: the same in heights of the neck.
        ear: the same of the outer ear.
        between: heights between which it goes from the neck's to the scalp's.
        fade_at: way over the skin from the face's edge,
        fade: and how much of the face's size is left there.
        ear_fade: distance from the ear at which its size does not count any more.
        face_weight: how much more than elsewhere distortion of the face costs.
        seam_end: depth, towards the front, on top of the crown where the cut ends.
        fill: size of all triangles; at 1 they would fill the walls if nothing were squeezed.
        corner: legs of the triangles in the upper corners that are left for the hidden skin round the eyes.
        socket: share of `corner` that its side takes.
        mouth: half the height of the opening of the lips, in metres of face: the gutter between them.
        fan_weight: what the triangles that close eyes and mouth count.
        wall: how far the walls are felt.
        steps: of Newton's method at most.
    """

    scalp: float = 0.17
    neck: float = 0.22
    ear: float = 0.5
    between: tuple[float, float] = (-0.02, 0.03)
    fade_at: tuple[float, ...] = (0.0, 0.015, 0.06)
    fade: tuple[float, ...] = (1.0, 0.8, 0.0)
    ear_fade: float = 0.015
    face_weight: float = 8.0
    seam_end: float = 0.0
    fill: float = 0.98
    corner: float = 0.10
    socket: float = 0.42
    mouth: float = 0.0008
    fan_weight: float = 0.3
    wall: float = 1e-4
    steps: int = 80


def size_wanted(model: HeadModel, triangles: np.ndarray, config: Config) -> np.ndarray:
    """[V] the size that the surface at each vertex should have, the face's being 1."""
    points = model.vertices.astype(np.float64)
    edges = np.unique(np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
    length = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    ways = csr_matrix((length, edges.T), shape=(len(points), len(points)))
    face = np.intersect1d(model.regions["face"], triangles)
    away = dijkstra(ways, directed=False, indices=face, min_only=True)
    low, high = config.between
    upper = np.clip((points[:, 1] - low) / (high - low), 0.0, 1.0)
    far = config.neck + (config.scalp - config.neck) * upper
    size = far + (1 - far) * np.interp(away, config.fade_at, config.fade)
    near_ear = 1 - KDTree(points[model.regions["ear_left"]]).query(points)[0] / config.ear_fade
    return np.maximum(size, size + (config.ear - size) * np.clip(near_ear, 0.0, 1.0))


def skin_places(model: HeadModel, quads: np.ndarray, config: Config) -> np.ndarray:
    """[V, 2] UVs of the left half of the skin; not a number elsewhere.

    Args:
        model: the head model; its own UVs are not read.
        quads: [F, 4] the visible skin's on the left side.
        config: see there.
    """
    points = np.concatenate([model.vertices.astype(np.float64), np.zeros((2, 3))])
    eye, mouth = len(points) - 2, len(points) - 1  # the middles of the fans that close them
    triangles = _halved(quads)
    eye_loop = model.regions["eye_loop_left"]
    front, lips, cut = _outline(model, quads, config.seam_end)
    flat = _opened(points, eye_loop, lips, config.mouth)
    fan = np.concatenate([_fan(triangles, np.append(eye_loop, eye_loop[0]), eye), _fan(triangles, lips, mouth)])

    size = size_wanted(model, triangles, config)[triangles].mean(axis=1)
    rest = in_plane(points[triangles])
    room = (0.5 - GUTTER) * (1 - 2 * GUTTER) - config.corner**2 / 2
    scale = config.fill * np.sqrt(room / (np.linalg.det(rest) / 2 * size**2).sum())
    rest *= (scale * size)[:, None, None]
    face = np.isin(triangles, model.regions["face"]).all(axis=1)
    weight = np.linalg.det(rest) / 2 * np.where(face, config.face_weight, 1 / size)
    rest_of_fan = in_plane(flat[fan]) * scale
    weight_of_fan = config.fan_weight * np.linalg.det(rest_of_fan) / 2

    used, renumbered = np.unique(np.concatenate([triangles, fan]), return_inverse=True)
    row = np.full(len(points), -1)
    row[used] = np.arange(len(used))
    midline = row[np.append(front, mouth)]
    held = np.full((len(used), 2), np.nan)
    # Begun on half a disc: the midline upright, the cut round it from the crown to the chin.
    held[row[cut]] = START + START_RADIUS * _arc(90.0, -90.0, _share_of_length(points[cut]))
    down = _share_of_length(flat[np.insert(front, np.flatnonzero(front == lips[0])[0] + 1, mouth)])
    middle = np.flatnonzero(front == lips[0])[0] + 1
    held[row[mouth]] = START + [0.0, START_RADIUS * (1 - 2 * down[middle])]
    held[row[front], 0] = START[0]
    held[row[front], 1] = START[1] + START_RADIUS * (1 - 2 * np.delete(down, middle))
    renumbered = renumbered.reshape(-1, 3)
    free = np.ones((len(used), 2), bool)
    free[midline, 0] = False
    wall = 1 - GUTTER
    walls = np.array([(-1, 0, wall), (0, -1, wall), (0, 1, -GUTTER), (-1, -1, 2 * wall - config.corner)], np.float64)
    patch = Patch(
        renumbered,
        np.concatenate([rest, rest_of_fan]),
        np.concatenate([weight, weight_of_fan]),
        harmonic(held, renumbered),
        free,
        row[cut],
        walls,
    )
    found = flatten(patch, config.wall, config.steps)
    places = np.full((len(model.vertices), 2), np.nan)
    places[used[:-2]] = found[:-2]
    return places


def socket_places(model: HeadModel, quads: np.ndarray, config: Config) -> np.ndarray:
    """[V, 2] UVs of the hidden skin [F, 4] round the left eyeball, in the upper corner; not a number elsewhere."""
    triangles = _halved(quads)
    loop = model.regions["eye_loop_left"]
    points = model.vertices.astype(np.float64)
    used, renumbered = np.unique(triangles, return_inverse=True)
    renumbered = renumbered.reshape(-1, 3)
    rows = np.searchsorted(used, loop)
    held = np.full((len(used), 2), np.nan)
    held[rows] = START_RADIUS * _arc(0.0, 360.0, _share_of_length(points[np.append(loop, loop[0])])[:-1])
    if not _area(harmonic(held, renumbered), renumbered).min() > 0:
        held[rows, 0] *= -1  # the loop runs the other way round
    rest = in_plane(points[triangles])
    rest *= np.sqrt(1 / np.linalg.det(rest).sum())
    weight = np.linalg.det(rest) / 2
    anywhere = np.array([(0.0, 0.0, 1.0)])
    start, free = harmonic(held, renumbered), np.ones((len(used), 2), bool)
    free[0] = False
    found = flatten(Patch(renumbered, rest, weight, start, free, rows, anywhere), config.wall, config.steps)
    low, high = found.min(axis=0), found.max(axis=0)
    side = config.socket * config.corner
    places = np.full((len(points), 2), np.nan)
    places[used] = 1 - GUTTER - side + (found - (low + high) / 2) * side / (high - low).max() + side / 2
    return places


def main() -> int:
    """Write the table."""
    model, config = load_head_model(), Config()
    rows = slice(*model.part("skin").faces)
    quads = model.quads[rows]
    hidden = np.isin(quads, np.concatenate([model.regions[f"eye_socket_{side}"] for side in ("left", "right")]))
    hidden = hidden.any(axis=1)
    left = model.vertices[quads].mean(axis=1)[:, 0] > 0
    uvs = np.empty((len(quads), 4, 2), np.float32)
    for piece, lay in ((~hidden, skin_places), (hidden, socket_places)):
        # In float32, 1 - u is exact for u of at least one half: the right side is the left's reflection to the bit.
        places = lay(model, quads[piece & left], config).astype(np.float32)
        uvs[piece & left] = places[quads[piece & left]]
        uvs[piece & ~left] = places[model.mirror[quads[piece & ~left]]] * np.array([-1, 1], np.float32) + np.array(
            [1, 0], np.float32
        )
    np.savez_compressed(SKIN_TABLE, uvs=uvs)
    return 0


def _halved(quads: np.ndarray) -> np.ndarray:
    return quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)


def _area(places: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    corners = places[triangles]
    return np.linalg.det(corners[:, 1:] - corners[:, :1]) / 2


def _share_of_length(points: np.ndarray) -> np.ndarray:
    """[N] 0 to 1, how far along the line [N, 3] each of its points is."""
    walked = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    return walked / walked[-1]


def _arc(start: float, end: float, share: np.ndarray) -> np.ndarray:
    """Points [N, 2] on the unit circle between two angles in degrees."""
    angle = np.radians(start + (end - start) * share)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _outline(model: HeadModel, quads: np.ndarray, seam_end: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The border of the left half in three lines of vertices.

    Returns:
        the midline of the front from crown to neck without what lies between the lips, the lips' edge from the upper
        to the lower, and the cut from the crown down the back and round the neck to the front; both ends belong to the
        first and the last.
    """
    loop = set(model.regions["eye_loop_left"].tolist())
    path = QuadGraph(quads).closed_path([edge for edge in border_edges(quads) if not set(edge) <= loop])
    points = model.vertices[path]
    middle = np.abs(points[:, 0]) < MIDLINE
    rim = np.isin(path, model.regions["rim"])
    crown = np.flatnonzero(middle & (points[:, 1] > CROWN_Y) & (points[:, 2] > seam_end))
    start = int(crown[points[crown, 2].argmin()])
    path, points, middle, rim = (np.roll(one, -start, axis=0) for one in (np.array(path), points, middle, rim))
    if points[1, 2] < points[0, 2]:  # it began down the back
        path, points, middle, rim = (np.roll(one[::-1], 1, axis=0) for one in (path, points, middle, rim))
    end = int(np.flatnonzero(rim)[0])
    before = path[: end + 1]
    at_mouth = np.isin(before, model.regions["mouth_loop"])
    return before[middle[: end + 1]], before[at_mouth], np.append(path[end:], path[0])[::-1]


def _opened(points: np.ndarray, eye_loop: np.ndarray, lips: np.ndarray, height: float) -> np.ndarray:
    """Points [V + 2, 3] with lips that stand open a little, flat, and with the middles of eye and mouth in place."""
    flat = points.copy()
    corner = int(points[lips, 0].argmax())
    apart = height * (1.05 - points[lips, 0] / points[lips[corner], 0])
    apart[corner + 1 :] *= -1
    flat[lips] = np.stack([points[lips, 0], apart, np.zeros(len(lips))], axis=1)
    flat[-2] = points[eye_loop].mean(axis=0)
    flat[-1] = 0.0
    return flat


def _fan(triangles: np.ndarray, line: np.ndarray, middle: int) -> np.ndarray:
    """[N - 1, 3] triangles from a line on the border of others to a point, wound as they are."""
    edges = {tuple(edge) for edge in triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).tolist()}
    pairs = zip(line[:-1].tolist(), line[1:].tolist(), strict=True)
    return np.array([(one, other, middle) if (other, one) in edges else (other, one, middle) for one, other in pairs])


if __name__ == "__main__":
    sys.exit(main())
