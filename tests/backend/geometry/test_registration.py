import numpy as np
import pytest
from portrait_head.geometry.nearest import SurfaceIndex
from portrait_head.geometry.registration import border_vertices, folded_quads, register

SIZE = 0.2


def sheet(count: int) -> tuple[np.ndarray, np.ndarray]:
    """A flat square of quads facing +Z: vertices [count^2, 3], quads."""
    axis = np.linspace(-SIZE / 2, SIZE / 2, count)
    x, y = np.meshgrid(axis, axis)
    corner = (np.arange(count - 1)[:, None] * count + np.arange(count - 1)).ravel()
    quads = np.stack([corner, corner + 1, corner + count + 1, corner + count], axis=1)
    return np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3), quads


def dome(points: np.ndarray, height: float = 0.01) -> np.ndarray:
    """The points of a sheet lifted onto a hill 4 cm wide."""
    return points + [0, 0, 1] * (height * np.exp(-(points[:, :2] ** 2).sum(axis=1) / 0.04**2))[:, None]


def hill(count: int = 61) -> tuple[np.ndarray, np.ndarray]:
    vertices, quads = sheet(count)
    return dome(vertices), quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)


def test_a_sheet_comes_to_lie_on_a_hill():
    vertices, quads = sheet(25)
    target = hill()
    found = register(vertices, quads, np.ones(len(vertices)), target)
    inner = np.abs(vertices[:, :2]).max(axis=1) < 0.09
    distance = SurfaceIndex(*target).nearest(found.vertices[inner]).distance
    # A twentieth of a millimetre of a hill of ten.
    assert distance.mean() < 5e-5
    assert len(folded_quads(vertices, found.vertices, quads, 75.0)) == 0


def test_what_lies_there_already_stays():
    vertices, quads = sheet(25)
    vertices = dome(vertices)
    triangles = quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
    found = register(vertices, quads, np.ones(len(vertices)), (vertices, triangles))
    assert np.abs(found.vertices - vertices).max() < 1e-9


def test_a_moved_target_takes_what_is_not_trusted_along_in_one_piece():
    vertices, quads = sheet(25)
    patch = np.linalg.norm(vertices[:, :2], axis=1) < 0.03
    trust = np.where(patch, 0.0, 1.0)
    target_vertices, target_triangles = hill()
    found = register(vertices, quads, trust, (target_vertices + [0, 0, 0.004], target_triangles))
    step = (found.vertices - vertices)[patch]
    assert step[:, 2].min() > 0.004
    # It is carried up, and bends less than half of what the hill would have it.
    assert np.ptp(step[:, 2]) < 0.5 * np.ptp(dome(vertices)[patch, 2])


def test_nothing_is_drawn_onto_a_border():
    vertices, quads = sheet(41)
    whole, triangles = hill()
    half = triangles[(whole[triangles, 0] < 0.0).all(axis=1)]
    found = register(vertices, quads, np.ones(len(vertices)), (whole, half))
    beyond = vertices[:, 0] > 0.015
    assert (found.paired[beyond] == 0).all()
    # Drawn to the border, the columns beyond would crowd there.
    assert (np.diff(found.vertices.reshape(41, 41, 3)[:, :, 0], axis=1) > 0.5 * SIZE / 40).all()


def test_a_sheet_that_faces_away_is_not_met():
    vertices, quads = sheet(15)
    whole, triangles = hill()
    found = register(vertices, quads, np.ones(len(vertices)), (whole, triangles[:, ::-1]))
    assert (found.paired == 0).all()
    np.testing.assert_allclose(found.vertices, vertices, atol=1e-12)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_jagged_target_folds_nothing(seed):
    vertices, quads = sheet(41)
    target_vertices, triangles = hill(41)
    noise = np.random.default_rng(seed).normal(size=target_vertices.shape) * 0.004
    found = register(vertices, quads, np.ones(len(vertices)), (target_vertices + noise, triangles))
    assert len(folded_quads(vertices, found.vertices, quads, 75.0)) == 0
    assert np.isfinite(found.vertices).all()


def test_a_fold_is_seen():
    vertices, quads = sheet(5)
    moved = vertices.copy()
    moved[12, 0] += 0.12
    ahead = np.flatnonzero((quads == 12).any(axis=1))[1::2]
    assert np.isin(ahead, folded_quads(vertices, moved, quads, 75.0)).all()


def test_border_of_a_closed_surface_is_empty():
    tetrahedron = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
    assert len(border_vertices(tetrahedron)) == 0
    assert border_vertices(tetrahedron[:3]).tolist() == [0, 2, 3]
