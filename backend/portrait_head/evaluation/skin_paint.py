"""Invented skin, hair and eyes for heads that have none: colours by place on the face, from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.ndimage import map_coordinates

from portrait_head.evaluation.ict import (
    ANCHORS,
    BROWS,
    EYE_OUTLINES,
    LIP_OUTLINE,
    NOSE_BASE,
    SKIN,
    KnownHeads,
)
from portrait_head.rendering.lighting import srgb_to_linear

_NOISE_CELLS = 48
# sRGB of bare skin from light to dark; people lie between neighbours.
_SKIN_TONES = np.array(
    [(238, 205, 187), (228, 184, 160), (205, 155, 126), (172, 120, 92), (128, 84, 62), (88, 57, 44)], np.uint8
)
_HAIR_COLOURS = np.array([(24, 19, 17), (48, 33, 25), (82, 56, 38), (140, 105, 68), (150, 145, 140)], np.uint8)
_IRIS_COLOURS = np.array([(60, 38, 22), (92, 64, 36), (86, 92, 60), (90, 118, 138)], np.uint8)
_SHIRT_COLOURS = np.array([(40, 52, 82), (120, 40, 44), (70, 84, 66), (170, 165, 155), (36, 36, 40)], np.uint8)
_IRIS_ANGLE = np.radians(24.5)  # 6 mm on the model's eyeballs of 14.5 mm radius
_PUPIL_ANGLE = np.radians(9.5)
HAIR_SLOPE = 0.87  # the hairline's plane falls from the forehead to the nape


@dataclass(frozen=True)
class Complexion:
    """How one invented person is coloured; drawn by `draw_complexion`.

    Attributes:
        skin, hair, lips, iris, shirt: [3] float32 linear RGB.
        redness: of cheeks, nose and ears, 0 to 1.
        freckles, stubble, mottle: strengths, 0 to 1.
        roughness: of the specular highlight, 0.4 oily to 0.55 matte.
        hairline: metres above the top of the brows.
        hair_height: metres that the hair stands off the scalp.
        brow_width: metres.
        seed: of the noise patterns.
    """

    skin: np.ndarray
    hair: np.ndarray
    lips: np.ndarray
    iris: np.ndarray
    shirt: np.ndarray
    redness: float
    freckles: float
    stubble: float
    mottle: float
    roughness: float
    hairline: float
    hair_height: float
    brow_width: float
    seed: int


def draw_complexion(generator: np.random.Generator) -> Complexion:
    """A complexion drawn from `generator`."""
    tone = generator.uniform(0, len(_SKIN_TONES) - 1.001)
    low = int(tone)
    tones = srgb_to_linear(_SKIN_TONES)
    skin = tones[low] + (tones[low + 1] - tones[low]) * np.float32(tone - low)
    # Light hair on dark skin is rare: darker people draw among the darker colours.
    hair = srgb_to_linear(_HAIR_COLOURS)[int(generator.integers(0, len(_HAIR_COLOURS) if tone < 2.5 else 2))]
    iris = srgb_to_linear(_IRIS_COLOURS)[int(generator.integers(0, len(_IRIS_COLOURS) if tone < 2.5 else 2))]
    lips = skin * np.array([0.9, 0.55, 0.55], np.float32) * generator.uniform(0.75, 1.0)
    shirt = srgb_to_linear(_SHIRT_COLOURS)[int(generator.integers(0, len(_SHIRT_COLOURS)))]
    return Complexion(
        skin=skin,
        hair=hair,
        lips=lips.astype(np.float32),
        iris=iris,
        shirt=shirt,
        redness=float(generator.uniform(0.2, 1.0)),
        freckles=float(generator.uniform(0.3, 1.0)) if generator.random() < 0.3 and tone < 3 else 0.0,
        stubble=float(generator.uniform(0.3, 0.8)) if generator.random() < 0.35 else 0.0,
        mottle=float(generator.uniform(0.3, 1.0)),
        roughness=float(generator.uniform(0.42, 0.56)),
        hairline=float(generator.uniform(0.034, 0.046)),
        hair_height=float(generator.uniform(0.005, 0.012)),
        brow_width=float(generator.uniform(0.0035, 0.006)),
        seed=int(generator.integers(0, 2**31)),
    )


class FacePaint:
    """Albedo at points of the neutral template, the same place of the face for every person.

    Args:
        heads: the face model.
        complexion: the person's colours.
    """

    def __init__(self, heads: KnownHeads, complexion: Complexion) -> None:
        self._complexion = complexion
        self._noise = np.random.default_rng(complexion.seed).random((4, *(_NOISE_CELLS,) * 3)).astype(np.float32)
        skin = heads.neutral[SKIN]
        self._brows = [skin[list(brow)] for brow in BROWS]
        self._eyes = [skin[list(outline)] for outline in EYE_OUTLINES]
        self._lips = skin[list(LIP_OUTLINE)]
        self._nose_tip, self._chin, self._nose_base = skin[ANCHORS[4]], skin[ANCHORS[-1]], skin[NOSE_BASE]
        self._brow_top = max(brow[:, 1].max() for brow in self._brows)
        self._forehead_depth = float(np.mean([brow[:, 2].max() for brow in self._brows]))

    def hairiness(self, points: np.ndarray) -> np.ndarray:
        """0 on the face, 1 from 2.5 cm into the hair: [N] for template points [N, 3]."""
        coarse = self._turbulence(points, 0.012, 0) - 0.5
        x, y, z = points.T
        temple = 0.25 * np.abs(x) ** 2 / 0.07
        height = y - self._brow_top - self._complexion.hairline - HAIR_SLOPE * (z - self._forehead_depth) * 0.9
        height = height - temple * 0.4 + 0.006 * coarse
        ear = np.clip((np.abs(x) - 0.077) / 0.003, 0, 1) * np.clip((0.05 - y) / 0.008, 0, 1)
        return np.clip(height / 0.025, 0, 1) * (1 - ear)

    def albedo(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Linear RGB [N, 3] and gloss [N] (1 skin, less for hair and cloth) at template points [N, 3], metres."""
        person = self._complexion
        x, y, z = points.T
        patches = self._turbulence(points, 0.016, 1) - 0.5
        fine = self._turbulence(points, 0.0022, 2) - 0.5
        pores = self._turbulence(points, 0.0008, 3) - 0.5
        colour = np.log(np.tile(person.skin, (len(points), 1)))
        melanin = np.array([0.5, 0.9, 1.2], np.float32)
        blood = np.array([0.05, 0.75, 0.65], np.float32)
        colour -= (person.mottle * (0.35 * patches + 0.22 * fine + 0.12 * pores))[:, None] * melanin
        flush = self._spots(points, [(0.042, 0.0, 0.09), (-0.042, 0.0, 0.09)], 0.022) + 0.8 * self._spots(
            points, [tuple(self._nose_tip)], 0.014
        )
        flush += 0.5 * self._spots(points, [tuple(self._chin + [0, 0.012, 0.008])], 0.015)
        colour -= (person.redness * 0.45 * flush * (1 + 0.8 * fine))[:, None] * blood
        around_eyes = self._spots(points, [tuple(eye.mean(axis=0) - [0, 0.006, 0]) for eye in self._eyes], 0.018)
        colour -= (0.16 * around_eyes)[:, None] * melanin
        if person.freckles:
            spots = np.clip((self._turbulence(points, 0.003, 0) - 0.66) / 0.08, 0, 1)
            where = self._spots(points, [(0.035, 0.008, 0.095), (-0.035, 0.008, 0.095), tuple(self._nose_tip)], 0.03)
            colour -= (person.freckles * 0.5 * spots * np.minimum(where * 1.5, 1))[:, None] * melanin
        if person.stubble:
            area = self._beard(points)
            colour -= (person.stubble * area * (0.45 + 0.9 * (pores + fine)))[:, None] * np.array([0.8, 0.75, 0.65])
        albedo = np.exp(colour).astype(np.float32)
        gloss = np.ones(len(points), np.float32)
        lips = _inside(points, self._lips, 0.0012) * (z > self._lips[:, 2].min() - 0.006)
        albedo = _blend(albedo, person.lips * (1 + 0.5 * fine)[:, None], 0.85 * lips)
        for eye in self._eyes:
            lashes = np.clip(1.4 - _to_polyline(points, eye[:4]) / 0.0016, 0, 1)
            albedo = _blend(albedo, 0.25 * person.hair + 0.01, 0.9 * lashes)
        strands = np.clip(0.75 + 1.6 * (self._turbulence(points * [1, 0.45, 1], 0.0016, 3) - 0.5), 0.1, 1.2)
        for brow in self._brows:
            away = _to_polyline(points, brow)
            cover = np.clip(1.5 - away / (0.75 * person.brow_width), 0, 1) * np.clip(0.35 + strands * 0.75, 0, 1)
            albedo = _blend(albedo, person.hair * 0.8, 0.9 * cover)
        hair = np.clip(self.hairiness(points) * 6, 0, 1)
        lit = person.hair * (0.45 + 0.9 * strands)[:, None]
        albedo = _blend(albedo, lit, hair)
        gloss *= 1 - 0.75 * hair
        shirt = np.clip((-0.125 - 0.25 * np.abs(x) ** 2 / 0.1 - y) / 0.001, 0, 1)
        albedo = _blend(albedo, person.shirt * (0.9 + 0.4 * fine)[:, None], shirt)
        return np.clip(albedo, 0.004, 0.9), gloss * (1 - shirt)

    def bumps(self, points: np.ndarray) -> np.ndarray:
        """A small random tilt [N, 3] of the normals, pores and fine lines, for the highlights."""
        return np.stack([self._turbulence(points, 0.0013, channel) - 0.5 for channel in range(3)], axis=1)

    def eye(self, directions: np.ndarray, gaze: np.ndarray) -> np.ndarray:
        """Linear RGB [N, 3] of an eyeball that looks along `gaze` [3], at unit `directions` [N, 3] from its centre."""
        angle = np.arccos(np.clip(directions @ gaze, -1, 1))
        veins = self._turbulence(directions * 0.0145, 0.004, 1) - 0.5
        colour = np.array([0.62, 0.55, 0.5], np.float32) * (1 + 0.15 * veins)[:, None]
        fibres = self._turbulence(directions * 0.0145, 0.0007, 2) - 0.5
        iris = self._complexion.iris * (1 + 0.9 * fibres)[:, None] * (0.6 + 0.6 * angle / _IRIS_ANGLE)[:, None]
        colour = _blend(colour, np.clip(iris, 0, 1), np.clip((_IRIS_ANGLE - angle) / 0.03, 0, 1))
        rim = np.exp(-(((angle - _IRIS_ANGLE) / 0.045) ** 2))
        colour = colour * (1 - 0.75 * rim)[:, None]
        return _blend(colour, np.full(3, 0.004), np.clip((_PUPIL_ANGLE - angle) / 0.03, 0, 1)).astype(np.float32)

    def _turbulence(self, points: np.ndarray, cell: float, channel: int) -> np.ndarray:
        """Value noise [N] in 0 to 1 with features of `cell` metres."""
        return map_coordinates(self._noise[channel], points.T / cell, order=1, mode="grid-wrap", output=np.float32)

    def _spots(self, points: np.ndarray, centres: list[tuple[float, ...]], radius: float) -> np.ndarray:
        """Soft discs [N]: 1 in the middle of each centre, 0.6 at `radius`."""
        total = np.zeros(len(points))
        for centre in np.array(centres):
            away = points - centre
            total += np.exp(np.einsum("nk,nk->n", away, away) / (-2 * radius**2))
        return total

    def _beard(self, points: np.ndarray) -> np.ndarray:
        """Where stubble grows: below nose and cheekbones, above the throat, not on the lips: [N], 0 to 1."""
        x, y, z = points.T
        across = np.abs(x)
        top = self._nose_base[1] - 0.004 - 0.25 * across * (across > 0.02) + 0.35 * np.maximum(across - 0.035, 0)
        area = np.clip((top - y) / 0.01, 0, 1) * np.clip((y - self._chin[1] + 0.025) / 0.015, 0, 1)
        return area * np.clip((z - 0.02) / 0.03, 0, 1)


def _blend(under: np.ndarray, over: np.ndarray, cover: np.ndarray) -> np.ndarray:
    return under + (over - under) * cover[:, None]


def _to_polyline(points: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Distance [N] of points [N, 3] from the segments through `line` [L, 3]; far points are not measured exactly."""
    distance = np.full(len(points), 1.0)
    low, high = line.min(axis=0) - 0.02, line.max(axis=0) + 0.02
    near = np.flatnonzero((points > low).all(axis=1) & (points < high).all(axis=1))
    for start, end in pairwise(line):
        along = end - start
        share = np.clip((points[near] - start) @ along / (along @ along), 0, 1)
        gap = np.linalg.norm(points[near] - start - share[:, None] * along, axis=1)
        distance[near] = np.minimum(distance[near], gap)
    return distance


def _inside(points: np.ndarray, outline: np.ndarray, soft: float) -> np.ndarray:
    """1 inside the outline [L, 3] seen from the front, 0 outside, over `soft` metres: [N]."""
    cover = np.zeros(len(points))
    low, high = outline.min(axis=0) - 0.004, outline.max(axis=0) + 0.004
    near = np.flatnonzero((points[:, :2] > low[:2]).all(axis=1) & (points[:, :2] < high[:2]).all(axis=1))
    x, y = points[near, 0], points[near, 1]
    odd = np.zeros(len(near), bool)
    edge = np.full(len(near), np.inf)
    for (x0, y0), (x1, y1) in zip(outline[:, :2], np.roll(outline[:, :2], -1, axis=0), strict=True):
        crosses = (y0 > y) != (y1 > y)
        odd ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0 if y1 != y0 else 1.0) + x0)
        share = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2), 0, 1)
        edge = np.minimum(edge, np.hypot(x - x0 - share * (x1 - x0), y - y0 - share * (y1 - y0)))
    cover[near] = np.clip(0.5 + np.where(odd, edge, -edge) / soft, 0, 1)
    return cover
