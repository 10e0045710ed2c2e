"""The seal of the lips: how far they are parted, and how to close them without one passing through the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from portrait_head.head_model.topology import QuadGraph, spokes

# How far a vertex goes along when its lip is moved, by rings outward from the innermost line of the lips and inward
# into the mouth: all of the red's inner half, nothing of the skin beyond the lip's border.
OUTWARD_SHARE = (1.0, 1.0, 1.0, 1.0, 0.95, 0.82, 0.62, 0.40, 0.20, 0.07)
INWARD_SHARE = (1.0, 0.75, 0.45, 0.20, 0.06)
CONTACT_OUTWARD, CONTACT_INWARD = 6, 2  # rings that can touch the other lip

SEALED = 0.00005  # metres between lips that touch
ROUNDS = 12
SMOOTHING = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16  # binomial, so that the red keeps an even line
PLACES = 41  # at which the lips are compared along the mouth
# Near the corners the lips run into one another; there the correction fades out.
CORNER_FADE = 0.06


@dataclass(frozen=True)
class Lips:
    """The lips as spokes across them; `t` below runs from 0 at the subject's right corner to 1 at the left one.

    Attributes:
        outward: [N, R] int32 vertices of each spoke from the innermost line over the red to the skin.
        inward: [N, S] int32 the same into the mouth.
        upper: [N] bool, spokes of the upper lip.
        lower: [N] bool, spokes of the lower lip; the two at the corners are neither.
        corners: (right, left) spokes.
    """

    outward: np.ndarray
    inward: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    corners: tuple[int, int]

    @cached_property
    def moved(self) -> np.ndarray:
        """[M] int32, every vertex that belongs to a spoke, each once."""
        return np.unique(np.concatenate([self.outward.ravel(), self.inward.ravel()]))

    def t(self, vertices: np.ndarray) -> np.ndarray:
        """[N] place of each spoke between the corners of this head's mouth."""
        line = vertices[self.outward[:, 1]]
        right, left = line[self.corners[0]], line[self.corners[1]]
        across = left - right
        return (line - right) @ across / (across @ across)

    def contact(self, side: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The strip of one lip, "upper" or "lower", that can touch the other.

        Returns:
            rows: [K] its spokes from corner to corner, the corners left out.
            table: [K, C] their vertices from inside the mouth outward.
            triangles: [T, 3], the strip with its corners.
        """
        on_side = self.upper if side == "upper" else self.lower
        rows = _in_order(sorted([*np.flatnonzero(on_side).tolist(), *self.corners]), len(self.outward))
        strip = np.concatenate(
            [self.inward[rows][:, CONTACT_INWARD:0:-1], self.outward[rows][:, :CONTACT_OUTWARD]], axis=1
        )
        a, b, c, d = strip[:-1, :-1], strip[1:, :-1], strip[1:, 1:], strip[:-1, 1:]
        # Both ways to split a quad, so that left and right are treated alike.
        halves = [np.stack(three, axis=-1) for three in ((a, b, c), (a, c, d), (a, b, d), (b, c, d))]
        triangles = np.concatenate(halves).reshape(-1, 3)
        return np.array(rows[1:-1]), strip[1:-1], triangles


def find_lips(vertices: np.ndarray, graph: QuadGraph, loop: np.ndarray, cavity: tuple[int, int]) -> Lips:
    """The lips of a head.

    Args:
        vertices: [V, 3] template.
        graph: of all quads.
        loop: the region mouth_loop.
        cavity: [start, stop) of the vertices inside the mouth.
    """
    inside = range(*cavity)
    outward = spokes(graph, loop, inside, len(OUTWARD_SHARE))
    inward = spokes(graph, loop, outward[:, 1].tolist(), len(INWARD_SHARE))
    x = vertices[loop, 0]
    right, left = int(np.argmin(x)), int(np.argmax(x))
    first, last = sorted((right, left))
    between = np.zeros(len(loop), dtype=bool)
    between[first + 1 : last] = True
    rest = ~between
    rest[[first, last]] = False
    upper, lower = (
        (between, rest) if vertices[loop[between], 1].mean() > vertices[loop[rest], 1].mean() else (rest, between)
    )
    return Lips(outward, inward, upper, lower, (right, left))


def _in_order(rows: list[int], count: int) -> list[int]:
    """Consecutive places on a closed line of `count`, begun after the gap."""
    present = set(rows)
    start = next(row for row in rows if (row - 1) % count not in present)
    return [(start + step) % count for step in range(len(rows))]


def lip_separation(lips: Lips, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far the lips are parted along the mouth.

    Args:
        lips: of the head.
        vertices: [V, 3] metres, upright.

    Returns:
        t: [n] places between the corners, 0 to 1.
        gap: [n] metres, the least height between the surfaces of the two lips there; negative where one has passed
            through the other.
    """
    place = lips.t(vertices)
    curves = []
    for side, other, sign in (("upper", "lower", 1.0), ("lower", "upper", -1.0)):
        rows, table, _ = lips.contact(side)
        surface = vertices[lips.contact(other)[2]]
        height = sign * _height_over(vertices[table].reshape(-1, 3), surface).reshape(table.shape)
        least = np.where(np.isnan(height), np.inf, height).min(axis=1)
        met = np.isfinite(least)
        order = np.argsort(place[rows][met], kind="stable")
        curves.append((place[rows][met][order], least[met][order]))
    t = np.linspace(0.0, 1.0, PLACES)
    if min(len(where) for where, _ in curves) == 0:
        return t, np.full(PLACES, np.inf)
    return t, np.minimum(*(np.interp(t, where, least) for where, least in curves))


def _height_over(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[P] height of points [P, 3] over the nearest of the triangles [T, 3, 3] above or below them; NaN beside all."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    ab, ac = (b - a)[:, [0, 2]], (c - a)[:, [0, 2]]
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    usable = np.abs(area) > 1e-12
    area = np.where(usable, area, 1.0)
    ap = points[:, None, [0, 2]] - a[None, :, [0, 2]]
    v = (ap[..., 0] * ac[:, 1] - ap[..., 1] * ac[:, 0]) / area
    w = (ab[:, 0] * ap[..., 1] - ab[:, 1] * ap[..., 0]) / area
    inside = usable & (v >= -1e-6) & (w >= -1e-6) & (v + w <= 1 + 1e-6)
    surface = a[:, 1] + v * (b - a)[:, 1] + w * (c - a)[:, 1]
    height = np.where(inside, points[:, 1:2] - surface, np.inf)
    nearest = np.argmin(np.abs(height), axis=1)
    found = height[np.arange(len(points)), nearest]
    return np.where(np.isfinite(found), found, np.nan)


def seal(lips: Lips, vertices: np.ndarray, part_only: bool = False) -> np.ndarray:
    """Move both lips by the same amount until they just touch all along.

    Args:
        lips: of the head.
        vertices: [V, 3] metres, upright.
        part_only: leave open lips as they are and only undo where one has passed through the other.

    Returns:
        [V, 3] a moved copy, float64.
    """
    moved = vertices.astype(np.float64).copy()
    for _ in range(ROUNDS):
        where, gap = lip_separation(lips, moved)
        excess = np.minimum(gap, 0.0) if part_only else gap - SEALED
        if not np.isfinite(excess).all() or np.abs(excess).max() < SEALED:
            break
        smooth = np.convolve(np.pad(excess, 2, mode="edge"), SMOOTHING, mode="valid")
        place = lips.t(moved)
        share = np.interp(place, where, smooth) * np.clip(np.minimum(place, 1 - place) / CORNER_FADE, 0, 1)
        step = np.zeros(len(moved))
        for mask, sign in ((lips.upper, -0.5), (lips.lower, 0.5)):
            for table, shares in ((lips.outward, OUTWARD_SHARE), (lips.inward, INWARD_SHARE)):
                step[table[mask]] = sign * share[mask, None] * np.array(shares)
        moved[:, 1] += step
    return moved


def bring_together(lips: Lips, neutral: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Close the lips of an expression so that they lie on one another as they do at rest.

    Args:
        lips: of the head.
        neutral: [V, 3] metres, at rest with closed lips.
        shown: [V, 3] metres, the expression with lips near one another.

    Returns:
        [V, 3] a moved copy of `shown`, float64.
    """
    moved = shown.astype(np.float64).copy()
    place = lips.t(neutral)
    travel = (moved - neutral)[lips.outward[:, 1]]
    ends = np.array(lips.corners)

    def along(mask: np.ndarray) -> np.ndarray:
        rows = np.concatenate([np.flatnonzero(mask), ends])
        rows = rows[np.argsort(place[rows], kind="stable")]
        return np.stack([np.interp(place, place[rows], travel[rows, axis]) for axis in range(3)], axis=1)

    apart = along(lips.upper) - along(lips.lower)
    step = np.zeros_like(moved)
    for mask, sign in ((lips.upper, -0.5), (lips.lower, 0.5)):
        for table, shares in ((lips.outward, OUTWARD_SHARE), (lips.inward, INWARD_SHARE)):
            step[table[mask]] = sign * apart[mask, None, :] * np.array(shares)[:, None]
    return seal(lips, moved + step)
