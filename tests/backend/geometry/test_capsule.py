import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from portrait_head.geometry.capsule import COLUMNS, Capsule, fill_smoothly, mirrored, skin_distance
from portrait_head.geometry.surface import isosurface

CAPSULE = Capsule(np.array([0.0, 0.06, 0.01]), 90)


def ball(centre: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    low, cell = centre - radius - 0.01, 0.004
    axes = [low[axis] + cell * np.arange(int((2 * radius + 0.02) / cell) + 1) for axis in range(3)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    return isosurface(radius - np.linalg.norm(points - centre, axis=-1), low, cell)


@given(st.integers(1, 89), st.integers(0, COLUMNS - 1), st.floats(0.02, 0.2))
def test_a_point_is_found_where_its_coordinates_put_it(row: int, column: int, distance: float) -> None:
    feet, directions = CAPSULE.axes()
    point = feet[row, column] + directions[row, column] * distance
    found = CAPSULE.locate(point)
    assert [float(value) for value in found[1:]] == pytest.approx([column, distance], abs=1e-6)
    assert float(found[0]) == pytest.approx(row, abs=1e-6)


def test_coordinates_have_the_same_bits_wherever_in_memory_they_land() -> None:
    generator = np.random.default_rng(0)
    points = generator.normal(size=(20000, 3))
    found, kept = set(), []
    for _ in range(100):
        kept = [*kept[-5:], np.empty(generator.integers(1, 600_000), np.uint8)]
        found.add(b"".join(values.tobytes() for values in CAPSULE.locate(points.copy())))
    assert len(found) == 1


def test_a_map_of_distances_reads_back_at_its_own_points() -> None:
    radius = 0.08 + 0.02 * np.random.default_rng(0).random(CAPSULE.shape)
    row, column, distance = CAPSULE.locate(CAPSULE.points(radius))
    # The pole is one point with as many directions as columns.
    assert CAPSULE.sample(radius, row, column)[1:] == pytest.approx(distance[1:], abs=1e-6)


def test_values_do_not_jump_at_the_seam_behind_the_first_column() -> None:
    image = np.tile(np.cos(CAPSULE.azimuths), (CAPSULE.rows, 1))
    columns = np.array([COLUMNS - 0.5, COLUMNS - 1e-9, 0.0, 0.5])
    assert np.ptp(CAPSULE.sample(image, np.full(4, 40.0), columns)) < 2e-3


def test_mirroring_moves_a_point_to_the_other_side_of_the_head() -> None:
    x, y, z = np.moveaxis(CAPSULE.points(np.full(CAPSULE.shape, 0.1)), -1, 0)
    assert mirrored(x) == pytest.approx(-x, abs=1e-12)
    assert mirrored(y) == pytest.approx(y, abs=1e-12)
    assert mirrored(z) == pytest.approx(z, abs=1e-12)


def test_the_skin_of_a_ball_is_its_radius_away_even_through_a_hole() -> None:
    vertices, triangles = ball(CAPSULE.centre, 0.09)
    middles = vertices[triangles].mean(axis=1)
    hole = np.linalg.norm(middles - (CAPSULE.centre + (0.09, 0, 0)), axis=1) < 0.03
    distance = skin_distance(CAPSULE, vertices, triangles[~hole])
    dome = distance[: int((CAPSULE.heights == 0).sum())]
    error = np.abs(dome - 0.09)
    assert np.median(error) < 1e-4
    # Below the dome the ball is narrower, and the hole's filling knows that side too.
    assert error.max() < 2.5e-3


def test_filling_continues_a_harmonic_function_and_leaves_absent_cells_alone() -> None:
    rows, columns = np.meshgrid(np.arange(20), np.arange(24), indexing="ij")
    truth = np.where(rows < 10, 1.0, 3.0)
    known = (rows < 4) | (rows > 16)
    absent = (columns == 5) & ~known
    filled = fill_smoothly(np.where(known, truth, -7.0), known, absent)
    assert filled[known] == pytest.approx(truth[known])
    assert (filled[absent] == -7.0).all()
    assert filled[:, 12] == pytest.approx(np.interp(np.arange(20), (3, 17), (1, 3)), abs=1e-6)
