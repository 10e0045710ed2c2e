"""Maps baked from a sculpt to the head: what the sculpt has and the head's few faces cannot hold.

Rays leave the head's surface along its normals, outwards and inwards, and the nearest point of the sculpt that faces
the same way within the cage is what a texel shows. Where there is none, or where the sculpt is not to be trusted, the
maps are flat. A texture is finer than a sculpt's cells, so rays are cast on a coarser grid and what they met is
interpolated; the tangent frames are those of every single texel.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from portrait_head.geometry.surface import vertex_normals
from portrait_head.head_model import load_head_model
from portrait_head.rendering.raycast import RayCaster
from portrait_head.texturing.occlusion import ambient_occlusion, open_sky
from portrait_head.texturing.tangents import TangentFrames, tangent_frames
from portrait_head.texturing.uv_raster import UvRaster, head_raster

_START = 1e-5  # metres behind the surface where rays begin, so that a sculpt on the very surface is met
_AT_ONCE = 1 << 19  # texels; keeps arrays small


@dataclass(frozen=True)
class BakeConfig:
    """Metres unless said otherwise.

    Attributes:
        cage: how far from the head the sculpt is looked for, either way.
        turn: degrees between the head's normal and the sculpt's beyond which that is another sheet.
        ray_size: texels a side, at most, for which rays are cast: 0.4 mm on a face, a sixth of a sculpt's cell.
        sky_size: texels a side, at most, for which the sky is looked at.
        feather: texels of the rays' grid over which maps turn flat where the sculpt ends.
        range: displacement that the 16 bits hold, from the least to the most.
        sky_rays: directions a texel for the occlusion.
        sky_reach: distance within which something hides the sky.
        sky_lift: above the sculpt where those rays begin: more than the roughness of its cells.
    """

    cage: float = 0.008
    turn: float = 75.0
    ray_size: int = 1024
    sky_size: int = 256
    feather: int = 9
    range: float = 0.016
    sky_rays: int = 32
    sky_reach: float = 0.05
    sky_lift: float = 0.001


@dataclass(frozen=True)
class DetailMaps:
    """Maps of one material, row 0 on top.

    Attributes:
        normal: [S, S, 3] uint8, tangent space (MikkTSpace), green along growing v, flat at (128, 128, 255).
        displacement: [S, S] uint16 along the head's normal: metres = (value / 65535 - midlevel) * scale.
        scale: metres from value 0 to 65535.
        midlevel: the value / 65535 that stands for no displacement.
        occlusion: [S, S] uint8, 255 where nothing hides the sky.
        met: share of the trusted texels whose ray met the sculpt.
    """

    normal: np.ndarray
    displacement: np.ndarray
    scale: float
    midlevel: float
    occlusion: np.ndarray
    met: float


@dataclass(frozen=True)
class BaseMesh:
    """The mesh that maps are made for.

    Attributes:
        vertices: [V, 3] metres.
        quads: [F, 4].
        uvs: [F, 4, 2].
        hiding: [T, 3] its own triangles that hide the sky from it.
        trust: [V], 0 to 1: how far the sculpt is to be believed.
    """

    vertices: np.ndarray
    quads: np.ndarray
    uvs: np.ndarray
    hiding: np.ndarray
    trust: np.ndarray


def bake_skin(
    vertices: np.ndarray,
    trust: np.ndarray,
    skin: tuple[np.ndarray, np.ndarray],
    hiding: tuple[np.ndarray, np.ndarray],
    size: int,
    config: BakeConfig = BakeConfig(),
) -> DetailMaps:
    """The maps of the head model's skin.

    Args:
        vertices: [V, 3] metres, the head on the sculpt.
        trust: [V], 0 to 1: how far the sculpt is to be believed.
        skin: vertices [N, 3] and triangles [M, 3] of the sculpt's skin.
        hiding: the same of all of the sculpt.
        size: texels a side.
        config: see there.
    """
    model = load_head_model()
    mouth = model.triangles()[: 2 * model.part("tongue").faces[1]]
    base = BaseMesh(vertices, model.quads, model.uvs, mouth, trust)
    sizes = size, min(size, config.ray_size), min(size, config.sky_size)
    fine, middle, coarse = (head_raster("skin", one) for one in sizes)
    return bake(base, skin, hiding, (fine, middle, coarse), config)


def bake(
    base: BaseMesh,
    sculpt: tuple[np.ndarray, np.ndarray],
    hiding: tuple[np.ndarray, np.ndarray],
    rasters: tuple[UvRaster, UvRaster, UvRaster],
    config: BakeConfig = BakeConfig(),
) -> DetailMaps:
    """Bake a sculpt's detail.

    Args:
        base: the mesh with UVs, lying on the sculpt.
        sculpt: vertices [N, 3] and triangles [M, 3] of the surface that is baked (skin).
        hiding: the same of what hides the sky (the whole sculpt, hair too).
        rasters: of the base's UVs, whose triangles are the quads' as `HeadModel.triangles` cuts them: for the maps, for
            the rays (as fine or coarser) and for the occlusion (coarser yet).
        config: see there.
    """
    fine, middle, coarse = rasters
    frames = tangent_frames(base.vertices, base.quads, base.uvs)
    normal, distance, hit = _met(base, frames.normals, sculpt, middle, config)
    trust = middle.spread(base.trust)
    met = float(hit[trust > 0.5].mean()) if (trust > 0.5).any() else 0.0
    sure = trust * _feathered(middle, hit, config.feather)
    flat = _unit(middle.spread(frames.normals))
    blended = np.concatenate([normal * sure[:, None] + flat * (1 - sure)[:, None], (distance * sure)[:, None]], axis=1)
    size = fine.shape[1], fine.shape[0]
    known = cv2.resize(middle.image(blended), size, interpolation=cv2.INTER_LINEAR)
    known = fine.flat(known)

    sky = ambient_occlusion(base.vertices, frames.normals, base.hiding, reach=config.sky_reach)
    sky_image = _sky(
        base, frames.normals, hiding, coarse, middle.image(np.where(hit, distance, 0)[:, None]), sky, config
    )
    value = np.rint((np.clip(known[:, 3] / config.range, -0.5, 0.5) + 32768 / 65535) * 65535)
    return DetailMaps(
        normal=fine.image(_encoded(known[:, :3], frames, fine, config.turn)),
        displacement=fine.image(np.clip(value, 0, 65535).astype(np.uint16)[:, None])[..., 0],
        scale=config.range,
        midlevel=32768 / 65535,
        occlusion=np.rint(cv2.resize(sky_image, size, interpolation=cv2.INTER_LINEAR) * 255).astype(np.uint8),
        met=met,
    )


def write_displacement(path: Path, maps: DetailMaps) -> None:
    """The displacement as a 16-bit PNG that carries its scale (metres) and midlevel as text, for whoever opens it."""
    note = PngInfo()
    note.add_text("displacement", json.dumps({"unit": "metre", "scale": maps.scale, "midlevel": maps.midlevel}))
    Image.fromarray(maps.displacement).save(path, pnginfo=note)


def _met(
    base: BaseMesh, normals: np.ndarray, sculpt: tuple[np.ndarray, np.ndarray], raster: UvRaster, config: BakeConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normal [N, 3] and distance [N] of the sculpt at the raster's texels, float32, and whether there is any [N]."""
    vertices, triangles = sculpt
    caster, own_normals = RayCaster(vertices, triangles), vertex_normals(vertices, triangles).astype(np.float32)
    points, ways = raster.spread(base.vertices), _unit(raster.spread(normals))
    wanted = np.flatnonzero(raster.spread(base.trust) > 0)
    normal, distance, hit = ways.copy(), np.zeros(len(points), np.float32), np.zeros(len(points), bool)
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


def _encoded(normal: np.ndarray, frames: TangentFrames, raster: UvRaster, turn: float) -> np.ndarray:
    """[N, 3] uint8 colours of object-space normals [N, 3] (of any length) at the raster's texels.

    At edges as sharp as a lid's, what is interpolated may belong to the other side: beyond `turn` degrees a texel is
    flat.
    """
    colours = np.empty((len(normal), 3), np.uint8)
    weights = raster.weights.data.reshape(-1, 3)
    halves = np.array([[0, 1, 2], [0, 2, 3]])
    vertex_normal, tangent = frames.normals.astype(np.float32), frames.tangents.astype(np.float32)
    triangle_group = frames.group[:, halves].reshape(-1, 3)
    columns = raster.weights.indices.reshape(-1, 3)
    for start in range(0, len(normal), _AT_ONCE):
        chunk = slice(start, start + _AT_ONCE)
        share, group = weights[chunk, :, None], triangle_group[raster.triangle[chunk]]
        n, t = np.zeros((len(group), 3), np.float32), np.zeros((len(group), 3), np.float32)
        for corner in range(3):
            n += vertex_normal[columns[chunk, corner]] * share[:, corner]
            t += tangent[group[:, corner]] * share[:, corner]
        b = _cross(n, t) * frames.signs[group[:, 0]].astype(np.float32)[:, None]
        # x t + y b + z n = normal, by Cramer's rule.
        own = normal[chunk].astype(np.float32)
        local = np.stack(
            [(own * _cross(b, n)).sum(1), (own * _cross(n, t)).sum(1), (own * _cross(t, b)).sum(1)], axis=1
        )
        local *= np.sign((t * _cross(b, n)).sum(axis=1))[:, None]
        local = _unit(local)
        local[local[:, 2] < np.cos(np.radians(turn))] = (0.0, 0.0, 1.0)
        colours[chunk] = np.rint((local + 1) * 127.5)
    return colours


def _sky(
    base: BaseMesh,
    normals: np.ndarray,
    hiding: tuple[np.ndarray, np.ndarray],
    raster: UvRaster,
    distance: np.ndarray,
    own: np.ndarray,
    config: BakeConfig,
) -> np.ndarray:
    """[h, w] float32 open sky: the base's own (nostrils, lips), and the sculpt's where that is darker (hair, folds).

    Args:
        distance: [H, W] metres from base to sculpt.
        own: [V] of the base alone.
    """
    ways = _unit(raster.spread(normals))
    size = raster.shape[1], raster.shape[0]
    away = raster.flat(cv2.resize(distance.reshape(distance.shape[:2]), size, interpolation=cv2.INTER_AREA))
    points = raster.spread(base.vertices) + ways * (np.maximum(away, 0) + np.float32(config.sky_lift))[:, None]
    trust, sky = raster.spread(base.trust), raster.spread(own)
    rows = np.flatnonzero(trust > 0)
    if len(rows):
        seen = open_sky(RayCaster(*hiding), points[rows], ways[rows], config.sky_rays, config.sky_reach)
        sky[rows] += trust[rows] * (np.minimum(sky[rows], seen) - sky[rows])
    image = raster.image(np.clip(sky, 0, 1)[:, None]).reshape(raster.shape)
    return cv2.GaussianBlur(image, (0, 0), 0.8)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross products of [N, 3] arrays; several times faster than `np.cross`."""
    return np.stack(
        [
            a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
            a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
            a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
        ],
        axis=1,
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.sqrt(np.einsum("nk,nk->n", vectors, vectors))[:, None]
    return vectors / np.maximum(length, np.asarray(1e-12, vectors.dtype))
