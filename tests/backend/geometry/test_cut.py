import numpy as np
import pytest
from portrait_head.geometry import surface
from portrait_head.geometry.cut import part, slit
from portrait_head.geometry.registration import border_vertices

from tests.backend.geometry.sculpts import Mesh

RADIUS = 0.1


@pytest.fixture(scope="module")
def ball() -> Mesh:
    axis = np.linspace(-0.13, 0.13, 41)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    field = RADIUS - np.linalg.norm(points + 1e-4, axis=-1)
    return Mesh(*surface.isosurface(field, np.full(3, -0.13), axis[1] - axis[0]))


def fields(ball: Mesh, noise: float = 0.0) -> np.ndarray:
    """Hair above, clothes below and a cut through both that runs across the others."""
    x, y, z = ball.vertices.T
    rough = noise * np.random.default_rng(0).normal(size=(3, len(x)))
    return np.stack([y - 0.03 + 0.3 * z, -0.05 - y + 0.2 * x, x + 0.5 * y]) + rough


def rim(mesh) -> set:
    return set(map(tuple, mesh.vertices[border_vertices(mesh.triangles)]))


@pytest.mark.parametrize("noise", [0.0, 0.004])
def test_the_parts_are_manifold_and_together_the_whole(ball, noise):
    pieces = part(ball.vertices, ball.triangles, fields(ball, noise))
    assert len(pieces) == 4
    for piece in pieces:
        Mesh(piece.vertices, piece.triangles).assert_manifold()
    area = sum(surface.triangle_areas(piece.vertices, piece.triangles).sum() for piece in pieces)
    assert area == pytest.approx(surface.triangle_areas(ball.vertices, ball.triangles).sum(), rel=1e-12)


def test_rims_fit_vertex_for_vertex(ball):
    pieces = part(ball.vertices, ball.triangles, fields(ball))
    for number, piece in enumerate(pieces):
        others = set().union(*(rim(other) for place, other in enumerate(pieces) if place != number))
        assert len(rim(piece)) > 20
        assert rim(piece) <= others


def test_welded_along_their_rims_the_parts_are_closed_again(ball):
    pieces = part(ball.vertices, ball.triangles, fields(ball))
    corners = np.concatenate([piece.vertices[piece.triangles].reshape(-1, 3) for piece in pieces])
    _, welded = np.unique(corners, axis=0, return_inverse=True)
    whole = Mesh(corners, welded.reshape(-1, 3))
    assert whole.border() == 0
    whole.assert_manifold()


def test_the_cut_lies_where_the_field_is_zero(ball):
    upper, lower = part(ball.vertices, ball.triangles, fields(ball)[:1], smoothing=0)
    value = upper.origin @ fields(ball)[0]
    on_rim = border_vertices(upper.triangles)
    # The cut keeps clear of vertices by a fifth of an edge, 11 mm at most, no more.
    assert np.abs(value[on_rim]).max() < 0.0024
    inner = np.setdiff1d(np.arange(len(value)), on_rim)
    assert (value[inner] > 0).all()
    assert (
        (lower.origin @ fields(ball)[0])[np.setdiff1d(np.arange(len(lower.vertices)), border_vertices(lower.triangles))]
        <= 0
    ).all()


def test_what_is_known_of_the_whole_is_known_of_the_parts(ball):
    for piece in part(ball.vertices, ball.triangles, fields(ball)):
        np.testing.assert_allclose(piece.origin @ ball.vertices, piece.vertices, atol=1e-12)
        np.testing.assert_allclose(np.asarray(piece.origin.sum(axis=1)).ravel(), 1)


def test_small_islands_join_what_is_around_them(ball):
    field = fields(ball)[0]
    field[np.linalg.norm(ball.vertices - [0, -RADIUS, 0], axis=1) < 0.012] = 0.02  # an island of hair on the chin
    field[np.linalg.norm(ball.vertices - [0, RADIUS, 0], axis=1) < 0.012] = -0.02  # and a hole in the hair
    upper, lower = part(ball.vertices, ball.triangles, field[None], least=0.02, smoothing=0)
    assert (upper.vertices[:, 1] > -0.05).all()
    # One rim each: an Euler number of 1 is a disc.
    for piece in (upper, lower):
        mesh = Mesh(piece.vertices, piece.triangles)
        assert len(piece.vertices) - len(mesh.edges()[0]) + len(piece.triangles) == 1


def test_no_slivers(ball):
    # A field that is zero on very many vertices would cut through them all.
    field = np.round(ball.vertices[:, 1], 2)
    upper, _ = part(ball.vertices, ball.triangles, field[None], smoothing=0)
    least = surface.triangle_areas(ball.vertices, ball.triangles).min()
    # A corner cut at a fifth of both its edges has a 25th of the area.
    assert surface.triangle_areas(upper.vertices, upper.triangles).min() > 0.03 * least


def test_a_field_of_one_sign_leaves_the_whole(ball):
    nothing, whole = part(ball.vertices, ball.triangles, np.full((1, len(ball.vertices)), -1.0))
    assert nothing.triangles.shape == nothing.vertices.shape == (0, 3)
    np.testing.assert_array_equal(whole.vertices[whole.triangles], ball.vertices[ball.triangles])


def test_a_slit_opens_where_it_should_and_keeps_its_ends(ball):
    x, y, z = ball.vertices.T
    near = (z > 0) & (np.abs(y) < 0.03)
    sides = y + 0.001
    sides[np.linalg.norm(ball.vertices - [0, 0.015, RADIUS], axis=1) < 0.008] *= -1  # no second slit round an island
    cut = slit(ball.vertices, ball.triangles, sides, near, 0.05 - np.abs(x))
    mesh = Mesh(cut.vertices, cut.triangles)
    mesh.assert_manifold()
    # One loop of border, made of pairs of vertices at the same place but for the two ends.
    on_rim = border_vertices(cut.triangles)
    assert mesh.border() == len(on_rim)
    places, count = np.unique(cut.vertices[on_rim], axis=0, return_counts=True)
    assert sorted(count.tolist())[:3] == [1, 1, 2]
    assert count.max() == 2
    assert 0.04 < np.abs(places[:, 0]).max() < 0.056
    assert len(cut.vertices) - len(mesh.edges()[0]) + len(cut.triangles) == 1
