"""Where each part of the head lies in its material's texture: the same for every head.

Each material fills a unit square of its own, origin bottom left.

* skin: one island from MakeHuman's layout of the head, turned upright and stretched so that the face has most of the
  room, with the neck sewn to it below; the hidden skin round the eyeballs lies at the top, in the notch of the crown.
  Mirror symmetric: the other side of the head has 1 - u.
* eyes: both eyeballs share one layout round the middle of the square (`eye_radius`), back caps in the corners.
* mouth: teeth as straight strips (gum to tip upwards, upper teeth above lower), tongue and cavity.
* lashes: four strips, upper left, upper right, lower left, lower right from the top; the root of the hairs is below.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import spsolve

from portrait_head.head_model.model import Part
from portrait_head.head_model.topology import QuadGraph, border_edges, grid, lash_table, patches

GUTTER = 0.006  # free border round islands, a share of the square: 12 texels at 2048

# Stretch of MakeHuman's head island, as density over its width from the middle out (0 to 1) and over its height from
# chin (0) to crown (1): what is dense is magnified. The face ends at the ears, 0.42 of the way out.
WIDTH_AT = (0.0, 0.34, 0.40, 0.47, 0.56, 1.0)
WIDTH_DENSITY = (2.10, 2.00, 1.20, 0.90, 0.32, 0.22)
HEIGHT_AT = (0.0, 0.08, 0.14, 0.56, 0.66, 1.0)
HEIGHT_DENSITY = (0.7, 1.0, 1.7, 1.7, 0.45, 0.20)
# Below this line of heights over depths, from the nape under the jaw, MakeHuman's places give way so that the neck can
# be sewn on without folds; metres on the template.
LOOSE_Z = (0.0, 0.02, 0.05, 0.10)
LOOSE_Y = (-0.025, -0.045, -0.070, -0.105)
RIM_HEIGHT = 0.08  # metres from the lowest to above the highest point of the neck's border
CHIN_HEIGHT = 0.10  # the room below the chin is the neck's
SOCKET_SIZE = 0.040

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
    socket: np.ndarray,
    neck: np.ndarray,
    mirror: np.ndarray,
) -> np.ndarray:
    """[F, 4, 2] float32 corner UVs of the whole head.

    Args:
        vertices: [V, 3] template, metres.
        quads: [F, 4].
        source_uvs: [F, 4, 2] MakeHuman's own layout.
        parts: of the head.
        socket: [F] bool, faces of the eye sockets.
        neck: [F] bool, faces of the neck, an island of its own in `source_uvs`.
        mirror: [V] the vertex on the other side.
    """
    uvs = np.zeros((len(quads), 4, 2))
    faces = {part.name: slice(*part.faces) for part in parts}
    skin = np.zeros(len(quads), dtype=bool)
    skin[faces["skin"]] = True
    seen = skin & ~socket
    uvs[seen] = _skin(vertices.astype(np.float64), quads[seen], source_uvs[seen], neck[seen])
    for left in (True, False):
        own = socket & ((vertices[quads].mean(axis=1)[:, 0] > 0) == left)
        corner = np.array([0.5 + (GUTTER / 2 if left else -GUTTER / 2 - SOCKET_SIZE), 1 - GUTTER - SOCKET_SIZE])
        uvs[own] = _fit_box(source_uvs[own], corner, np.array([SOCKET_SIZE, SOCKET_SIZE]))
    _symmetrise(uvs, quads, np.flatnonzero(skin), mirror)
    for side in ("left", "right"):
        uvs[faces[f"eye_{side}"]] = _eyeball(vertices, quads[faces[f"eye_{side}"]])
    _mouth(uvs, vertices, quads, source_uvs, faces)
    _lashes(uvs, vertices, quads, faces["lashes"])
    return uvs.astype(np.float32)


def _skin(vertices: np.ndarray, quads: np.ndarray, source_uvs: np.ndarray, neck: np.ndarray) -> np.ndarray:
    """[F, 4, 2] one island of head and neck, cut along the midline of the back."""
    cut = _back_cut(vertices, quads, source_uvs, neck)
    # A corner of the chart is a vertex, and on the cut a vertex and a side.
    left = vertices[quads].mean(axis=1)[:, :1] > 0
    keys, chart = np.unique(quads * 2 + (cut[quads] & left), return_inverse=True)
    chart = chart.reshape(quads.shape)
    placed = np.full((len(keys), 2), np.nan)
    placed[chart[~neck]] = _warp(_upright(source_uvs[~neck], vertices[quads[~neck]]))

    rim = _rim(vertices, quads)
    steps = np.linalg.norm(np.diff(vertices[rim], axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    sides = np.where(cut[rim], np.arange(len(rim)) > 0, False)
    rim_rows = np.searchsorted(keys, np.array(rim) * 2 + sides)
    placed[rim_rows] = np.stack([GUTTER + (1 - 2 * GUTTER) * along, np.full(len(rim), GUTTER)], axis=1)
    below_head = np.unique(chart[neck])
    for side in (0, 1):
        own = below_head[cut[keys[below_head] // 2] & (keys[below_head] % 2 == side)]
        own = own[np.argsort(vertices[keys[own] // 2, 1])]
        height = vertices[keys[own] // 2, 1]
        share = (height - height[0]) / (height[-1] - height[0])
        placed[own] = placed[own[0]] + share[:, None] * (placed[own[-1]] - placed[own[0]])
    held = np.union1d(rim_rows, np.flatnonzero(cut[keys // 2]))
    loose = vertices[keys // 2, 1] < np.interp(vertices[keys // 2, 2], LOOSE_Z, LOOSE_Y)
    placed[np.setdiff1d(np.flatnonzero(loose), held)] = np.nan
    return _fill_in(placed, chart)[chart]


def _back_cut(vertices: np.ndarray, quads: np.ndarray, source_uvs: np.ndarray, neck: np.ndarray) -> np.ndarray:
    """Mask [V] of the midline vertices of the back, where the head's layout has two UVs and the neck is to be cut."""
    corners = np.concatenate([quads[~neck].reshape(-1, 1), np.round(source_uvs[~neck].reshape(-1, 2) * 1e6)], axis=1)
    found, count = np.unique(np.unique(corners, axis=0)[:, 0].astype(int), return_counts=True)
    cut = np.zeros(len(vertices), dtype=bool)
    cut[found[count > 1]] = True
    on_neck = np.unique(quads[neck])
    cut[on_neck[(np.abs(vertices[on_neck, 0]) < 1e-6) & (vertices[on_neck, 2] < 0)]] = True
    return cut


def _upright(uvs: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """MakeHuman's head island turned so that the crown is up and the subject's left is right, in the unit square."""
    turned = uvs[..., ::-1].copy()
    for axis in (0, 1):
        low, high = turned[..., axis].min(), turned[..., axis].max()
        turned[..., axis] = (turned[..., axis] - low) / (high - low)
        if np.corrcoef(turned[..., axis].ravel(), positions[..., axis].ravel())[0, 1] < 0:
            turned[..., axis] = 1 - turned[..., axis]
    return turned


def _warp(uvs: np.ndarray) -> np.ndarray:
    """Magnify the face: each axis by the integral of its density, which keeps it monotone."""
    across = uvs[..., 0] * 2 - 1
    u = 0.5 + 0.5 * np.sign(across) * _integral(np.abs(across), WIDTH_AT, WIDTH_DENSITY)
    v = _integral(uvs[..., 1], HEIGHT_AT, HEIGHT_DENSITY)
    return np.stack([GUTTER + (1 - 2 * GUTTER) * u, CHIN_HEIGHT + (1 - GUTTER - CHIN_HEIGHT) * v], axis=-1)


def _integral(at: np.ndarray, knots: tuple[float, ...], density: tuple[float, ...]) -> np.ndarray:
    """Integral from 0 to `at` of the piecewise linear density, scaled to 1 at 1."""
    fine = np.linspace(0, 1, 2001)
    value = np.interp(fine, knots, density)
    total = np.concatenate([[0.0], np.cumsum((value[1:] + value[:-1]) / 2)])
    return np.interp(at, fine, total / total[-1])


def _rim(vertices: np.ndarray, quads: np.ndarray) -> list[int]:
    """The neck's open border from the middle of the back by way of the subject's right side and back again."""
    edges = border_edges(quads)
    low = min(vertices[one, 1] for one, _ in edges)
    # The other borders, round eyes and lips, are far above.
    line = QuadGraph(quads).closed_path([edge for edge in edges if vertices[edge[0], 1] < low + RIM_HEIGHT])
    start = min(range(len(line)), key=lambda place: (abs(vertices[line[place], 0]) > 1e-6, vertices[line[place], 2]))
    line = line[start:] + line[:start]
    if vertices[line[1], 0] > 0:
        line = line[:1] + line[:0:-1]
    return line + line[:1]


def _fill_in(placed: np.ndarray, chart: np.ndarray) -> np.ndarray:
    """Give every chart corner without a place the mean of its neighbours' (Tutte's embedding of the neck)."""
    edges = np.sort(np.stack([chart, np.roll(chart, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
    edges = np.unique(edges, axis=0)
    count = len(placed)
    one, other = edges.T
    weights = coo_matrix(
        (np.ones(2 * len(edges)), (np.r_[one, other], np.r_[other, one])), shape=(count, count)
    ).tocsr()
    free = np.isnan(placed[:, 0])
    laplacian = (diags(np.asarray(weights.sum(axis=1)).ravel()) - weights).tocsr()
    filled = placed.copy()
    right = -laplacian[free][:, ~free] @ placed[~free]
    filled[free] = spsolve(laplacian[free][:, free].tocsc(), right)
    return filled


def _symmetrise(uvs: np.ndarray, quads: np.ndarray, faces: np.ndarray, mirror: np.ndarray) -> None:
    """Make the layout of `faces` exactly mirror symmetric, in place: 1 - u on the other side."""
    place = {tuple(sorted(corners)): face for face, corners in zip(faces.tolist(), quads[faces].tolist(), strict=True)}
    opposite = np.array([place[tuple(sorted(corners))] for corners in mirror[quads[faces]].tolist()])
    match = quads[opposite][:, None, :] == mirror[quads[faces]][:, :, None]
    reflected = np.take_along_axis(uvs[opposite], match.argmax(axis=2)[..., None], axis=1) * [-1, 1] + [1, 0]
    mean = ((uvs[faces] + reflected) / 2).astype(np.float32)
    # In float32, 1 - u is exact for u of at least one half: the left side leads and the right side is its reflection.
    leads = mean[..., :1] >= 0.5
    whole = np.zeros_like(uvs, dtype=np.float32)
    whole[faces] = mean
    follows = np.take_along_axis(whole[opposite], match.argmax(axis=2)[..., None], axis=1)
    follows = follows * np.array([-1, 1], np.float32) + np.array([1, 0], np.float32)
    uvs[faces] = np.where(leads, mean, follows)


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
