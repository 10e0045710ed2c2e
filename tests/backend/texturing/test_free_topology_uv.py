from __future__ import annotations

import numpy as np
import pytest
from portrait_head.geometry.surface import decimate, isosurface, triangle_areas
from portrait_head.texturing.free_topology_uv import AtlasConfig, Colours, carry_colour, unwrap
from portrait_head.texturing.uv_raster import rasterise
from scipy.ndimage import distance_transform_edt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

SIZE = 1024
CONFIG = AtlasConfig(size=SIZE)
SLIVER = 1e-11  # square metres: needles between cells, which have no room of their own


def ball(radius: float, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """A sphere about the origin as a sculpt comes: cells, decimated."""
    axis = np.arange(-1.3 * radius, 1.3 * radius, cell)
    away = np.sqrt(sum(part**2 for part in np.meshgrid(axis, axis, axis, indexing="ij")))
    vertices, triangles = isosurface(radius - away, np.full(3, axis[0]), cell)
    return decimate(vertices, triangles, len(triangles) // 2)


@pytest.fixture(scope="module")
def layout() -> tuple[list[tuple[np.ndarray, np.ndarray]], list[np.ndarray]]:
    meshes = [ball(0.10, 0.006), ball(0.06, 0.006)]
    return meshes, unwrap(meshes, CONFIG)


def _areas(uvs: np.ndarray) -> np.ndarray:
    uvs = uvs.astype(np.float64)
    return np.linalg.det(uvs[:, 1:] - uvs[:, :1]) / 2


def test_every_triangle_has_a_place_and_none_is_flipped(layout):
    meshes, uvs = layout
    for (vertices, triangles), places in zip(meshes, uvs, strict=True):
        assert places.shape == (len(triangles), 3, 2)
        assert (_areas(places) >= 0).all()
        assert (_areas(places) > 0)[triangle_areas(vertices, triangles) > SLIVER].all()


def test_texels_are_even_over_all_meshes(layout):
    meshes, uvs = layout
    density = []
    for (vertices, triangles), places in zip(meshes, uvs, strict=True):
        density.append(_areas(places).sum() / triangle_areas(vertices, triangles).sum())
    assert density[0] == pytest.approx(density[1], rel=0.1)
    assert sum(_areas(places).sum() for places in uvs) > 0.4, "share of the square in use"


def _charts(uvs: np.ndarray) -> np.ndarray:
    """[M] which chart each triangle belongs to: those that share a corner's place."""
    _, place = np.unique(np.round(uvs.reshape(-1, 2).astype(np.float64) * 1e6), axis=0, return_inverse=True)
    place = place.reshape(-1, 3)
    links = coo_matrix((np.ones(2 * len(place)), (np.r_[place[:, 0], place[:, 0]], np.r_[place[:, 1], place[:, 2]])))
    count = int(place.max()) + 1
    links.resize((count, count))
    return connected_components(links, directed=False)[1][place[:, 0]]


def test_charts_keep_eight_texels_from_each_other_and_four_from_the_border(layout):
    meshes, uvs = layout
    triangles = np.concatenate([meshes[0][1], meshes[1][1] + len(meshes[0][0])])
    every = np.concatenate(uvs)
    raster = rasterise(every, triangles, int(triangles.max()) + 1, (SIZE, SIZE))
    chart = raster.sparse_image((_charts(every)[raster.triangle] + 1).astype(np.int32), 0)
    # Texels' centres are counted, so a gap of eight shows as seven and more.
    for one in np.unique(chart)[1:]:
        away = np.asarray(distance_transform_edt(chart != one))
        assert away[(chart > 0) & (chart != one)].min() >= CONFIG.gutter - 1
    used = np.argwhere(chart > 0)
    assert used.min() >= CONFIG.gutter // 2 - 1 and used.max() <= SIZE - CONFIG.gutter // 2
    assert len(raster.texels) == pytest.approx(_areas(every).sum() * SIZE**2, rel=0.01), "no texel has two triangles"


def test_a_texel_has_the_colour_of_the_nearest_point(layout):
    """A ball a little larger is coloured by place; the same colours come out where they are on the ball within it."""
    (vertices, triangles), _ = layout[0]
    (uvs,) = unwrap([(vertices, triangles)], AtlasConfig(size=512))
    raster = rasterise(uvs, triangles, len(vertices), (512, 512))
    outer, outer_triangles = ball(0.103, 0.006)
    (outer_uvs,) = unwrap([(outer, outer_triangles)], AtlasConfig(size=512))
    painted = rasterise(outer_uvs, outer_triangles, len(outer), (512, 512))
    image = painted.image(np.rint(128 + 1000 * painted.spread(outer)).astype(np.uint8))
    found = carry_colour(raster, vertices, triangles, Colours(outer, outer_triangles, outer_uvs, image))
    points = raster.spread(vertices)
    points = points / np.linalg.norm(points, axis=1, keepdims=True) * 0.103
    assert np.abs(found - (128 + 1000 * points)).max() < 4, "millimetres: half a cell along, and rounding"


def test_what_no_ray_meets_has_the_nearest_colour_too(layout):
    """Of a plate beyond the rays' reach every point is nearest to the ball's pole."""
    (vertices, triangles), _ = layout[0]
    plate = np.array([[-0.01, 0.2, -0.01], [-0.01, 0.2, 0.01], [0.01, 0.2, 0.01], [0.01, 0.2, -0.01]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    uvs = np.array([[[0, 0], [0, 1], [1, 1]], [[0, 0], [1, 1], [1, 0]]], np.float32)
    raster = rasterise(uvs[:, ::-1], faces, 4, (16, 16))
    image = np.array([[[200, 10, 30], [10, 200, 30]]], np.uint8)
    high = vertices[triangles][..., 1] > 0.05
    places = np.stack([np.where(high, 0.25, 0.75), np.full(high.shape, 0.5)], axis=-1)  # the middles of two texels
    colours = carry_colour(raster, plate, faces, Colours(vertices, triangles, places.astype(np.float32), image))
    assert (np.abs(colours.astype(int) - image[0, 0]) <= 1).all()
