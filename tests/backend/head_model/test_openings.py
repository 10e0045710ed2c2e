import numpy as np
import pytest
from portrait_head.geometry.cut import Piece
from portrait_head.geometry.deformation_transfer import transfer
from portrait_head.geometry.registration import border_vertices
from portrait_head.head_model import load_head_model
from portrait_head.head_model.arkit import ARKIT_NAMES
from portrait_head.head_model.onto_surface import shown_skin
from portrait_head.head_model.openings import open_eyes_and_mouth
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from tests.backend.geometry.sculpts import Mesh, voxel_sculpt


@pytest.fixture(scope="module")
def opened() -> Piece:
    vertices, triangles, head = voxel_sculpt()
    return open_eyes_and_mouth(load_head_model(), head, vertices, triangles)


def rims(mesh: Mesh) -> list[np.ndarray]:
    """The vertices [n] of every border line."""
    edges, count = mesh.edges()
    border = edges[count == 1]
    links = coo_matrix((np.ones(len(border)), border.T), shape=(len(mesh.vertices),) * 2)
    label = connected_components(links, directed=False)[1]
    on_rim = border_vertices(mesh.triangles)
    return [on_rim[label[on_rim] == one] for one in np.unique(label[on_rim])]


def test_a_closed_sculpt_gets_two_eyes_and_a_mouth(opened):
    vertices, triangles, head = voxel_sculpt()
    assert Mesh(vertices, triangles).border() == 0
    mesh = Mesh(opened.vertices, opened.triangles)
    mesh.assert_manifold()
    middles = np.array([opened.vertices[rim].mean(axis=0) for rim in rims(mesh)])
    assert len(middles) == 3
    model = load_head_model()
    for loop in ("eye_loop_left", "eye_loop_right", "mouth_loop"):
        there = head[model.regions[loop]].mean(axis=0)
        # Lids and lips of the head reach further in than the sculpt's surface.
        assert np.linalg.norm(middles - there, axis=1).min() < 0.009


def test_the_mouth_of_a_sculpt_opens_with_the_jaw(opened):
    model = load_head_model()
    _, _, head = voxel_sculpt()
    jaw = model.expressions[[ARKIT_NAMES.index("jawOpen")]]
    moved = opened.vertices + transfer(head, shown_skin(model), jaw, opened.vertices, opened.triangles)[0]
    mouth = min(rims(Mesh(opened.vertices, opened.triangles)), key=lambda rim: float(opened.vertices[rim, 1].mean()))
    middle = mouth[np.abs(opened.vertices[mouth, 0]) < 0.006]
    heights = np.sort(moved[middle, 1])
    # Pairs of vertices at one place at rest: a lip goes down with the jaw, the other stays.
    assert np.ptp(opened.vertices[middle, 1]) < 0.005
    assert np.diff(heights).max() > 0.015
    ends = np.abs(opened.vertices[mouth, 0]) > 0.95 * np.abs(opened.vertices[mouth, 0]).max()
    assert np.ptp((moved - opened.vertices)[mouth[ends], 1]) < 0.012


def test_values_of_the_sculpt_are_known_at_the_cut(opened):
    vertices, _, _ = voxel_sculpt()
    np.testing.assert_allclose(opened.origin @ vertices, opened.vertices, atol=1e-9)
