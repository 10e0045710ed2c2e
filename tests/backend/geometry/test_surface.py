import numpy as np
import pytest
from portrait_head.geometry import surface

RADIUS = 0.1


def ball(noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    axis = np.linspace(-0.13, 0.13, 53)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    field = RADIUS - np.linalg.norm(points, axis=-1)
    field += noise * np.random.default_rng(0).standard_normal(field.shape)
    return surface.isosurface(field, np.full(3, -0.13), 0.005)


def volume(vertices: np.ndarray, triangles: np.ndarray) -> float:
    a, b, c = np.moveaxis(vertices[triangles], 1, 0)
    return float(np.einsum("nk,nk->n", a, np.cross(b, c)).sum() / 6)


def open_edges(triangles: np.ndarray) -> int:
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    return int((np.unique(edges, axis=0, return_counts=True)[1] != 2).sum())


def test_the_surface_of_a_ball_is_closed_outward_and_in_place() -> None:
    vertices, triangles = ball()
    assert np.abs(np.linalg.norm(vertices, axis=1) - RADIUS).max() < 2e-4
    assert open_edges(triangles) == 0
    assert volume(vertices, triangles) == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=5e-3)
    normals = surface.vertex_normals(vertices, triangles)
    assert (np.einsum("nk,nk->n", normals, vertices) > 0.99 * RADIUS).all()


def test_a_field_without_a_zero_has_no_surface() -> None:
    vertices, triangles = surface.isosurface(np.ones((4, 4, 4)), np.zeros(3), 0.01)
    assert vertices.shape == triangles.shape == (0, 3)


def test_smoothing_takes_the_noise_and_keeps_the_volume() -> None:
    vertices, triangles = ball(noise=0.0008)
    smoothed = surface.smooth(vertices, triangles, 8)
    assert np.linalg.norm(smoothed, axis=1).std() < 0.65 * np.linalg.norm(vertices, axis=1).std()
    assert volume(smoothed, triangles) == pytest.approx(volume(vertices, triangles), rel=0.01)


def test_decimation_keeps_to_its_budget_and_to_the_surface() -> None:
    vertices, triangles = surface.decimate(*ball(), most=2000)
    assert 1500 < len(triangles) <= 2000
    assert np.abs(np.linalg.norm(vertices, axis=1) - RADIUS).max() < 1e-3
    assert volume(vertices, triangles) > 0.98 * 4 / 3 * np.pi * RADIUS**3
    few = surface.decimate(vertices, triangles, most=5000)
    assert few[1] is triangles


def test_crumbs_go_and_the_large_piece_stays_whole() -> None:
    vertices, triangles = ball()
    crumb = np.array([[0.2, 0, 0], [0.21, 0, 0], [0.2, 0.01, 0]])
    both = np.concatenate([vertices, crumb]), np.concatenate([triangles, [[0, 1, 2] + np.array(len(vertices))]])
    kept_vertices, kept_triangles = surface.without_crumbs(*both, least=0.02)
    assert len(kept_vertices) == len(vertices)
    assert len(kept_triangles) == len(triangles)


def test_decimation_leaves_no_two_triangles_on_the_same_corners():
    # A thin crumpled sheet: decimated hard, such a surface folds triangles onto each other.
    rng = np.random.default_rng(0)
    vertices, triangles = ball()
    vertices = vertices * (1.0, 1.0, 0.02) + rng.normal(scale=0.01, size=vertices.shape)
    _, few = surface.decimate(vertices, triangles, most=400)

    corners = np.sort(few, axis=1)
    assert len(np.unique(corners, axis=0)) == len(corners)
    assert (np.diff(corners, axis=1) > 0).all()
    edges = np.sort(few[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    assert np.unique(edges, axis=0, return_counts=True)[1].max() <= 2


def test_what_is_glued_at_a_vertex_or_an_edge_comes_apart():
    # Two tetrahedra that share an edge, a third that touches them at a vertex.
    one = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
    glued = np.concatenate([one, np.array([0, 1, 4, 5])[one], np.array([5, 6, 7, 8])[one]])
    places = np.random.default_rng(0).normal(size=(9, 3))
    vertices, triangles = surface.unglued(places, glued)
    np.testing.assert_array_equal(vertices[triangles], places[glued])
    assert len(vertices) == 12
    assert open_edges(triangles) == 0


def test_a_manifold_is_left_as_it_is():
    vertices, triangles = ball()
    same_vertices, same = surface.unglued(vertices, triangles)
    assert len(same_vertices) == len(vertices)
    np.testing.assert_array_equal(same_vertices[same], vertices[triangles])
