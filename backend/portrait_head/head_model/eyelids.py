"""The eyelids of a head: how far they are open, and how they close over the eyeball."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait_head.head_model.model import Part
from portrait_head.head_model.topology import QuadGraph, lash_table, patches, spokes

OUTWARD_RINGS = 13
INWARD_RINGS = 10
MARGIN_RING = 2  # the edge of the lid that meets the other lid
FIRM_RINGS = 4  # from the innermost line on, so many rings are the stiff rim of the lid and move as one
SEEN_RING = 2  # from here outward a lid lies in front of the eyeball

# How much of the way to the meeting line the lower lid goes, and how its skin follows, by ring outward. In life the
# upper lid does nearly all of a blink.
LOWER_LID_SHARE = 0.08
LOWER_OUTWARD = (1.0, 1.0, 1.0, 1.0, 0.86, 0.68, 0.48, 0.30, 0.16, 0.06, 0.0, 0.0, 0.0)
LOWER_INWARD = (1.0, 0.6, 0.3, 0.12, 0.04, 0.0, 0.0, 0.0, 0.0, 0.0)
# How the depth of the meeting line is taken over by the upper lid, by ring outward.
DEPTH_SHARE = (1.0, 1.0, 1.0, 1.0, 1.0, 0.8, 0.55, 0.3, 0.1, 0.0, 0.0, 0.0, 0.0)

CLEARANCE = 0.0004  # metres between a lid and the eyeball under it
TOUCHING = 0.00004  # metres between closed lids
STEEP = 0.35  # spokes with less of the template's greatest motion take the ring profile of their neighbours


@dataclass(frozen=True)
class Eye:
    """One eye: its ball and its lids as spokes from the innermost line of the lids.

    Attributes:
        side: +1 the subject's left, -1 the right.
        ball: [start, stop) of the eyeball's vertices.
        outward: [N, 13] int32 vertices of each spoke over lid and face.
        inward: [N, 10] int32 the same into the socket.
        upper: [N] bool spokes of the upper lid.
        lower: [N] bool spokes of the lower lid; the two at the corners are neither.
        corners: (nasal, temporal) spokes.
        lashes: [L] int32 vertices of this eye's lashes.
        lash_spokes: [L] int32 the spoke whose lid each of them grows on.
    """

    side: int
    ball: tuple[int, int]
    outward: np.ndarray
    inward: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    corners: tuple[int, int]
    lashes: np.ndarray
    lash_spokes: np.ndarray


def find_eye(
    vertices: np.ndarray,
    quads: np.ndarray,
    graph: QuadGraph,
    loop: np.ndarray,
    socket: np.ndarray,
    ball: Part,
    lashes: Part,
) -> Eye:
    """An eye of the template.

    Args:
        vertices: [V, 3] template.
        quads: [F, 4].
        graph: of all of them.
        loop: the region eye_loop_left or eye_loop_right.
        socket: the region eye_socket_left or eye_socket_right.
        ball: the eyeball.
        lashes: of both eyes.
    """
    outward = spokes(graph, loop, socket.tolist(), OUTWARD_RINGS)
    inward = spokes(graph, loop, outward[:, 1].tolist(), INWARD_RINGS)
    side = 1 if vertices[loop, 0].mean() > 0 else -1
    across = np.abs(vertices[loop, 0])
    nasal, temporal = int(np.argmin(across)), int(np.argmax(across))
    first, last = sorted((nasal, temporal))
    between = np.zeros(len(loop), dtype=bool)
    between[first + 1 : last] = True
    rest = ~between
    rest[[first, last]] = False
    heights = vertices[outward[:, MARGIN_RING], 1]
    upper, lower = (between, rest) if heights[between].mean() > heights[rest].mean() else (rest, between)
    own, grown_on = _lashes(vertices, quads, lashes, outward, upper, lower, side)
    return Eye(side, ball.vertices, outward, inward, upper, lower, (nasal, temporal), own, grown_on)


def _lashes(
    vertices: np.ndarray,
    quads: np.ndarray,
    lashes: Part,
    outward: np.ndarray,
    upper: np.ndarray,
    lower: np.ndarray,
    side: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Lash vertices [L] of one side and the spoke [L] that the hair of each grows on, the same along a hair."""
    faces = quads[slice(*lashes.faces)]
    label = patches(faces)
    strips = []
    for one in range(int(label.max()) + 1):
        strip = faces[label == one]
        if vertices[strip, 0].mean() * side > 0:
            strips.append(strip)
    strips.sort(key=lambda strip: -vertices[strip, 1].mean())
    found: list[int] = []
    grown_on: list[int] = []
    for strip, lid in zip(strips, (upper, lower), strict=True):
        rows = np.flatnonzero(lid)
        margin = vertices[outward[rows, MARGIN_RING + 1]]
        for hair in lash_table(vertices, strip).T:
            near = int(rows[np.argmin(np.linalg.norm(margin - vertices[hair[1]], axis=1))])
            found += hair.tolist()
            grown_on += [near] * len(hair)
    return np.array(found, dtype=np.int32), np.array(grown_on, dtype=np.int32)


@dataclass(frozen=True)
class _Frame:
    """Cylinder coordinates round the line between the corners of an eye, through the middle of its ball."""

    origin: np.ndarray  # [3] the ball's middle
    along: np.ndarray  # [3] from the nasal to the temporal corner
    ahead: np.ndarray  # [3]
    up: np.ndarray  # [3]
    radius: float  # of the ball

    def to_local(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 3] as (place along, angle above straight ahead, distance from the line)."""
        offset = points - self.origin
        height, depth = offset @ self.up, offset @ self.ahead
        return np.stack([offset @ self.along, np.arctan2(height, depth), np.hypot(height, depth)], axis=-1)

    def to_world(self, local: np.ndarray) -> np.ndarray:
        """The other way."""
        place, angle, distance = np.moveaxis(local, -1, 0)[..., None]
        return self.origin + place * self.along + distance * (np.sin(angle) * self.up + np.cos(angle) * self.ahead)


def ball_centre(eye: Eye, vertices: np.ndarray) -> tuple[np.ndarray, float]:
    """Middle [3] and greatest radius of an eyeball, metres."""
    ball = vertices[slice(*eye.ball)].astype(np.float64)
    centre = ball.mean(axis=0)
    return centre, float(np.linalg.norm(ball - centre, axis=1).max())


def _frame(eye: Eye, vertices: np.ndarray) -> _Frame:
    centre, radius = ball_centre(eye, vertices)
    nasal, temporal = (vertices[eye.outward[corner, MARGIN_RING]].astype(np.float64) for corner in eye.corners)
    along = temporal - nasal
    along /= np.linalg.norm(along)
    ahead = np.array([0.0, 0.0, 1.0])
    ahead -= (ahead @ along) * along
    ahead /= np.linalg.norm(ahead)
    up = np.cross(ahead, along) * eye.side
    return _Frame(centre, along, ahead, up, radius)


def lid_gap(eye: Eye, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far the lids are open along the eye.

    Returns:
        t: [n] places from the nasal (0) to the temporal corner (1).
        gap: [n] metres from the edge of the lower lid up to that of the upper one; negative where they have crossed.
    """
    frame = _frame(eye, vertices)
    margin = frame.to_local(vertices[eye.outward[:, MARGIN_RING]])
    t = _place(eye, margin)
    upper, lower = np.flatnonzero(eye.upper), _from_corner_to_corner(eye, eye.lower, t)
    angle = np.interp(t[upper], t[lower], margin[lower, 1])
    distance = np.interp(t[upper], t[lower], margin[lower, 2])
    order = np.argsort(t[upper], kind="stable")
    return t[upper][order], ((margin[upper, 1] - angle) * (margin[upper, 2] + distance) / 2)[order]


def _place(eye: Eye, margin: np.ndarray) -> np.ndarray:
    nasal, temporal = (margin[corner, 0] for corner in eye.corners)
    return (margin[:, 0] - nasal) / (temporal - nasal)


def _from_corner_to_corner(eye: Eye, lid: np.ndarray, t: np.ndarray) -> np.ndarray:
    rows = np.concatenate([np.flatnonzero(lid), np.array(eye.corners)])
    return rows[np.argsort(t[rows], kind="stable")]


def ring_profile(eye: Eye, blink: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How the skin of the upper lid follows its edge in the template's blink.

    Args:
        eye: of the template.
        blink: [V, 3] the template's displacement for a closed eye.

    Returns:
        Shares of the edge's motion, outward [N, 13] and inward [N, 10], for spokes of the upper lid; zeros elsewhere.
    """
    size = np.linalg.norm(blink, axis=1)
    edge = size[eye.outward[:, MARGIN_RING]]
    rows = np.flatnonzero(eye.upper)
    good = rows[edge[rows] > STEEP * edge[rows].max()]
    outward, inward = np.zeros(eye.outward.shape), np.zeros(eye.inward.shape)
    for row in rows:
        near = good[np.argmin(np.abs(good - row))]
        outward[row] = np.minimum(size[eye.outward[near]] / edge[near], 1.0)
        inward[row] = np.minimum(size[eye.inward[near]] / edge[near], 1.0)
    outward[rows, 1:FIRM_RINGS] = 1.0
    return outward, inward


def closed_eye(eye: Eye, vertices: np.ndarray, profile: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """This head with one eye closed: the lids turn about the eyeball until their edges meet.

    Args:
        eye: which.
        vertices: [V, 3] metres, the head with open eyes.
        profile: of `ring_profile`.

    Returns:
        [V, 3] float64.
    """
    frame = _frame(eye, vertices)
    moved = vertices.astype(np.float64).copy()
    margin = frame.to_local(moved[eye.outward[:, MARGIN_RING]])
    t = _place(eye, margin)
    on_lower = _from_corner_to_corner(eye, eye.lower, t)
    on_upper = _from_corner_to_corner(eye, eye.upper, t)

    turn, depth = np.zeros(len(t)), np.zeros(len(t))
    opening = np.interp(t, t[on_upper], margin[on_upper, 1]) - margin[:, 1]
    turn[eye.lower] = LOWER_LID_SHARE * np.maximum(opening[eye.lower], 0)
    meeting = margin[:, 1] + turn
    target = np.interp(t, t[on_lower], meeting[on_lower]) + TOUCHING / frame.radius
    turn[eye.upper] = np.minimum(target - margin[:, 1], 0)[eye.upper]
    depth[eye.upper] = (np.interp(t, t[on_lower], margin[on_lower, 2]) - margin[:, 2])[eye.upper]

    outward, inward = profile[0].copy(), profile[1].copy()
    outward[eye.lower], inward[eye.lower] = LOWER_OUTWARD, LOWER_INWARD
    for table, share, depth_share in (
        (eye.inward[:, 1:], inward[:, 1:], np.zeros(INWARD_RINGS - 1)),
        (eye.outward, outward, np.array(DEPTH_SHARE)),
    ):
        local = frame.to_local(moved[table])
        local[..., 1] += share * turn[:, None]
        local[..., 2] += depth_share * depth[:, None]
        placed = frame.to_world(local)
        active = (share > 0) & (eye.upper | eye.lower)[:, None]
        moved[table[active]] = placed[active]
    _keep_outside(moved, eye.outward[eye.upper | eye.lower, SEEN_RING:], frame.origin, frame.radius + CLEARANCE)

    local = frame.to_local(vertices[eye.lashes].astype(np.float64))
    local[:, 1] += turn[eye.lash_spokes]
    local[:, 2] += depth[eye.lash_spokes]
    moved[eye.lashes] = frame.to_world(local)
    return moved


def keep_lids_outside(eye: Eye, neutral: np.ndarray, delta: np.ndarray) -> None:
    """Change a displacement [V, 3] in place so that it does not press the lids deeper into the eyeball than at rest."""
    rows = np.unique(eye.outward[eye.upper | eye.lower, SEEN_RING:])
    centre, radius = ball_centre(eye, neutral)
    at_rest = np.linalg.norm(neutral[rows] - centre, axis=1)
    moved = neutral + delta
    _keep_outside(moved, rows, centre, np.minimum(at_rest, radius + CLEARANCE)[:, None])
    delta[rows] = moved[rows] - neutral[rows]


def _keep_outside(vertices: np.ndarray, rows: np.ndarray, centre: np.ndarray, least: np.ndarray | float) -> None:
    """Push the vertices in `rows` to at least the distance `least` from an eyeball's middle, in place."""
    found = np.unique(rows)
    offset = vertices[found] - centre
    distance = np.linalg.norm(offset, axis=1, keepdims=True)
    vertices[found] = centre + offset * np.maximum(1.0, least / np.maximum(distance, 1e-9))
