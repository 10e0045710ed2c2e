"""Ray casting gives what intersecting every triangle by hand gives."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_head.rendering.camera import PinholeCamera
from portrait_head.rendering.raycast import RayCaster, visibility


def brute_force(vertices, triangles, origins, directions):
    """First triangle and distance of each ray in float64, by solving every ray against every plane."""
    a, b, c = (vertices[triangles[:, k]][None] for k in range(3))
    matrix = np.stack(np.broadcast_arrays(b - a, c - a, -directions[:, None]), axis=-1)
    u, v, t = np.moveaxis(np.linalg.solve(matrix, (origins[:, None] - a)[..., None])[..., 0], -1, 0)
    inside = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0)
    distance = np.where(inside, t, np.inf)
    nearest = distance.argmin(axis=1)
    rows = np.arange(len(origins))
    triangle = np.where(inside.any(axis=1), nearest, -1)
    return triangle, distance[rows, nearest], np.stack([1 - u - v, u, v], -1)[rows, nearest]


@pytest.fixture
def soup():
    generator = np.random.default_rng(5)
    corners = generator.normal(size=(60, 1, 3)) * 0.1 + generator.normal(size=(60, 3, 3)) * 0.04
    return corners.reshape(-1, 3), np.arange(180).reshape(-1, 3)


@pytest.mark.parametrize("far", [0.3, 1.0, 200.0])
def test_first_hits_agree_with_brute_force(soup, far):
    vertices, triangles = soup
    generator = np.random.default_rng(6)
    origins = generator.normal(size=(800, 3))
    origins *= far / np.linalg.norm(origins, axis=1, keepdims=True)
    directions = generator.normal(size=(800, 3)) * 0.1 - origins
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    triangle, distance, barycentric = brute_force(vertices, triangles, origins, directions)
    hits = RayCaster(vertices, triangles).cast(origins, directions * 3.0)
    hit = triangle >= 0
    assert hit.mean() > 0.2
    # A ray that grazes an edge may fall either way in float32: none does for these seeds.
    np.testing.assert_array_equal(hits.triangle, triangle)
    np.testing.assert_allclose(hits.distance[hit], distance[hit], rtol=1e-6, atol=2e-6)
    np.testing.assert_allclose(hits.barycentric[hit], barycentric[hit], atol=2e-4)
    assert np.isinf(hits.distance[~hit]).all()
    assert not hits.barycentric[~hit].any()


def test_occlusion_is_any_hit(soup):
    vertices, triangles = soup
    caster = RayCaster(vertices, triangles)
    directions = np.random.default_rng(7).normal(size=(500, 3))
    origin = np.array([0.0, 0.0, 0.05])
    hits = caster.cast(origin, directions)
    np.testing.assert_array_equal(caster.occluded(origin, directions), hits.hit)
    near = caster.occluded(origin, directions, limit=0.1)
    np.testing.assert_array_equal(near, hits.distance < 0.1)


def test_skip_leaves_the_surface():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 1]], float)
    caster = RayCaster(vertices, np.array([[0, 1, 2], [3, 4, 5]]))
    origin = np.array([[0.2, 0.2, 0.0]])
    up = np.array([[0.0, 0.0, 2.0]])
    hits = caster.cast(origin, up, skip=1e-4)
    assert hits.triangle[0] == 1
    assert hits.distance[0] == pytest.approx(1.0)
    assert not caster.occluded(origin + [0, 0, 1], up, skip=1e-4)[0]


def test_hits_interpolate_vertex_values(soup):
    vertices, triangles = soup
    origins = np.full((40, 3), 0.5)
    directions = np.random.default_rng(8).normal(size=(40, 3)) * 0.05 - origins
    hits = RayCaster(vertices, triangles).cast(origins, directions)
    points = hits.interpolate(vertices, triangles)
    expected = origins + directions / np.linalg.norm(directions, axis=1, keepdims=True) * hits.distance[:, None]
    np.testing.assert_allclose(points[hits.hit], expected[hits.hit], atol=1e-5)
    assert hits.interpolate(vertices[:, 0], triangles).shape == (40,)


def test_a_camera_sees_a_square_where_it_projects():
    square = np.array([[-0.1, -0.05, 0], [0.1, -0.05, 0], [0.1, 0.05, 0], [-0.1, 0.05, 0]])
    camera = PinholeCamera(np.eye(3), np.array([0, 0, -1.0]), 400.0, np.array([50.0, 30.0]), 100, 60)
    hits = visibility(RayCaster(square, np.array([[0, 1, 2], [0, 2, 3]])), camera)
    seen = np.zeros((60, 100), bool)
    seen[10:50, 10:90] = True
    np.testing.assert_array_equal(hits.hit, seen)


def test_rays_without_direction_miss_and_no_rays_are_fine(soup):
    caster = RayCaster(*soup)
    directions = np.array([[0.0, 0, 0], [np.nan, 0, 0], [np.inf, 0, 0]])
    assert not caster.cast(np.zeros(3), directions).hit.any()
    assert caster.cast(np.zeros((0, 3)), np.zeros((0, 3))).triangle.shape == (0,)


@pytest.mark.parametrize(
    ("vertices", "triangles"),
    [
        (np.zeros((3, 3)), np.array([[0, 1, 3]])),
        (np.full((3, 3), np.nan), np.array([[0, 1, 2]])),
        (np.zeros((3, 3)), np.zeros((0, 3), int)),
    ],
)
def test_broken_meshes_are_refused(vertices, triangles):
    with pytest.raises(ValueError, match=r"triangle|finite|vertices"):
        RayCaster(vertices, triangles)
