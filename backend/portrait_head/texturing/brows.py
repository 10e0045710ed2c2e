"""Brows as thin on the head at rest as in the photo.

A face that frowns or smiles presses the skin over its eyes together, and a fit that takes low brows for lowered ones
does so too: at rest that skin is stretched, and with it the brows, into broad pale bands. Hairs do not stretch. So near
a brow the photo is read as if its surface had the size that it has at rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import splu

from portrait_head.rendering.camera import PinholeCamera
from portrait_head.rendering.lighting import LUMINANCE, srgb_to_linear
from portrait_head.rendering.raycast import RayCaster
from portrait_head.texturing.photo_regions import BROW_LEFT, BROW_RIGHT, EYE_LEFT, EYE_RIGHT, interocular
from portrait_head.texturing.sampling import sample
from portrait_head.texturing.shaping import step


@dataclass(frozen=True)
class BrowConfig:
    """Lengths in shares of the inter-ocular distance."""

    samples: int = 32  # along a brow
    reach: float = 0.09  # across a brow, where its darkest line is sought
    line_blur: float = 0.010
    core: float = 0.10  # from the brow's line: here the skin has its size at rest
    until: float = 0.28  # from here on it is as the photo shows it
    lids: tuple[float, float] = (0.05, 0.18)  # from the eye's outline, over which the lids begin to follow
    give: float = 0.05  # how firmly the skin from there on keeps its size, over how firmly the core does
    line_weight: float = 30.0  # how firmly the brow's line stays where the photo has it
    rest_weight: float = 1.0  # the same for what lies beyond `until`
    front: float = 0.035  # metres in front of the head's origin: vertices farther back are not near a brow


def brow_line(image: np.ndarray, landmarks: np.ndarray, outline: tuple[int, ...], config: BrowConfig) -> np.ndarray:
    """Pixels [K, 2] along the darkest line of a brow, from its outer end to its inner."""
    unit = interocular(landmarks)
    half = len(outline) // 2
    points = landmarks[list(outline), :2].astype(np.float64)
    middle = (points[:half] + points[half:][::-1]) / 2
    along = np.linspace(0, half - 1, config.samples)
    line = np.stack([np.interp(along, np.arange(half), middle[:, axis]) for axis in (0, 1)], axis=1)
    tangent = np.gradient(line, axis=0)
    across = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    offsets = np.linspace(-config.reach, config.reach, 41) * unit
    at = line[:, None] + across[:, None] * offsets[:, None]
    light = np.log(np.maximum(srgb_to_linear(image.astype(np.float32) / 255) @ LUMINANCE, 1e-3))
    light = cv2.GaussianBlur(light, (0, 0), max(config.line_blur * unit, 0.5))
    found = sample(light, at.reshape(-1, 2).astype(np.float32)).reshape(at.shape[:2])
    dark = np.maximum(np.median(found, axis=1, keepdims=True) - found, 0) ** 2
    total = dark.sum(axis=1)
    shift = (dark * offsets).sum(axis=1) / np.maximum(total, 1e-9)
    # Where a brow has no contrast, its neighbours tell.
    weight = total + 1e-3 * float(total.mean()) + 1e-9
    shift = gaussian_filter1d(shift * weight, 2.0) / gaussian_filter1d(weight, 2.0)
    return line + across * shift[:, None]


def unstretched(
    posed: np.ndarray,
    neutral: np.ndarray,
    triangles: np.ndarray,
    image: np.ndarray,
    landmarks: np.ndarray,
    camera: PinholeCamera,
    config: BrowConfig = BrowConfig(),
) -> np.ndarray:
    """Where on the posed head [V, 3] the photo is to be read for each vertex; `posed` itself away from the brows.

    Args:
        posed: [V, 3] metres, as the photo shows the head.
        neutral: [V, 3] metres, at rest.
        triangles: [T, 3] of the skin.
        image: [S, S, 3] uint8 sRGB.
        landmarks: [478, 3] pixels of `image`.
        camera: of the image.
    """
    unit = interocular(landmarks)
    lines = [brow_line(image, landmarks, outline, config) for outline in (BROW_RIGHT, BROW_LEFT)]
    pixels = camera.project(posed.astype(np.float64))
    ahead = np.flatnonzero(neutral[:, 2] > config.front)

    def distance(line: np.ndarray) -> np.ndarray:
        apart = np.full(len(posed), np.inf)
        apart[ahead] = np.linalg.norm(pixels[ahead, None] - line[None], axis=2).min(axis=1) / unit
        return apart

    away = distance(np.concatenate(lines))
    from_lids = distance(landmarks[list(EYE_RIGHT + EYE_LEFT), :2])
    near = (1 - step(away, config.core, config.until)) * step(from_lids, *config.lids)
    edges = np.unique(np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
    edges = edges[near[edges].max(axis=1) > 0]
    if len(edges) == 0:
        return posed
    own = np.unique(edges)
    number = np.zeros(len(posed), np.int64)
    number[own] = np.arange(len(own))
    first, second = edges.T
    wanted = (neutral[second] - neutral[first]) - (posed[second] - posed[first])
    inner = near[edges].min(axis=1)
    wanted = wanted * inner[:, None]
    # Skin beside the brow gives way, not the brow.
    firmness = diags(config.give + (1 - config.give) * inner**2)
    difference = _rows(np.stack([number[first], number[second]], axis=1), np.array([[-1.0, 1.0]]), len(own))
    rays = camera.rays(np.concatenate(lines))
    hits = RayCaster(posed, triangles).cast(camera.position, rays)
    corners = triangles[hits.triangle[hits.hit]]
    on_skin = np.isfinite(away[corners]).all(axis=1)
    line_rows = _rows(number[corners[on_skin]], hits.barycentric[hits.hit][on_skin], len(own))
    held = config.rest_weight * (1 - near[own]) + 1e-3
    system = difference.T @ firmness @ difference + config.line_weight * (line_rows.T @ line_rows) + diags(held)
    moved = splu(system.tocsc()).solve(difference.T @ (firmness @ wanted.astype(np.float64)))
    out = posed.copy()
    out[own] += moved
    return out


def _rows(columns: np.ndarray, values: np.ndarray, width: int) -> csr_matrix:
    """A sparse matrix [R, width] with `values` [R, K] (or [1, K] for all) in the `columns` [R, K]."""
    rows = np.repeat(np.arange(len(columns)), columns.shape[1])
    data = np.broadcast_to(values, columns.shape).reshape(-1)
    return csr_matrix((data, (rows, columns.reshape(-1))), shape=(len(columns), width))
