"""UV layouts of meshes that have none, by xatlas (the one module that knows it), and colours carried to them.

Seams fall where xatlas finds them, another place for every mesh: textures of two such heads cannot be swapped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xatlas

from portrait_head.geometry.nearest import SurfaceIndex
from portrait_head.geometry.surface import vertex_normals
from portrait_head.rendering.raycast import Hits, RayCaster
from portrait_head.texturing.sampling import sample_texture
from portrait_head.texturing.uv_raster import UvRaster

MILLIMETRES = 1000.0  # xatlas takes triangles below 1e-7 square units for degenerate
_AT_ONCE = 1 << 19  # texels; keeps arrays small


@dataclass(frozen=True)
class AtlasConfig:
    """Attributes:
    size: texels a side that the gutters are meant for.
    gutter: texels between charts, and half of them from a chart to the border, at that size.
    spare: xatlas guesses the size of its atlas and misses by up to a third, which the gutters must outlast.
    cost: xatlas's limit of what a chart may cost by growing; above its own of 2 there are fewer seams.
    """

    size: int = 2048
    gutter: int = 8
    spare: float = 1.4
    cost: float = 4.0


@dataclass(frozen=True)
class Colours:
    """A coloured surface.

    Attributes:
        vertices: [V, 3] metres.
        triangles: [T, 3].
        uvs: [T, 3, 2] of the triangles' corners, repeating beyond 0 to 1.
        image: [H, W, 3] uint8 sRGB, row 0 on top.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    uvs: np.ndarray
    image: np.ndarray

    def at(self, triangle: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """[N, 3] uint8 colours at barycentric `weights` [N, 3] of triangles [N]."""
        return sample_texture(self.image, (self.uvs[triangle] * weights[..., None]).sum(axis=1))


def unwrap(meshes: list[tuple[np.ndarray, np.ndarray]], config: AtlasConfig = AtlasConfig()) -> list[np.ndarray]:
    """One UV square for several meshes.

    Args:
        meshes: vertices [N, 3] metres and triangles [M, 3] of each.
        config: see there.

    Returns:
        [M, 3, 2] float32 for the corners of each mesh's triangles, none of them flipped, origin bottom left.
    """
    atlas = xatlas.Atlas()
    for vertices, triangles in meshes:
        atlas.add_mesh((vertices * MILLIMETRES).astype(np.float32), triangles.astype(np.uint32))
    charts, packing = xatlas.ChartOptions(), xatlas.PackOptions()
    charts.max_cost, charts.fix_winding = config.cost, True
    packing.resolution, packing.padding = config.size, round(config.gutter * config.spare)
    packing.rotate_charts = False  # by swapping u and v, which flips them
    packing.create_image = False
    atlas.generate(charts, packing)
    pixels = np.array([atlas.width, atlas.height], np.float64)
    border = config.gutter / config.size / 2
    found = []
    for number in range(len(meshes)):
        _, corners, uvs = atlas[number]
        square = uvs[corners] * pixels / pixels.max()
        found.append((border + (1 - 2 * border) * square).astype(np.float32))
    return found


def carry_colour(
    raster: UvRaster, vertices: np.ndarray, triangles: np.ndarray, source: Colours, reach: float = 0.012
) -> np.ndarray:
    """[N, 3] uint8 colours of a layout's texels, each that of the nearest point of another surface.

    Nearest is looked for along the surface's normal, either way, as far as `reach` metres. What meets nothing (the
    floor of the neck) blends the colours that are exactly nearest to the corners of its triangle.

    Args:
        raster: of the surface's own layout.
        vertices: [V, 3] metres of the surface.
        triangles: [T, 3].
        source: what has the colours.
        reach: see above.
    """
    normals = vertex_normals(vertices, triangles)
    caster = RayCaster(source.vertices, source.triangles)
    foot = SurfaceIndex(source.vertices, source.triangles).nearest(vertices)
    rough = source.at(foot.triangle, foot.weights)
    colours = np.empty((len(raster.texels), 3), np.uint8)
    for start in range(0, len(colours), _AT_ONCE):
        chunk = slice(start, start + _AT_ONCE)
        weights = raster.weights[chunk]
        points, along = weights @ vertices, weights @ normals
        met = _nearer(caster.cast(points, along), caster.cast(points, -along))
        found = met.distance <= reach
        blended = np.rint(weights @ rough.astype(np.float32))
        blended[found] = source.at(met.triangle[found], met.barycentric[found])
        colours[chunk] = blended
    return colours


def _nearer(one: Hits, other: Hits) -> Hits:
    first = one.distance <= other.distance
    return Hits(
        np.where(first, one.triangle, other.triangle),
        np.where(first[:, None], one.barycentric, other.barycentric),
        np.minimum(one.distance, other.distance),
    )
