"""Skin where the photo saw none: the other side of the face, then tone and detail like the rest."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.sparse import csr_matrix

from portrait_head.texturing.blending import multiband
from portrait_head.texturing.noise import band_noise, random_phase, triplanar
from portrait_head.texturing.surface_fill import fill, gather
from portrait_head.texturing.uv_raster import UvRaster

_TILE = 512


@dataclass(frozen=True)
class CompletionConfig:
    """Amplitudes are sRGB, 0 to 1; lengths metres."""

    mirror_trust: float = 0.6  # of the photo's own
    patch: float = 0.024  # side of the sample of skin that detail is grown from
    patch_quality: float = 0.75  # mean trust that a sample must have
    detail_limit: float = 0.010  # deviation of grown detail: stubble and grain must not cover the neck
    detail_least: float = 0.006
    pore_size: float = 0.0011
    pore_depth: float = 0.010
    blotch: float = 0.010  # smooth unevenness of the tone


def mirrored(raster: UvRaster, values: np.ndarray) -> np.ndarray:
    """Texel values [N, C] of the other side of the head (the skin's layout is symmetric about u = 1/2)."""
    return raster.flat(np.ascontiguousarray(raster.sparse_image(values)[:, ::-1]))


def complete(
    raster: UvRaster,
    colour: np.ndarray,
    trust: np.ndarray,
    tone: np.ndarray,
    pull: np.ndarray,
    mirror: np.ndarray,
    laplacian: csr_matrix,
    detail: np.ndarray,
    lent: np.ndarray | None = None,
    config: CompletionConfig = CompletionConfig(),
) -> np.ndarray:
    """Texels [N, 3] float32 sRGB without holes.

    Args:
        raster: of the skin.
        colour: [N, 3] float32 sRGB from the photo.
        trust: [N], 0 to 1.
        tone: [V, 3] what skin looks like far from everything seen.
        pull: [V] how strongly it does so.
        mirror: [V] the vertex on the other side.
        laplacian: of the head's mesh.
        detail: [N, 3] skin detail of mean 0 for what neither side shows.
        lent: [V], 0 to 1, how far a vertex may be completed from the other side; without it everything may.
    """
    lent = np.ones(len(tone), np.float32) if lent is None else lent
    own, own_trust = gather(raster.weights, colour, trust)
    other, other_trust = own[mirror], own_trust[mirror]
    # The sides differ in tone: the difference where both are seen says how to shift the mirrored one.
    both = np.minimum(own_trust, other_trust)
    shift = fill(laplacian, own - other, both, np.zeros(3), smoothness=2.0, pull=0.01)
    borrowed = config.mirror_trust * other_trust * (1 - own_trust) * lent
    total = own_trust + borrowed
    known = (own * own_trust[:, None] + (other + shift) * borrowed[:, None]) / np.maximum(total, 1e-6)[:, None]
    smooth = fill(laplacian, known, total, tone, pull=pull)

    texels = raster.spread(smooth) + detail
    from_mirror = mirrored(raster, np.concatenate([colour, trust[:, None]], axis=1))
    from_there = from_mirror[:, :3] + raster.spread(shift)
    texels = multiband(raster, texels, from_there, from_mirror[:, 3] * raster.spread(lent))
    texels = multiband(raster, texels, colour, trust)
    return np.clip(texels, 0.0, 1.0).astype(np.float32)


def skin_detail(
    raster: UvRaster,
    colour: np.ndarray,
    smooth: np.ndarray,
    sampled: np.ndarray,
    points: np.ndarray,
    normals: np.ndarray,
    seed: int,
    config: CompletionConfig = CompletionConfig(),
) -> tuple[np.ndarray, np.ndarray]:
    """Detail over the whole skin, grown from a patch of cheek or forehead.

    Args:
        colour: [N, 3] sRGB from the photo.
        smooth: [N, 3] its smooth part.
        sampled: [N], 0 to 1, where plain skin was seen well.
        points: [N, 3] metres.
        normals: [N, 3].

    Returns:
        [N, 3] what unseen skin has beside its tone, mean 0, and [N] relative light and dark of pores, finer than a
        photo of a whole head shows, for all skin.
    """
    density = _metres_per_texel(raster, points, sampled)
    tile = np.empty((_TILE, _TILE, 4), np.float32)
    tile[..., :3] = _grown(raster, colour, smooth, sampled, density, seed, config)
    shortest = max(config.pore_size / 3 / density, 2.2)
    noise = band_noise(_TILE, (shortest, shortest * 4), seed + 1)
    dots = -np.maximum(noise - 0.4, 0.0) + 0.3 * noise
    tile[..., 3] = (dots - dots.mean()) * (config.pore_depth / dots.std())
    found = triplanar(tile, points, normals, density * _TILE)
    return found[:, :3], found[:, 3]


def blotches(
    vertices: np.ndarray, normals: np.ndarray, seed: int, config: CompletionConfig = CompletionConfig()
) -> np.ndarray:
    """Smooth unevenness [V, 3] of the tone; redness varies most."""
    noise = band_noise(256, (20.0, 120.0), seed)[..., None] * np.array([0.7, 1.0, 0.9], np.float32)
    return triplanar(noise * np.float32(config.blotch), vertices, normals, 0.16)


def _grown(
    raster: UvRaster,
    colour: np.ndarray,
    smooth: np.ndarray,
    sampled: np.ndarray,
    density: float,
    seed: int,
    config: CompletionConfig,
) -> np.ndarray:
    """A tile [S, S, 3] like the best-seen patch of skin, texel for texel of the same size."""
    side = int(np.clip(round(config.patch / density), 24, raster.shape[0] // 6))
    quality = cv2.boxFilter(raster.sparse_image(sampled), -1, (side, side), borderType=cv2.BORDER_CONSTANT)
    row, column = np.unravel_index(int(np.argmax(quality)), quality.shape)
    top, left = row - side // 2, column - side // 2
    if quality[row, column] >= config.patch_quality and top >= 0 and left >= 0:
        inside = np.zeros(raster.shape, bool)
        inside[top : top + side, left : left + side] = True
        rows = np.flatnonzero(raster.flat(inside))
        patch = np.zeros((*raster.shape, 3), np.float32)
        patch.reshape(-1, 3)[raster.texels[rows]] = (colour[rows] - smooth[rows]) * sampled[rows, None]
        patch = patch[top : top + side, left : left + side]
        # What is wider than the patch's sixteenth is tone, not detail.
        patch = patch - cv2.GaussianBlur(patch, (0, 0), side / 16)
        tile = random_phase(patch, _TILE, seed)
    else:
        tile = band_noise(_TILE, (3.0, 24.0), seed)[..., None] * np.array([1.0, 0.92, 0.85], np.float32)
    deviation = float(tile.std())
    return tile * (np.clip(deviation, config.detail_least, config.detail_limit) / max(deviation, 1e-6))


def _metres_per_texel(raster: UvRaster, points: np.ndarray, sampled: np.ndarray) -> float:
    """Median size of the texels that show plain skin."""
    beside = np.flatnonzero(np.diff(raster.texels) == 1)
    good = beside[sampled[beside] > 0.5]
    used = good if len(good) > 100 else beside
    used = used[:: max(1, len(used) // 20000)]
    return float(np.median(np.linalg.norm(points[used + 1] - points[used], axis=1)))
