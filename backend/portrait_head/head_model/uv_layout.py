"""Where each part of the head lies in its material's texture: the same for every head.

Each material fills a unit square of its own, origin bottom left.

* skin: one island of head and neck, cut along the midline of the back from the crown to the neck, with half of its room
  for the face and little distortion there; the hidden skin round the eyeballs lies in the upper corners. Mirror
  symmetric: the other side of the head has 1 - u. Its places are a table that `derive.skin_layout` made.
* eyes: both eyeballs share one layout round the middle of the square (`eye_radius`), back caps in the corners.
* mouth: teeth as straight strips (gum to tip upwards, upper teeth above lower), tongue and cavity.
* lashes: four strips, upper left, upper right, lower left, lower right from the top; the root of the hairs is below.

The layout belongs to the head model and not to texturing, because it is data of the template as quads and regions are:
expressions, the asset and the tables of other stages carry it without knowing of any texture.
"""

from __future__ import annotations

import numpy as np

from portrait_head.head_model.model import DATA, Part
from portrait_head.head_model.topology import QuadGraph, grid, lash_table, patches

GUTTER = 0.006  # free border round islands, a share of the square: 12 texels at 2048

SKIN_TABLE = DATA / "skin_uvs.npz"  # "uvs" [F, 4, 2] float32 of the skin's faces in order

EYE_FALLOFF = np.radians(55.0)
EYE_CAP = np.radians(125.0)  # beyond this angle from the pupil an eyeball is never seen
EYE_CAP_SIZE = 0.12

TEETH_HEIGHT = 0.14
TONGUE_WIDTH = 0.28


def eye_radius(angle: np.ndarray | float) -> np.ndarray:
    """Distance from the middle of the eyes' square at `angle` radians from the straight-ahead axis of the eyeball.

    The iris is magnified: 23.5 degrees, MakeHuman's iris, lie at 0.39 of the radius at which the visible ball ends.
    """
    return 0.48 * (1 - np.exp(-np.asarray(angle) / EYE_FALLOFF)) / (1 - np.exp(-EYE_CAP / EYE_FALLOFF))


def lay_out_uvs(
    vertices: np.ndarray,
    quads: np.ndarray,
    source_uvs: np.ndarray,
    parts: tuple[Part, ...],
) -> np.ndarray:
    """[F, 4, 2] float32 corner UVs of the whole head.

    Args:
        vertices: [V, 3] template, metres.
        quads: [F, 4].
        source_uvs: [F, 4, 2] MakeHuman's own layout.
        parts: of the head.
    """
    uvs = np.zeros((len(quads), 4, 2))
    faces = {part.name: slice(*part.faces) for part in parts}
    with np.load(SKIN_TABLE) as table:
        uvs[faces["skin"]] = table["uvs"]
    for side in ("left", "right"):
        uvs[faces[f"eye_{side}"]] = _eyeball(vertices, quads[faces[f"eye_{side}"]])
    _mouth(uvs, vertices, quads, source_uvs, faces)
    _lashes(uvs, vertices, quads, faces["lashes"])
    return uvs.astype(np.float32)


def _fit_box(uvs: np.ndarray, corner: np.ndarray, size: np.ndarray) -> np.ndarray:
    """An island moved and evenly scaled into the middle of a box, its lower left corner and size given."""
    low, high = uvs.reshape(-1, 2).min(axis=0), uvs.reshape(-1, 2).max(axis=0)
    scale = (size / (high - low)).min()
    return corner + (size - (high - low) * scale) / 2 + (uvs - low) * scale


def _eyeball(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """[F, 4, 2]: the ball unrolled round its straight-ahead axis, its never seen back cap flat in a corner."""
    corners = vertices[quads]
    ball = vertices[np.unique(quads)]
    centre = (ball.min(axis=0) + ball.max(axis=0)) / 2
    direction = corners - centre
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    angle = np.arccos(np.clip(direction[..., 2], -1, 1))
    across = direction[..., :2] / np.maximum(np.linalg.norm(direction[..., :2], axis=-1, keepdims=True), 1e-9)
    front = 0.5 + eye_radius(angle)[..., None] * across
    # Seen from behind, the cap's left and right change places.
    behind = EYE_CAP_SIZE / 2 + GUTTER + direction[..., :2] * [-EYE_CAP_SIZE / 2, EYE_CAP_SIZE / 2]
    is_cap = (angle.max(axis=1) > EYE_CAP)[:, None, None]
    return np.where(is_cap, behind, front)


def _mouth(
    uvs: np.ndarray, vertices: np.ndarray, quads: np.ndarray, source_uvs: np.ndarray, faces: dict[str, slice]
) -> None:
    for row, name in enumerate(("teeth_lower", "teeth_upper")):
        bottom = GUTTER + row * (TEETH_HEIGHT + 2 * GUTTER)
        strip = _teeth(vertices, quads[faces[name]], name == "teeth_upper")
        uvs[faces[name]] = [GUTTER, bottom] + strip * [1 - 2 * GUTTER, TEETH_HEIGHT]
    bottom = 3 * GUTTER + 2 * (TEETH_HEIGHT + GUTTER)
    height = 1 - GUTTER - bottom
    tongue = _fit_box(source_uvs[faces["tongue"]], np.zeros(2), np.array([TONGUE_WIDTH, height]))
    uvs[faces["tongue"]] = tongue + [GUTTER, bottom]
    left = TONGUE_WIDTH + 3 * GUTTER
    uvs[faces["mouth"]] = _fit_box(
        source_uvs[faces["mouth"]], np.array([left, bottom]), np.array([1 - GUTTER - left, height])
    )


def _teeth(vertices: np.ndarray, quads: np.ndarray, upper: bool) -> np.ndarray:
    """[F, 4, 2] in the unit square: along the arch to the subject's left; the front's gum at the strip's outer edge."""
    corners = _grid_corners(quads)
    start = min(corners, key=lambda vertex: vertices[vertex, 0])  # the molars of the right side, outside
    towards = max(QuadGraph(quads).neighbours(start), key=lambda vertex: vertices[vertex, 2])
    table = grid(quads, start, towards)
    return _unroll(vertices, quads, table[::-1] if upper else table)


def _lashes(uvs: np.ndarray, vertices: np.ndarray, quads: np.ndarray, faces: slice) -> None:
    label = patches(quads[faces])
    strips = [np.arange(faces.start, faces.stop)[label == one] for one in range(int(label.max()) + 1)]
    middle = [vertices[quads[rows]].reshape(-1, 3).mean(axis=0) for rows in strips]
    # From the top: upper left, upper right, lower left, lower right.
    order = sorted(range(len(strips)), key=lambda one: (-round(middle[one][1] * 500), -middle[one][0]))
    height = (1 - (len(strips) + 1) * GUTTER) / len(strips)
    for place, one in enumerate(order):
        rows = strips[one]
        table = lash_table(vertices, quads[rows])
        bottom = 1 - (place + 1) * (height + GUTTER)
        unrolled = _unroll(vertices, quads[rows], table)
        edges = unrolled[:, 1] - unrolled[:, 0], unrolled[:, 2] - unrolled[:, 0]
        if (edges[0][:, 0] * edges[1][:, 1] - edges[0][:, 1] * edges[1][:, 0]).sum() < 0:
            unrolled = unrolled * [-1, 1] + [1, 0]  # the strip shows its other side
        uvs[rows] = [GUTTER, bottom] + unrolled * [1 - 2 * GUTTER, height]


def _grid_corners(quads: np.ndarray) -> list[int]:
    """The four vertices of a rectangular patch that belong to one face only."""
    return np.flatnonzero(np.bincount(quads.ravel()) == 1).tolist()


def _unroll(vertices: np.ndarray, quads: np.ndarray, table: np.ndarray) -> np.ndarray:
    """[F, 4, 2]: a rectangular patch as the unit square, its columns by length along the rows, first row below."""
    steps = np.linalg.norm(np.diff(vertices[table], axis=1), axis=2).mean(axis=0)
    columns = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    place = np.zeros((int(quads.max()) + 1, 2))
    place[table] = np.stack(np.broadcast_arrays(columns, np.linspace(0, 1, len(table))[:, None]), axis=-1)
    return place[quads]
