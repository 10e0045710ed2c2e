"""Eyelashes: separate dark brown hairs with alpha on the lash strips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from portrait_head.head_model.model import HeadModel
from portrait_head.texturing.shaping import step
from portrait_head.texturing.uv_raster import UvRaster


@dataclass(frozen=True)
class LashConfig:
    """Counts are hairs along one lid (a person has about 100 above and 70 below, in several rows)."""

    upper: int = 78
    lower: int = 52
    thickness: float = 0.36  # of the spacing, at the root
    opacity: float = 0.92
    colour: tuple[float, float, float] = (0.018, 0.011, 0.008)  # linear


def paint_lashes(model: HeadModel, raster: UvRaster, seed: int, config: LashConfig = LashConfig()) -> np.ndarray:
    """Linear colour and alpha [S, S, 4] float32.

    Args:
        model: gives the strips; each connected piece is one lid's.
        raster: of the material `lashes`.
        seed: of the hairs' lengths and bends.
    """
    along, outward, upper = strip_coordinates(model)
    s = raster.spread(along)
    t = np.clip(raster.spread(outward), 0.0, 1.0)
    above = raster.spread(upper) > 0.5
    rows = np.random.default_rng(seed).random((2, 3, 512))
    alpha = np.zeros(len(s), np.float32)
    for layer in range(2):  # two rows of hairs, one behind the other
        for is_upper, count in ((True, config.upper), (False, config.lower)):
            mine = above == is_upper
            alpha[mine] = np.maximum(alpha[mine], _hairs(s[mine], t[mine], count, layer, rows[layer], config))
    ends = step(s, 0.0, 0.06) * step(1 - s, 0.0, 0.06)
    alpha *= (config.opacity * ends * step(t, -0.02, 0.03)).astype(np.float32)
    values = np.empty((len(s), 4), np.float32)
    values[:, :3] = config.colour
    values[:, 3] = alpha
    image = raster.sparse_image(values)
    image[..., :3] = config.colour  # one colour everywhere, so that no mip level shows a light fringe
    return image


def _hairs(s: np.ndarray, t: np.ndarray, count: int, layer: int, random: np.ndarray, config: LashConfig) -> np.ndarray:
    """Alpha [N] of `count` hairs standing side by side along s, growing along t."""
    best = np.zeros(len(s), np.float32)
    # A hair leans outwards as it grows; a bent one may cross into its neighbours' cells, so these are looked at too.
    lean = 0.9 * (s - 0.35) * t**1.4 / count * 8
    cell = np.floor((s - lean) * count + 0.37 * layer).astype(int)
    for neighbour in (-1, 0, 1):
        index = (cell + neighbour) % random.shape[1]
        jitter, length, bend = random[0, index], random[1, index], random[2, index]
        clump = 0.55 * np.sin(np.floor(index / 3) * 2.4) * t  # tips gather in threes, as wet lashes do
        centre = (cell + neighbour + 0.5 + 0.5 * (jitter - 0.5) - 0.37 * layer) / count
        centre = centre + (clump + 0.9 * (bend - 0.5) * t**2) / count
        reach = (0.62 + 0.38 * length) * (0.72 + 0.28 * np.sin(np.pi * np.clip(s, 0, 1)))
        taper = np.clip(1 - t / reach, 0.0, 1.0)
        half = 0.5 * config.thickness / count * np.sqrt(taper)
        distance = np.abs((s - lean) - centre)
        best = np.maximum(best, (1 - step(distance, half * 0.55, half * 1.25 + 1e-6)) * (taper > 0))
    return best


def strip_coordinates(model: HeadModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where lash vertices lie on their strip.

    Returns:
        [V] 0 at the inner corner of the eye to 1 at the outer, [V] 0 at the lid to 1 at the tips, and [V] bool,
        upper lid. Vertices of other parts hold 0.
    """
    part = model.part("lashes")
    quads = model.quads[slice(*part.faces)]
    count = len(model.vertices)
    edges = np.stack([quads, np.roll(quads, -1, axis=1)], axis=-1).reshape(-1, 2)
    _, piece = connected_components(coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (count, count)))
    along, outward, upper = np.zeros(count), np.zeros(count), np.zeros(count, bool)
    mine = np.arange(*part.vertices)
    balls = {
        side: model.vertices[slice(*model.part(name).vertices)] for side, name in ((1, "eye_left"), (-1, "eye_right"))
    }
    for label in np.unique(piece[mine]):
        vertices = mine[piece[mine] == label]
        points = model.vertices[vertices]
        ball = balls[1 if points[:, 0].mean() > 0 else -1]
        centre = (ball.min(axis=0) + ball.max(axis=0)) / 2
        out = points - centre
        across = np.arctan2(np.abs(points[:, 0]) - np.abs(centre[0]), out[:, 2].copy())  # see `Capsule.locate`
        along[vertices] = (across - across.min()) / np.ptp(across)
        upper[vertices] = points[:, 1].mean() > centre[1]
        # Roots lie on the lid, next to the ball; how far the lid stands off differs along it.
        distance = np.linalg.norm(out, axis=1)
        near = np.array([distance[np.abs(along[vertices] - a) < 0.08].min() for a in along[vertices]])
        far = np.array([distance[np.abs(along[vertices] - a) < 0.08].max() for a in along[vertices]])
        outward[vertices] = (distance - near) / np.maximum(far - near, 1e-6)
    return along, outward, upper
