"""Eyes and mouth of a sculpt opened, where cells are too coarse to part lip from lip or lid from eyeball.

What is seen from an eyeball's middle through the opening of the fitted head's lids is cut out, so that the real eyeball
shows; between the lips, what lies nearer to the upper is cut from what lies nearer to the lower. Then the sculpt can
blink and open its mouth.
"""

from __future__ import annotations

import numpy as np

from portrait_head.geometry.cut import Piece, part, slit
from portrait_head.geometry.nearest import SurfaceIndex
from portrait_head.head_model.model import HeadModel

EYE_REACH = 1.8  # times the eyeball's radius from its middle
EYE_FRONT = 0.5  # cosine of the angle to the middle of the opening beyond which nothing is cut
LIP_REACH = 0.015  # metres from the lips
MOUTH_END = 0.97  # share of the mouth's half width that comes apart
PATCH = 1e-4  # least share of the area for a cut-out eye


def open_eyes_and_mouth(model: HeadModel, head: np.ndarray, vertices: np.ndarray, triangles: np.ndarray) -> Piece:
    """A sculpt [N, 3], [M, 3] with the openings of the head [V, 3] that lies on it."""
    fields = np.stack([_through_lids(model, head, vertices, side) for side in ("left", "right")])
    open_eyed = part(vertices, triangles, fields, PATCH, smoothing=0)[-1]
    mouth = _slit_mouth(model, head, open_eyed)
    return Piece(mouth.vertices, mouth.triangles, mouth.origin @ open_eyed.origin)


def _through_lids(model: HeadModel, head: np.ndarray, points: np.ndarray, side: str) -> np.ndarray:
    """[N] metres that points, moved to the eyeball's surface, lie within the opening of the lids; negative outside."""
    ball = head[slice(*model.part(f"eye_{side}").vertices)]
    centre = ball.mean(axis=0)
    radius = float(np.linalg.norm(ball - centre, axis=1).mean())
    loop = head[model.regions[f"eye_loop_{side}"]] - centre
    ahead = loop.mean(axis=0) / np.linalg.norm(loop.mean(axis=0))
    across = np.cross([0.0, 1.0, 0.0], ahead)
    plane = np.stack([across / np.linalg.norm(across), np.cross(ahead, across / np.linalg.norm(across))], axis=1)
    offset = points - centre
    distance = np.linalg.norm(offset, axis=1)
    front = offset @ ahead
    near = (distance < EYE_REACH * radius) & (front > EYE_FRONT * distance)
    field = np.full(len(points), -radius)
    field[near] = _within(offset[near] @ plane / front[near, None], loop @ plane / (loop @ ahead)[:, None]) * radius
    return field


def _within(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """[N] distance of points [N, 2] from the outline of a polygon [P, 2], negative outside."""
    start, end = polygon, np.roll(polygon, -1, axis=0)
    along, offset = end - start, points[:, None] - start
    share = np.clip((offset * along).sum(axis=2) / np.maximum((along**2).sum(axis=1), 1e-30), 0.0, 1.0)
    distance = np.linalg.norm(offset - share[..., None] * along, axis=2).min(axis=1)
    # Even-odd rule: how many sides cross the way to the right.
    spans = (start[:, 1] > points[:, 1:]) != (end[:, 1] > points[:, 1:])
    reached = start[:, 0] + offset[..., 1] * along[:, 0] / np.where(along[:, 1] == 0, 1e-30, along[:, 1])
    inside = (spans & (reached > points[:, :1])).sum(axis=1) % 2 == 1
    return np.where(inside, distance, -distance)


def _slit_mouth(model: HeadModel, head: np.ndarray, piece: Piece) -> Piece:
    line = head[model.regions["mouth_loop"]]
    right, left = line[line[:, 0].argmin()], line[line[:, 0].argmax()]
    across = left - right
    place = 2 * (piece.vertices - right) @ across / (across @ across) - 1
    half = np.linalg.norm(across) / 2
    upper, lower = (_lip(model, name) for name in ("lips_upper", "lips_lower"))
    near = np.linalg.norm(piece.vertices - (left + right) / 2, axis=1) < half + LIP_REACH
    near[near] = SurfaceIndex(head, np.concatenate([upper, lower])).nearest(piece.vertices[near]).distance < LIP_REACH
    field = np.zeros(len(piece.vertices))
    to_upper, to_lower = (SurfaceIndex(head, lip).nearest(piece.vertices[near]).distance for lip in (upper, lower))
    field[near] = to_lower - to_upper
    return slit(piece.vertices, piece.triangles, field, near, MOUTH_END - np.abs(place))


def _lip(model: HeadModel, name: str) -> np.ndarray:
    """[T, 3] triangles of one lip."""
    first, last = model.part("skin").faces
    triangles = model.triangles()[2 * first : 2 * last]
    return triangles[np.isin(triangles, model.regions[name]).all(axis=1)]
