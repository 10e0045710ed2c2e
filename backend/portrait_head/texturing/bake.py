"""What a sculpt has and the head's few faces cannot hold, baked to the head's texels.

Rays leave the head's surface along its normals, outwards and inwards, and the nearest point of the sculpt that faces
the same way within the cage is what a texel shows. Where there is none, or where the sculpt is not to be trusted, the
head stays as it is. A texture is finer than a sculpt's cells, so rays are cast on a coarser grid and what they met is
interpolated; the tangent frames are those of every single texel.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.geometry.surface import vertex_normals
from portrait_head.rendering.raycast import RayCaster
from portrait_head.texturing.shaping import step
from portrait_head.texturing.tangents import TangentFrames, into_tangent_space
from portrait_head.texturing.uv_raster import UvRaster

MIDLEVEL = 32768 / 65535  # the sixteen-bit value of no displacement, over the largest
_START = 1e-5  # metres behind the surface where rays begin, so that a sculpt on the very surface is met
_LEAST = 1e-3  # of a unit vector: a turn that eight bits do not hold
_AT_ONCE = 1 << 19  # texels; keeps arrays small


@dataclass(frozen=True)
class BakeConfig:
    """Metres unless said otherwise.

    Attributes:
        cage: how far from the head the sculpt is looked for, either way.
        fade: distance from which on less and less of it is believed, to nothing at the cage.
        turn: degrees between the head's normal and the sculpt's beyond which that is another sheet.
        feather: texels of the rays' grid over which the sculpt fades where it ends.
        smooth: deviation, in texels of that grid, of the blur that the difference between the normals of sculpt and
            head goes through. Cells of 2-3 mm turn their facets by some degrees either way, which grazing light
            shows as crumpled paper; at 0.7 mm a texel this keeps what is 8 mm and longer (folds, the brow's ridge).
        range: displacement that 16 bits hold, from the least to the most.
    """

    cage: float = 0.006
    fade: float = 0.003
    turn: float = 60.0
    feather: int = 9
    smooth: float = 3.0
    range: float = 0.016


@dataclass(frozen=True)
class SculptDetail:
    """Attributes:
    normal: [N, 3] float32 unit, in the tangent space of the fine raster's texels; (0, 0, 1) where nothing is known.
    distance: [M] float32 metres from head to sculpt along the head's normal at the coarse raster's texels.
    met: share of the trusted texels whose ray met the sculpt.
    """

    normal: np.ndarray
    distance: np.ndarray
    met: float


@dataclass(frozen=True)
class BaseMesh:
    """The mesh that maps are made for.

    Attributes:
        vertices: [V, 3] metres.
        frames: its tangent frames.
        trust: [V], 0 to 1: how far the sculpt is to be believed.
    """

    vertices: np.ndarray
    frames: TangentFrames
    trust: np.ndarray


def bake(
    base: BaseMesh,
    sculpt: tuple[np.ndarray, np.ndarray],
    fine: UvRaster,
    coarse: UvRaster,
    config: BakeConfig = BakeConfig(),
) -> SculptDetail:
    """Bake a sculpt's detail.

    Args:
        base: the mesh with UVs, lying on the sculpt.
        sculpt: vertices [N, 3] and triangles [M, 3] of the surface that is baked: skin, without hair.
        fine: of the base's UVs, whose triangles are the quads' as `HeadModel.triangles` cuts them: for the normals.
        coarse: the same, as fine or coarser: for the rays.
        config: see there.
    """
    own = _unit(coarse.spread(base.frames.normals))
    normal, distance, hit = _met(base, own, sculpt, coarse, config)
    trust = coarse.spread(base.trust)
    met = float(hit[trust > 0.5].mean()) if (trust > 0.5).any() else 0.0
    near = 1 - step(np.abs(distance), config.fade, config.cage)
    sure = (trust * near * _feathered(coarse, hit, config.feather)).astype(np.float32)
    turned = _blurred(coarse, normal - own, sure, config.smooth) * sure[:, None]
    known = cv2.resize(coarse.image(turned), fine.shape[::-1], interpolation=cv2.INTER_LINEAR)
    known = fine.flat(known)
    rows = np.flatnonzero(np.abs(known).max(axis=1) > _LEAST)
    normals = _unit(fine.weights[rows] @ base.frames.normals.astype(np.float32)) + known[rows]
    found = into_tangent_space(normals, base.frames, fine, rows)
    # At edges as sharp as a lid's, what is interpolated may belong to the other side.
    found[found[:, 2] < np.cos(np.radians(config.turn))] = (0.0, 0.0, 1.0)
    local = np.zeros((len(known), 3), np.float32)
    local[:, 2] = 1.0
    local[rows] = found
    return SculptDetail(local, (distance * sure).astype(np.float32), met)


def sixteen_bits(metres: np.ndarray, config: BakeConfig = BakeConfig()) -> np.ndarray:
    """Heights [H, W] metres as uint16: metres = (value / 65535 - `MIDLEVEL`) * `BakeConfig.range`."""
    return np.clip(np.rint((metres / config.range + MIDLEVEL) * 65535), 0, 65535).astype(np.uint16)


def _met(
    base: BaseMesh, ways: np.ndarray, sculpt: tuple[np.ndarray, np.ndarray], raster: UvRaster, config: BakeConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normal [N, 3] and distance [N] of the sculpt at the raster's texels, float32, and whether there is any [N]."""
    vertices, triangles = sculpt
    normal, distance = ways.copy(), np.zeros(len(ways), np.float32)
    hit = np.zeros(len(ways), bool)
    if len(triangles) == 0:
        return normal, distance, hit
    caster, own_normals = RayCaster(vertices, triangles), vertex_normals(vertices, triangles).astype(np.float32)
    points = raster.spread(base.vertices)
    wanted = np.flatnonzero(raster.spread(base.trust) > 0)
    for start in range(0, len(wanted), _AT_ONCE):
        rows = wanted[start : start + _AT_ONCE]
        best = np.full(len(rows), np.float32(config.cage))
        for side in (1.0, -1.0):
            way = side * ways[rows]
            found = caster.cast(points[rows] - _START * way, way)
            away = np.abs(found.distance - np.float32(_START))
            facing = _unit(found.interpolate(own_normals, triangles))
            alike = np.einsum("nk,nk->n", facing, ways[rows]) > np.cos(np.radians(config.turn))
            nearer = found.hit & alike & (away < best)
            best[nearer] = away[nearer]
            hit[rows[nearer]] = True
            normal[rows[nearer]] = facing[nearer]
            distance[rows[nearer]] = side * (found.distance[nearer] - np.float32(_START))
    return normal, distance, hit


def _feathered(raster: UvRaster, hit: np.ndarray, width: int) -> np.ndarray:
    """[N] 1 well inside what was met, falling smoothly to 0 at its edges and beyond."""
    image = raster.image(hit.astype(np.float32)[:, None])
    image = image.reshape(raster.shape)
    blurred = raster.flat(cv2.blur(image, (2 * width + 1, 2 * width + 1), borderType=cv2.BORDER_REPLICATE))
    share = np.clip(2 * blurred - 1, 0, 1) * hit
    return share * share * (3 - 2 * share)


def _blurred(raster: UvRaster, values: np.ndarray, weight: np.ndarray, deviation: float) -> np.ndarray:
    """Means of texel values [N, 3] round every texel, weighted by `weight` [N]."""
    if deviation == 0:
        return values
    known = np.concatenate([values * weight[:, None], weight[:, None]], axis=1).astype(np.float32)
    mean = raster.flat(cv2.GaussianBlur(raster.image(known), (0, 0), deviation, borderType=cv2.BORDER_REPLICATE))
    return mean[:, :3] / np.maximum(mean[:, 3:], np.float32(1e-3))


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.sqrt(np.einsum("nk,nk->n", vectors, vectors))[:, None]
    return vectors / np.maximum(length, np.asarray(1e-12, vectors.dtype))
