"""A head at rest: closed lips, eyeballs behind their lids, teeth just behind the lips.

Identity coefficients and fitted offsets move all of these a little apart or into one another.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix, diags, identity
from scipy.sparse.linalg import splu

from portrait_head.head_model import lips
from portrait_head.head_model.expressions import find_face_parts
from portrait_head.head_model.eyelids import Eye
from portrait_head.head_model.lips import Lips
from portrait_head.head_model.model import HeadModel

# Two neighbouring quads of the red make a crease when the cosine between their normals is lower than this, and by the
# margin lower than on the template; lips with more creases are smoothed, the gentlest first, the last keeping how thin
# or full they are.
CREASE = 0.6
CREASE_MARGIN = 0.35
MOST_CREASES = 3
IRONING = (3.0, 10.0, 30.0)

# The eyeball goes where the lids lie on it as on the template: rings of the lids that count, Gauss-Newton steps, pull
# towards where and how big it was (a share of the lids' say), and the share by which its radius may change.
SEAT_RINGS = slice(2, 4)
SEAT_STEPS = 8
SEAT_PULL = (0.02, 0.02, 0.02, 0.1)
RADIUS_CHANGE = 0.06
CORNER_SPOKES = 2  # next to each corner the lids leave the ball

# Between the front teeth and the lips before them, metres.
TEETH_GAP = (0.0008, 0.0030)
FRONT_TEETH = 0.012  # half the width of the front teeth
CROWN_HEIGHT = 0.007  # of the part that the lips rest on
LIP_REACH = 0.003  # over which the inside of the lips is averaged


def settle(model: HeadModel, vertices: np.ndarray) -> np.ndarray:
    """Close the lips, seat the eyeballs and place the teeth of a head at rest.

    Skin moves only at the lips: by half of what parts them, and more where they have creases.

    Args:
        model: the head model.
        vertices: [V, 3] metres, a neutral head, its gaze straight.

    Returns:
        [V, 3] float32.
    """
    face = find_face_parts(model.vertices, model.quads, model.parts, model.regions, model.expressions)
    settled = lips.seal(face.lips, _iron_lips(model, face.lips, vertices.astype(np.float64)))
    for eye in face.eyes:
        _seat_eye(eye, model.vertices.astype(np.float64), settled)
    _place_teeth(model, face.lips, settled)
    return settled.astype(np.float32)


def close_lips(model: HeadModel, vertices: np.ndarray) -> np.ndarray:
    """The head `vertices` [V, 3] with lips that just touch: [V, 3] float32."""
    face = find_face_parts(model.vertices, model.quads, model.parts, model.regions, model.expressions)
    return lips.seal(face.lips, vertices).astype(np.float32)


def _iron_lips(model: HeadModel, mouth: Lips, vertices: np.ndarray) -> np.ndarray:
    """Smooth how the lips differ from the template's until they have no creases that those have not.

    Directions of identity that pull against one another leave knife edges and folds in the red. The difference from
    the template, not the lips, is smoothed: (I + strength L'L) d' = d over the lips, with the skin around held.

    Returns:
        [V, 3] a copy, or `vertices` itself where the lips are sound.
    """
    rows = mouth.moved
    quads = model.quads[np.isin(model.quads, rows).any(axis=1)]
    red = quads[np.isin(quads, mouth.outward[:, 1:]).all(axis=1)]
    pairs = _neighbouring_quads(red)
    limit = np.minimum(_bend(model.vertices.astype(np.float64), red, pairs), CREASE) - CREASE_MARGIN

    def is_sound(head: np.ndarray) -> bool:
        return bool((_bend(head, red, pairs) < limit).sum() <= MOST_CREASES)

    if is_sound(vertices):
        return vertices
    around = np.unique(quads)
    edges = np.unique(np.sort(np.stack([quads, np.roll(quads, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1), axis=0)
    one, other = np.searchsorted(around, edges).T
    count = len(around)
    links = coo_matrix((np.ones(2 * len(one)), (np.r_[one, other], np.r_[other, one])), shape=(count, count)).tocsr()
    laplacian = identity(count) - diags(1 / np.asarray(links.sum(axis=1)).ravel()) @ links
    inner = np.isin(around, rows)
    bending = (laplacian.T @ laplacian).tocsr()
    difference = vertices[around] - model.vertices[around]
    ironed = vertices.copy()
    for strength in IRONING:
        system = (identity(int(inner.sum())) + strength * bending[inner][:, inner]).tocsc()
        held = strength * bending[inner][:, ~inner] @ difference[~inner]
        smooth = splu(system).solve(difference[inner] - held)
        ironed[around[inner]] = model.vertices[around[inner]] + smooth
        if is_sound(ironed):
            break
    return ironed


def _neighbouring_quads(quads: np.ndarray) -> np.ndarray:
    """[P, 2] pairs of quads that share an edge."""
    edges = np.sort(np.stack([quads, np.roll(quads, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
    owner = np.repeat(np.arange(len(quads)), 4)
    order = np.lexsort((owner, edges[:, 1], edges[:, 0]))
    edges, owner = edges[order], owner[order]
    same = (edges[1:] == edges[:-1]).all(axis=1)
    return np.stack([owner[:-1][same], owner[1:][same]], axis=1)


def _bend(vertices: np.ndarray, quads: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """[P] cosine of the angle between the normals of neighbouring quads."""
    corners = vertices[quads]
    normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    return np.einsum("pc,pc->p", normal[pairs[:, 0]], normal[pairs[:, 1]])


def _seat_eye(eye: Eye, template: np.ndarray, vertices: np.ndarray) -> None:
    """Put a round ball where the lids are, in place."""
    rows = slice(*eye.ball)
    spokes = _between_corners(eye)
    lid = np.unique(eye.outward[spokes, SEAT_RINGS])
    old_centre, old_radius = _ball(template[rows])
    first_centre, first_radius = _ball(vertices[rows])
    scale = first_radius / old_radius
    wanted = (np.linalg.norm(template[lid] - old_centre, axis=1) - old_radius) * scale
    centre, radius = first_centre.copy(), first_radius
    weight = len(lid) * np.diag(SEAT_PULL)
    for _ in range(SEAT_STEPS):
        offset = vertices[lid] - centre
        distance = np.linalg.norm(offset, axis=1)
        jacobian = np.concatenate([offset / distance[:, None], np.ones((len(lid), 1))], axis=1)
        miss = distance - radius - wanted
        moved = np.concatenate([centre - first_centre, [radius - first_radius]])
        step = np.linalg.solve(jacobian.T @ jacobian + weight, jacobian.T @ miss - weight @ moved)
        centre += step[:3]
        radius += step[3]
    radius = float(np.clip(radius, first_radius * (1 - RADIUS_CHANGE), first_radius * (1 + RADIUS_CHANGE)))
    vertices[rows] = centre + (template[rows] - old_centre) * (radius / old_radius)


def _ball(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Middle [3] and mean radius of an eyeball's vertices [N, 3]."""
    centre = points.mean(axis=0)
    return centre, float(np.linalg.norm(points - centre, axis=1).mean())


def _between_corners(eye: Eye) -> np.ndarray:
    count = len(eye.upper)
    near = [(corner + step) % count for corner in eye.corners for step in range(-CORNER_SPOKES, CORNER_SPOKES + 1)]
    return np.setdiff1d(np.arange(count), near)


def _place_teeth(model: HeadModel, mouth: Lips, vertices: np.ndarray) -> None:
    """Move teeth and tongue forward or back together until the front teeth stand just behind the lips, in place."""
    inside = np.unique(mouth.inward[:, 1:4])
    wall = vertices[inside]
    gaps = []
    for name, down in (("teeth_upper", -1.0), ("teeth_lower", 1.0)):
        teeth = vertices[slice(*model.part(name).vertices)]
        front = teeth[np.abs(teeth[:, 0]) < FRONT_TEETH]
        height = front[:, 1] * down
        front = front[height > height.max() - CROWN_HEIGHT]
        apart = ((front[:, None, :2] - wall[None, :, :2]) ** 2).sum(axis=2)
        near = np.exp(-(apart - apart.min(axis=1, keepdims=True)) / (2 * LIP_REACH**2))
        gaps.append((near @ wall[:, 2] / near.sum(axis=1) - front[:, 2]).min())
    least = float(min(gaps))
    shift = least - float(np.clip(least, *TEETH_GAP))
    for name in ("teeth_upper", "teeth_lower", "tongue"):
        vertices[slice(*model.part(name).vertices), 2] += shift
