"""Inside and outside of meshes whose inside is known."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_head.geometry.winding import Solid, winding_number

CUBE = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
SIDES = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
TRIANGLES = SIDES[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).uniform(-2, 2, (500, 3))


def cube_depth(points: np.ndarray) -> np.ndarray:
    apart = np.abs(points) - 1
    outside = np.linalg.norm(np.maximum(apart, 0), axis=1)
    return np.where(outside > 0, -outside, -apart.max(axis=1))


def test_a_point_is_wound_round_once_inside_and_never_outside(points: np.ndarray) -> None:
    inside = (np.abs(points) < 1).all(axis=1)
    assert winding_number(points, CUBE, TRIANGLES) == pytest.approx(inside.astype(float), abs=1e-9)


def test_the_depth_in_a_cube_is_exact(points: np.ndarray) -> None:
    found = Solid(CUBE, TRIANGLES).signed_distance(points)
    assert found == pytest.approx(cube_depth(points), abs=1e-5)  # float32


def test_a_hole_does_not_turn_the_inside_out(points: np.ndarray) -> None:
    open_box = TRIANGLES[2:]  # one side is missing
    sure = np.abs(winding_number(points, CUBE, open_box) - 0.5) > 0.1
    inside = winding_number(points, CUBE, open_box) > 0.5
    assert ((Solid(CUBE, open_box).signed_distance(points) > 0) == inside)[sure].all()


def test_a_solid_needs_finite_triangles() -> None:
    with pytest.raises(ValueError, match="0 were given"):
        Solid(CUBE, TRIANGLES[:0])
    with pytest.raises(ValueError, match="finite"):
        Solid(np.full_like(CUBE, np.nan), TRIANGLES)
