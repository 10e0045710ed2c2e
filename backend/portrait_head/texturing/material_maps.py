"""The maps of every material beside its base colour: normals, and occlusion, roughness and metalness in one image.

Normals are tangent-space (MikkTSpace), green along growing v as glTF, Blender and Unity read them. The packed image is
glTF's: red ambient occlusion, green roughness, blue metalness, which nothing on a head has.

Eight bits hold a tilt of half a degree: a smooth forehead would show each step as a contour in a grazing highlight.
Sixteen would not, but engines read eight, so normals are dithered: the steps dissolve into grain finer than skin's.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.head_model.model import HeadModel
from portrait_head.head_model.onto_surface import sculpt_trust
from portrait_head.texturing.ambient import Surroundings, VertexAmbient, texel_ambient, vertex_ambient
from portrait_head.texturing.bake import BakeConfig, BaseMesh, bake
from portrait_head.texturing.relief import ReliefConfig, skin_height, slopes
from portrait_head.texturing.roughness import (
    RoughnessConfig,
    eye_roughness,
    mouth_roughness,
    skin_roughness,
)
from portrait_head.texturing.shaping import step
from portrait_head.texturing.surface_fill import edge_laplacian, fill
from portrait_head.texturing.tangents import TangentFrames, into_tangent_space, tangent_frames
from portrait_head.texturing.uv_raster import UvRaster, head_raster

FLAT = (128, 128, 255)
FACE_BORDER = 4.0  # smoothness of the sculpt's fading: some edges of the mesh wide
_LEAST = 1e-3  # tilt; less than a quarter of what eight bits hold


@dataclass(frozen=True)
class MapConfig:
    """Attributes:
    ray_size: texels a side, at most, for which rays are cast to the sculpt: 0.7 mm on a face, a third of its cell.
    sky_size: texels a side for which the skin's sky is looked at.
    small: texels a side of the maps of eyes and mouth, which are smooth.
    least_seen, well_seen: confidence (0 to 1) of the photo from which its fine detail is believed, and wholly so.
    lip_relief: share of the fine relief on lips, whose lines are colour as much as form.
    cornea_edge: degrees from the eye's axis at which cornea meets sclera.
    cornea_bulge: how much more the cornea curves than the ball it sits on: radii of 7.8 mm (Gullstrand's eye) and
        15 mm (the head model's).
    strand: rise of a strand of hair over its width.
    strand_shade: share of light that is kept from between strands.
    """

    ray_size: int = 512
    sky_size: int = 256
    small: int = 512
    least_seen: float = 0.45
    well_seen: float = 0.85
    lip_relief: float = 0.6
    cornea_edge: float = 23.0
    cornea_bulge: float = 0.92
    strand: float = 0.35
    strand_shade: float = 0.35


@dataclass(frozen=True)
class Maps:
    """Maps of one material, row 0 on top.

    Attributes:
        normal: [S, S, 3] uint8, flat at (128, 128, 255); None for a surface without detail.
        orm: [S, S, 3] uint8: ambient occlusion, roughness, 0.
    """

    normal: np.ndarray | None
    orm: np.ndarray


@dataclass(frozen=True)
class Carved:
    """The sculpt at rest: vertices [S, 3] metres, triangles [T, 3], and hair [S], positive where it is hair's."""

    vertices: np.ndarray
    triangles: np.ndarray
    hair: np.ndarray

    def skin(self) -> tuple[np.ndarray, np.ndarray]:
        """Its vertices, and the triangles that are not hair's."""
        return self.vertices, self.triangles[(self.hair[self.triangles] < 0).all(axis=1)]


@dataclass(frozen=True)
class HeadMaps:
    """The maps of the head's materials, and what of the sculpt is beside them.

    Attributes:
        skin, eyes, mouth: see `Maps`.
        displacement: [S, S] float32 metres from the head's skin to the sculpt along the skin's normal.
    """

    skin: Maps
    eyes: Maps
    mouth: Maps
    displacement: np.ndarray


def head_maps(
    model: HeadModel,
    around: Surroundings,
    carved: Carved,
    skin: np.ndarray,
    confidence: np.ndarray,
    seed: int,
    config: MapConfig = MapConfig(),
) -> HeadMaps:
    """Maps of skin, eyes and mouth; the skin's normals are as large as its base colour.

    Args:
        model: the head model.
        around: the finished head.
        carved: the sculpt.
        skin: [S, S, 3] uint8, the skin's base colour.
        confidence: [S, S] uint8, how well the photo saw each texel.
        seed: of the dither.
        config: see there.
    """
    frames = tangent_frames(around.vertices, around.quads, model.uvs)
    sky = vertex_ambient(around)
    displacement, skin_maps = _skin(model, around, carved, frames, sky, (skin, confidence), seed, config)
    return HeadMaps(
        skin=skin_maps,
        eyes=_eyes(model, around.vertices, frames, sky, min(config.small, len(skin)), seed, config),
        mouth=_mouth(model, sky, min(config.small, len(skin))),
        displacement=displacement,
    )


def hair_maps(colour: np.ndarray, seed: int, config: MapConfig = MapConfig()) -> Maps:
    """Maps of hair from its base colour [H, W, 4] uint8: every strand is round and shines on its own.

    A highlight across many tilted strands is torn along them, as that of hair is, without an anisotropic shader.
    """
    grey = cv2.cvtColor(np.ascontiguousarray(colour[..., :3]), cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    logarithm = np.log(grey + 0.05)
    band = cv2.GaussianBlur(logarithm, (0, 0), 0.8) - cv2.GaussianBlur(logarithm, (0, 0), 6.0)
    band = np.tanh(band / max(float(band.std()) * 2, 1e-6))  # -1 between strands, 1 on top of one
    rise = slopes(band) * np.float32(config.strand * 2)
    local = np.concatenate([-rise, np.ones_like(rise[..., :1])], axis=-1).reshape(-1, 3)
    local /= np.linalg.norm(local, axis=1, keepdims=True)
    rough = RoughnessConfig()
    height, width = colour.shape[:2]
    small = cv2.resize(band, (max(width // 2, 1), max(height // 2, 1)), interpolation=cv2.INTER_AREA)
    return Maps(
        normal=encoded(local, seed).reshape(height, width, 3),
        orm=packed(1 - config.strand_shade * np.maximum(-small, 0), rough.hair - rough.strand * small),
    )


def encoded(local: np.ndarray, seed: int) -> np.ndarray:
    """[N, 3] uint8 colours of tangent-space unit normals [N, 3], dithered; flat ones are exactly (128, 128, 255)."""
    colours = np.broadcast_to(np.array(FLAT, np.uint8), local.shape).copy()
    rows = np.flatnonzero((np.abs(local[:, 0]) > _LEAST) | (np.abs(local[:, 1]) > _LEAST))
    noise = np.random.default_rng(seed).random((2, len(rows), 2), dtype=np.float32)
    value = (local[rows] + 1) * np.float32(127.5)
    value[:, :2] += noise[0] - noise[1]  # triangular: neither mean nor deviation of the error depends on the value
    colours[rows] = np.rint(np.clip(value, 0, 255))
    return colours


def packed(occlusion: np.ndarray, roughness: np.ndarray) -> np.ndarray:
    """[H, W, 3] uint8 of occlusion (1 is open) and roughness [H, W], 0 to 1; nothing is metal."""
    image = np.zeros((*occlusion.shape, 3), np.uint8)
    image[..., 0] = np.rint(np.clip(occlusion, 0, 1) * 255)
    image[..., 1] = np.rint(np.clip(roughness, 0, 1) * 255)
    return image


def texel_metres(vertices: np.ndarray, model: HeadModel, raster: UvRaster) -> np.ndarray:
    """[N] float32: how many metres of the surface a texel is across."""
    triangles = model.triangles()
    corners, flat = vertices[triangles], model.uvs[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3, 2) * raster.shape[0]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    one, other = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    texels = np.abs(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0])
    size = np.sqrt(area / np.maximum(texels, 1e-6))
    used = np.unique(raster.triangle)
    total = np.bincount(triangles[used].ravel(), np.repeat(size[used], 3), len(vertices))
    times = np.bincount(triangles[used].ravel(), minlength=len(vertices))
    return raster.spread(total / np.maximum(times, 1))


def _skin(
    model: HeadModel,
    around: Surroundings,
    carved: Carved,
    frames: TangentFrames,
    sky: VertexAmbient,
    seen: tuple[np.ndarray, np.ndarray],
    seed: int,
    config: MapConfig,
) -> tuple[np.ndarray, Maps]:
    image, confidence = seen
    size = len(image)
    raster = head_raster("skin", size)
    base = BaseMesh(around.vertices, frames, _face_trust(model))
    coarse = head_raster("skin", min(size, config.ray_size))
    detail = bake(base, carved.skin(), raster, coarse, BakeConfig())

    metres = texel_metres(around.vertices, model, raster)
    inside, lips = np.zeros((2, len(model.vertices)), np.float32)
    inside[model.regions["face"]] = 1.0
    lips[model.regions["lips"]] = 1.0
    inside = raster.spread(inside)
    height = skin_height(image, float(np.median(metres[inside > 0.5])))
    weight = step(raster.flat(confidence) / np.float32(255), config.least_seen, config.well_seen) * inside
    weight = (weight * (1 - (1 - config.lip_relief) * raster.spread(lips))).astype(np.float32)
    fine = np.flatnonzero(weight > 0)
    local = detail.normal
    local[fine, :2] -= raster.flat(slopes(height))[fine] * (weight / np.maximum(metres, 1e-6))[fine, None]
    local[fine] /= np.sqrt(np.einsum("nk,nk->n", local[fine], local[fine]))[:, None]

    half = head_raster("skin", max(size // 2, 1))
    side = half.shape[::-1]
    rough = RoughnessConfig()
    hollow = raster.sparse_image((raster.flat(height) * weight).astype(np.float32))
    hollow = half.flat(cv2.resize(hollow, side, interpolation=cv2.INTER_AREA)) / ReliefConfig().depth
    value = half.spread(skin_roughness(model)) - rough.hollow * hollow / ReliefConfig().limit
    occlusion = texel_ambient(around, sky, head_raster("skin", min(size, config.sky_size)))
    occlusion = cv2.resize(occlusion, side, interpolation=cv2.INTER_LINEAR)
    return coarse.image(detail.distance[:, None])[..., 0], Maps(
        normal=raster.image(encoded(local, seed)),
        orm=packed(occlusion, half.image(value[:, None])[..., 0]),
    )


def _face_trust(model: HeadModel) -> np.ndarray:
    """[V] how far the sculpt counts: on the face, which the photo shows; elsewhere its form is the outline's."""
    face = np.zeros((len(model.vertices), 1))
    face[model.regions["face"]] = 1.0
    laplacian = edge_laplacian(model.triangles(), len(face))
    faded = fill(laplacian, face, np.ones(len(face)), np.zeros(1), FACE_BORDER)[:, 0]
    return sculpt_trust(model) * step(faded, 0.5, 0.95) * face[:, 0]


def _eyes(
    model: HeadModel,
    vertices: np.ndarray,
    frames: TangentFrames,
    sky: VertexAmbient,
    size: int,
    seed: int,
    config: MapConfig,
) -> Maps:
    """Cornea and sclera of both eyes: the cornea bulges, so that what it mirrors is as small as in life."""
    raster = head_raster("eyes", size)
    points, quad = raster.spread(vertices), raster.triangle // 2
    normals, angles = np.zeros((len(points), 3), np.float32), np.zeros(len(points), np.float32)
    for name in ("eye_left", "eye_right"):
        part = model.part(name)
        mine = (quad >= part.faces[0]) & (quad < part.faces[1])
        ball = vertices[slice(*part.vertices)]
        out = points[mine] - (ball.min(axis=0) + ball.max(axis=0)) / 2
        out = out / np.linalg.norm(out, axis=1, keepdims=True)
        angle = np.arccos(np.clip(out[:, 2], -1.0, 1.0))
        degrees = np.degrees(angle)
        across = out[:, :2] / np.maximum(np.linalg.norm(out[:, :2], axis=1, keepdims=True), 1e-9)
        fall = 1 - step(degrees, 0.75 * config.cornea_edge, 1.25 * config.cornea_edge)
        tilt = angle * (1 + config.cornea_bulge * fall)
        normals[mine] = np.concatenate([across * np.sin(tilt)[:, None], np.cos(tilt)[:, None]], axis=1)
        angles[mine] = degrees
    local = into_tangent_space(normals, frames, raster)
    rough = eye_roughness(angles, config.cornea_edge)
    return Maps(
        normal=raster.image(encoded(local, seed)),
        orm=packed(*(raster.image(value[:, None])[..., 0] for value in (raster.spread(sky.eased), rough))),
    )


def _mouth(model: HeadModel, sky: VertexAmbient, size: int) -> Maps:
    raster = head_raster("mouth", size)
    values = raster.spread(sky.eased), mouth_roughness(model, raster)
    return Maps(None, packed(*(raster.image(value[:, None])[..., 0] for value in values)))
