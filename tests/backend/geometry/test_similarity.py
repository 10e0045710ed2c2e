"""Turning, moving and scaling one surface onto another."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from portrait_head.geometry.similarity import Similarity, fit_similarity, lay_onto
from scipy.spatial.transform import Rotation


def similarity_of(seed: int) -> Similarity:
    generator = np.random.default_rng(seed)
    rotation = Rotation.from_quat(generator.normal(size=4)).as_matrix()
    return Similarity(float(generator.uniform(0.01, 100)), rotation, generator.normal(size=3))


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_a_similarity_is_found_from_points_and_undone_by_its_inverse(seed):
    known = similarity_of(seed)
    points = np.random.default_rng(seed + 1).normal(size=(12, 3))

    found = fit_similarity(points, known(points))

    assert found.scale == pytest.approx(known.scale, rel=1e-9)
    np.testing.assert_allclose(found.rotation, known.rotation, atol=1e-9)
    np.testing.assert_allclose(found.inverse()(known(points)), points, atol=1e-8)
    np.testing.assert_allclose(known.after(found.inverse())(points), points, atol=1e-8)


def test_a_mirrored_cloud_is_never_reached_by_a_reflection():
    points = np.random.default_rng(0).normal(size=(30, 3))

    assert np.linalg.det(fit_similarity(points, points * [-1, 1, 1]).rotation) == pytest.approx(1)


def egg_with_nose(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of a head's simplest likeness, without symmetry that could be mistaken, and its normals."""
    directions = np.random.default_rng(seed).normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    nose = 0.35 * np.exp(-12 * (1 - directions @ np.array([0, 0.05, 1.0])))
    radius = 0.1 * (1 + nose + 0.25 * directions[:, 1] - 0.2 * directions[:, 1] * directions[:, 2])
    return directions * radius[:, None] * [0.8, 1.2, 1.0], directions


@pytest.mark.parametrize("axes", [(0, 0, 0), (-90, 0, 90)])
def test_a_surface_in_any_unit_and_along_any_axes_is_laid_onto_the_head(axes):
    head, _ = egg_with_nose(800, 0)
    surface, normals = egg_with_nose(6000, 1)
    rotation = Rotation.from_euler("xyz", axes, degrees=True) * Rotation.from_rotvec([0.1, -0.12, 0.08])
    frame = Similarity(250.0, rotation.as_matrix(), np.array([3.0, -700.0, 12.0]))

    found, gap = lay_onto(frame(surface), normals @ frame.rotation.T, head, head[head[:, 2] > 0])

    moved = found(frame(surface))
    assert np.linalg.norm(moved - surface, axis=1).mean() < 0.003  # the cloud is that coarse
    assert gap < 0.006
