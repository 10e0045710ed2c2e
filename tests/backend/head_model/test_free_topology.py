from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from portrait_head.geometry.registration import border_vertices
from portrait_head.geometry.surface import vertex_normals
from portrait_head.head_model import HeadModel, load_head_model
from portrait_head.head_model.arkit import ARKIT_NAMES
from portrait_head.head_model.free_topology import FreeHead, free_head, simplified
from scipy.spatial import KDTree

from tests.backend.geometry.sculpts import Mesh, voxel_sculpt

COUNT = 12_000  # the sculpt of the tests has about twice as many
KEYS = ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "browInnerUp")
STILL = 5e-5  # metres; what the transfer takes for rest


@cache
def _hair() -> np.ndarray:
    """[N] a cap of hair: what of the sculpt is above and behind the forehead."""
    vertices, _, _ = voxel_sculpt()
    return vertices[:, 1] - 0.09 - 0.3 * (vertices[:, 2] - 0.05).clip(0)


@pytest.fixture(scope="module")
def free() -> FreeHead:
    model = load_head_model()
    vertices, triangles, head = voxel_sculpt()
    deltas = model.expressions[[ARKIT_NAMES.index(name) for name in KEYS]]
    return free_head(model, head, deltas, (vertices, triangles), _hair(), COUNT)


def _volume(vertices: np.ndarray, triangles: np.ndarray) -> float:
    a, b, c = vertices[triangles].transpose(1, 0, 2)
    return float(np.einsum("ij,ij->", a, np.cross(b, c))) / 6


def _moved(free: FreeHead, key: str) -> np.ndarray:
    return np.linalg.norm(free.shape_keys[KEYS.index(key)], axis=1)


def test_before_anything_is_cut_the_decimated_sculpt_is_closed_manifold_and_outward():
    vertices, triangles, _ = voxel_sculpt()
    fewer, faces, hair = simplified(vertices, triangles, _hair(), COUNT)
    mesh = Mesh(fewer, faces)
    mesh.assert_manifold()
    assert mesh.border() == 0
    assert 0.95 * COUNT <= len(faces) <= 1.05 * COUNT
    # Decimation moves a surface of 4 mm cells by less than a cell, so what it encloses stays.
    assert _volume(fewer, faces) == pytest.approx(_volume(vertices, triangles), rel=0.005)
    assert _volume(fewer, faces) > 0
    np.testing.assert_allclose(hair, fewer[:, 1] - 0.09 - 0.3 * (fewer[:, 2] - 0.05).clip(0), atol=0.002)


def test_hair_and_skin_are_manifold_and_fit_along_the_hairline(free: FreeHead):
    skin, hair = Mesh(free.vertices, free.triangles), Mesh(free.hair_vertices, free.hair_triangles)
    skin.assert_manifold()
    hair.assert_manifold()
    rim = free.hair_vertices[border_vertices(hair.triangles)]
    assert len(rim) > 50
    own = {point.tobytes() for point in free.vertices[border_vertices(skin.triangles)]}
    assert all(point.tobytes() in own for point in rim)
    assert len(skin.triangles) + len(hair.triangles) < 1.3 * COUNT


def test_both_parts_face_outwards(free: FreeHead):
    vertices, triangles, _ = voxel_sculpt()
    tree, true = KDTree(vertices), vertex_normals(vertices, triangles)
    for mesh in ((free.vertices, free.triangles), (free.hair_vertices, free.hair_triangles)):
        _, nearest = tree.query(mesh[0])
        # Behind thin ears the nearest vertex may be on the other side.
        assert ((vertex_normals(*mesh) * true[nearest]).sum(axis=1) > 0).mean() > 0.99


def test_the_jaw_opens_the_mouth_and_nothing_above_the_nose(free: FreeHead, model: HeadModel):
    low = free.vertices[:, 1] < model.vertices[model.regions["lips"]][:, 1].min()
    front = free.vertices[:, 2] > 0.06
    moved = _moved(free, "jawOpen")
    assert moved[low & front & (np.abs(free.vertices[:, 0]) < 0.02)].mean() > 0.01
    assert moved[free.vertices[:, 1] > 0.04].max() < 0.001


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_blink_moves_the_lids_of_its_eye_alone(free: FreeHead, model: HeadModel, side: str):
    moved = _moved(free, f"eyeBlink{side.title()}")
    eye = model.vertices[model.regions[f"eye_loop_{side}"]].mean(axis=0)
    away = np.linalg.norm(free.vertices - eye, axis=1)
    assert moved[away < 0.015].max() > 0.004
    assert moved[away > 0.05].max() < STILL


def test_keys_are_zero_where_the_face_is_at_rest(free: FreeHead):
    back = free.vertices[:, 2] < -0.03
    assert back.sum() > 200
    assert all(_moved(free, key)[back].max() < STILL for key in KEYS)


def test_a_sculpt_without_hair_is_all_skin():
    model = load_head_model()
    vertices, triangles, head = voxel_sculpt()
    bare = free_head(model, head, model.expressions[:1], (vertices, triangles), np.full(len(vertices), -1.0), COUNT)
    assert len(bare.hair_triangles) == 0 and len(bare.hair_vertices) == 0
    assert len(bare.triangles) > 0.9 * COUNT
