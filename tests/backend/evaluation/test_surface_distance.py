"""The shape measure: nothing for the same shape, honest for noise, blind to pose, scale and triangulation."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_head.evaluation.surface_distance import (
    Surface,
    align_surface,
)
from portrait_head.geometry.nearest import closest_on_triangles
from portrait_head.geometry.similarity import Similarity, fit_similarity
from scipy.spatial.transform import Rotation


def face_like(step: float = 0.06) -> tuple[np.ndarray, np.ndarray]:
    """A dome with a nose and eye hollows, about the size of a face in metres: vertices, triangles."""
    across, up = np.meshgrid(np.arange(-1, 1 + step, step), np.arange(-1, 1 + step, step))
    depth = -0.5 * across**2 - 0.3 * up**2 + 0.35 * np.exp(-(across**2 * 40 + (up + 0.1) ** 2 * 8))
    depth -= 0.1 * np.exp(-((np.abs(across) - 0.4) ** 2 + (up - 0.3) ** 2) * 20)
    vertices = np.stack([across, up, depth], axis=-1).reshape(-1, 3) * 0.1
    rows, columns = across.shape
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1)
    quads = np.stack([corner, corner + 1, corner + columns + 1, corner + columns], axis=1)
    return vertices, quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)


def some_similarity(seed: int) -> Similarity:
    generator = np.random.default_rng(seed)
    return Similarity(
        float(generator.uniform(0.5, 3)),
        Rotation.from_rotvec(generator.normal(size=3)).as_matrix(),
        generator.normal(size=3),
    )


def roughly(similarity: Similarity) -> Similarity:
    """A start as poor as landmarks give: 4 degrees about the face, 5 % and half a centimetre off."""
    turn = Rotation.from_euler("xyz", [4, -3, 2], degrees=True).as_matrix()
    return Similarity(similarity.scale * 1.05, turn @ similarity.rotation, 1.05 * turn @ similarity.translation + 0.005)


def inverse(similarity: Similarity) -> Similarity:
    turned = similarity.rotation.T
    return Similarity(1 / similarity.scale, turned, -turned @ similarity.translation / similarity.scale)


def inner(vertices: np.ndarray) -> np.ndarray:
    """The points away from the patch's border, so that a shift of the surface leaves something under them."""
    return vertices[(np.abs(vertices[:, :2]) < 0.08).all(axis=1)]


def test_similarity_is_recovered():
    points = np.random.default_rng(0).normal(size=(50, 3))
    truth = some_similarity(1)
    found = fit_similarity(points, truth(points))
    assert found.scale == pytest.approx(truth.scale)
    np.testing.assert_allclose(found.rotation, truth.rotation, atol=1e-9)
    np.testing.assert_allclose(found.translation, truth.translation, atol=1e-9)


def test_mirrored_points_get_a_rotation_not_a_mirror():
    points = np.random.default_rng(0).normal(size=(50, 3))
    assert np.linalg.det(fit_similarity(points, points * [-1, 1, 1]).rotation) == pytest.approx(1)


def test_closest_point_on_a_triangle_agrees_with_a_search():
    generator = np.random.default_rng(2)
    corners, points = generator.normal(size=(200, 3, 3)), generator.normal(size=(200, 3)) * 2
    grid = np.array([(i, j, 60 - i - j) for i in range(61) for j in range(61 - i)]) / 60
    searched = np.linalg.norm(grid @ corners - points[:, None], axis=2).min(axis=1)
    found = np.linalg.norm(closest_on_triangles(points, corners) - points, axis=1)
    assert (found <= searched + 1e-9).all()
    # The searched grid is at most half a cell off along the triangle.
    assert (found >= searched - 0.1).all()
    np.testing.assert_allclose(closest_on_triangles(corners[:, 1], corners), corners[:, 1], atol=1e-12)


def test_nearest_triangle_is_exact_with_slivers_and_giants():
    generator = np.random.default_rng(3)
    size = np.where(np.arange(300) % 7 == 0, 2.0, 0.05)[:, None, None]
    corners = generator.normal(size=(300, 1, 3)) + size * generator.normal(size=(300, 3, 3))
    points = generator.normal(size=(100, 3)) * 1.5
    every = closest_on_triangles(np.repeat(points, 300, axis=0), np.tile(corners, (100, 1, 1))).reshape(100, 300, 3)
    expected = np.linalg.norm(every - points[:, None], axis=2).min(axis=1)
    surface = Surface(corners.reshape(-1, 3), np.arange(900).reshape(-1, 3))
    nearest, distance, _ = surface.closest(points)
    np.testing.assert_allclose(distance, expected, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(nearest - points, axis=1), distance, atol=1e-12)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_shape_is_at_no_distance_whatever_its_pose_and_scale(seed):
    vertices, triangles = face_like()
    truth = some_similarity(seed)
    surface = Surface(inverse(truth)(vertices), triangles)
    found, distance = align_surface(inner(vertices), surface, roughly(truth))
    # A micrometre on a face of 20 cm.
    assert distance.max() < 1e-6
    assert found.scale == pytest.approx(truth.scale, rel=1e-4)


def test_distance_grows_with_noise_and_equals_it():
    vertices, triangles = face_like()
    shifts = np.random.default_rng(4).normal(size=len(vertices))
    means = []
    for noise in (0.0, 0.0005, 0.001, 0.002, 0.004):
        bumpy = vertices + [0, 0, 1] * (noise * shifts)[:, None]
        _, distance = align_surface(inner(vertices), Surface(bumpy, triangles), some_identity())
        means.append(distance.mean())
    assert (np.diff(means) > 0).all()
    # Mean of |N(0, s)| is 0.8 s; the slope of the dome and neighbouring triangles take some of it away.
    assert 0.4 < means[2] / 0.001 < 0.8


def some_identity() -> Similarity:
    return Similarity(1.0, np.eye(3), np.zeros(3))


def test_a_dent_shows_where_it_is():
    vertices, triangles = face_like()
    points = inner(vertices)
    dent = 0.005 * np.exp(-((vertices[:, :2] - 0.03) ** 2).sum(axis=1) / 0.01**2)
    _, distance = align_surface(points, Surface(vertices - [0, 0, 1] * dent[:, None], triangles), some_identity())
    within = np.linalg.norm(points[:, :2] - 0.03, axis=1) < 0.005
    assert distance[within].mean() > 0.0025
    assert distance[~within].mean() < 0.0006


def test_triangulation_does_not_matter():
    vertices, triangles = face_like()
    points = inner(vertices) + np.random.default_rng(6).normal(size=inner(vertices).shape) * 0.002
    order = np.random.default_rng(5).permutation(len(triangles))
    middles = vertices[triangles].mean(axis=1)
    centre = len(vertices) + np.arange(len(triangles))
    split = np.concatenate([np.stack([triangles[:, k], triangles[:, (k + 1) % 3], centre], 1) for k in range(3)])
    _, plain = align_surface(points, Surface(vertices, triangles), some_identity())
    _, shuffled = align_surface(points, Surface(vertices, triangles[order][:, [2, 0, 1]]), some_identity())
    _, finer = align_surface(points, Surface(np.concatenate([vertices, middles]), split), some_identity())
    np.testing.assert_allclose(shuffled, plain, atol=1e-7)
    np.testing.assert_allclose(finer, plain, atol=1e-7)
