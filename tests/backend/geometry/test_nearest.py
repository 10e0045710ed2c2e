import numpy as np
from portrait_head.geometry.nearest import SurfaceIndex, barycentric_weights


def sheets(gap: float) -> tuple[np.ndarray, np.ndarray]:
    """Two parallel squares `gap` apart, the lower facing down and the upper facing up."""
    square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    vertices = np.concatenate([square, square + [0, 0, gap]])
    return vertices, np.array([[0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7]])


def test_weights_give_the_foot_back():
    generator = np.random.default_rng(0)
    vertices, triangles = generator.normal(size=(60, 3)), generator.integers(0, 60, (40, 3))
    triangles = triangles[np.diff(np.sort(triangles, axis=1), axis=1).min(axis=1) > 0]
    points = generator.normal(size=(200, 3))
    foot = SurfaceIndex(vertices, triangles).nearest(points)
    assert foot.weights.min() >= 0
    np.testing.assert_allclose(foot.weights.sum(axis=1), 1)
    np.testing.assert_allclose(foot.interpolate(vertices, triangles), foot.points, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(foot.points - points, axis=1), foot.distance)


def test_a_point_finds_the_sheet_that_faces_its_way():
    vertices, triangles = sheets(0.01)
    index = SurfaceIndex(vertices, triangles)
    points = np.array([[0.3, 0.6, 0.002], [0.3, 0.6, 0.002]])
    normals = np.array([[0, 0, 1.0], [0, 0, -1.0]])
    foot = index.nearest_facing(points, normals, 0.02)
    np.testing.assert_allclose(foot.points[:, 2], [0.01, 0.0], atol=1e-12)
    # Without directions both go to the nearer one.
    np.testing.assert_allclose(index.nearest(points).points[:, 2], 0, atol=1e-12)


def test_where_nothing_faces_the_same_way_the_nearest_is_taken():
    vertices, triangles = sheets(1.0)
    foot = SurfaceIndex(vertices, triangles).nearest_facing(np.array([[0.5, 0.5, 0.1]]), np.array([[1.0, 0, 0]]), 0.02)
    np.testing.assert_allclose(foot.points, [[0.5, 0.5, 0.0]], atol=1e-12)


def test_weights_of_a_needle_are_finite():
    corners = np.array([[[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]])
    weights = barycentric_weights(np.array([[0.5, 0, 0]]), corners)
    assert np.isfinite(weights).all()
    np.testing.assert_allclose(weights.sum(), 1)
