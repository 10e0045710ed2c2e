"""Ambient occlusion of the finished head: how much of the light from all around reaches each place.

A vertex stands for some square millimetres, so the skin's creases are looked at texel by texel. What only touches at
rest (lips, lids, teeth behind the lips) would stay black when it opens, so half of what another pose frees counts as
free; hair is thin, moves and can be left out, so it hides half of what it covers.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.rendering.raycast import RayCaster
from portrait_head.texturing.occlusion import open_sky
from portrait_head.texturing.tangents import angle_weighted_normals
from portrait_head.texturing.uv_raster import UvRaster


@dataclass(frozen=True)
class AmbientConfig:
    """Metres unless said otherwise.

    Attributes:
        vertex_rays: directions a vertex.
        texel_rays: directions a texel.
        reach: distance within which something hides the sky.
        lift: above the surface where rays begin, more than flat faces lie under the round ones that they stand for.
        open: share of free sky over which a place needs no closer look.
        opened: share that counts of what opening mouth and closing lids frees.
        hair: share of what it covers that hair hides.
        blur: texels by which the texels' noise is evened.
        hair_blur: texels over which the shade of hair ends.
    """

    vertex_rays: int = 48
    texel_rays: int = 32
    reach: float = 0.05
    lift: float = 0.0005
    open: float = 0.97
    opened: float = 0.5
    hair: float = 0.5
    blur: float = 0.8
    hair_blur: float = 3.0


@dataclass(frozen=True)
class Surroundings:
    """The head at rest, and what hides the sky.

    Attributes:
        vertices: [V, 3] metres, at rest.
        opened: [V, 3] with jaw dropped and lids closed.
        quads: [F, 4].
        hiding: [T, 3] triangles of the head that hide.
        hair: vertices and triangles of the hair.
    """

    vertices: np.ndarray
    opened: np.ndarray
    quads: np.ndarray
    hiding: np.ndarray
    hair: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class VertexAmbient:
    """Shares [V] float32 of the sky that reaches each vertex, hair left out: at rest, and eased by what opens."""

    rest: np.ndarray
    eased: np.ndarray


def vertex_ambient(around: Surroundings, config: AmbientConfig = AmbientConfig()) -> VertexAmbient:
    """How much of the sky each vertex sees."""
    rest, free = (_at_vertices(pose, around, config) for pose in (around.vertices, around.opened))
    return VertexAmbient(rest, rest + np.float32(config.opened) * np.maximum(free - rest, 0))


def texel_ambient(
    around: Surroundings, known: VertexAmbient, raster: UvRaster, config: AmbientConfig = AmbientConfig()
) -> np.ndarray:
    """The same at the texels of a part, [H, W] float32, hair included.

    Args:
        around: see there.
        known: of its vertices.
        raster: of the part's UVs.
        config: see there.
    """
    normals = angle_weighted_normals(around.vertices, around.quads)
    points, ways = raster.spread(around.vertices), raster.spread(normals)
    ways /= np.maximum(np.linalg.norm(ways, axis=1, keepdims=True), np.float32(1e-9))
    points = points + ways * np.float32(config.lift)
    sky, rest = raster.spread(known.eased), raster.spread(known.rest)
    close = np.flatnonzero(rest < config.open)
    seen = open_sky(
        RayCaster(around.vertices, around.hiding), points[close], ways[close], config.texel_rays, config.reach
    )
    sky[close] += seen - rest[close]  # what the closer look tells beyond the vertices
    image = cv2.GaussianBlur(_image(raster, np.clip(sky, 0, 1)), (0, 0), config.blur)
    if len(around.hair[1]) == 0:
        return image
    free = open_sky(RayCaster(*around.hair), points, ways, config.texel_rays // 4, config.reach)
    shade = cv2.GaussianBlur(_image(raster, 1 - free), (0, 0), config.hair_blur)
    return image * (1 - np.float32(config.hair) * shade)


def _image(raster: UvRaster, values: np.ndarray) -> np.ndarray:
    return raster.image(values[:, None].astype(np.float32)).reshape(raster.shape)


def _at_vertices(vertices: np.ndarray, around: Surroundings, config: AmbientConfig) -> np.ndarray:
    normals = angle_weighted_normals(vertices, around.quads)
    lifted = vertices + normals * config.lift
    return open_sky(RayCaster(vertices, around.hiding), lifted, normals, config.vertex_rays, config.reach)
