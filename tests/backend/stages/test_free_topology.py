from __future__ import annotations

import time
from functools import cache

import numpy as np
import pytest
from portrait_head.asset import AssetMesh, Material
from portrait_head.head_model import HeadModel, load_head_model
from portrait_head.head_model.arkit import ARKIT_NAMES
from portrait_head.rendering.camera import PinholeCamera
from portrait_head.request import HeadRequest
from portrait_head.stages import assemble
from portrait_head.stages.fit import Fit
from portrait_head.stages.free_topology import HAIR_NAME, INSIDE, NAME, free_topology
from portrait_head.stages.sculpt import Sculpt
from portrait_head.stages.texture import Texture

from tests.backend.geometry.sculpts import voxel_sculpt

SECONDS = 10.0  # of processor time
SKIN, HAIR = (220, 170, 140), (70, 50, 30)


@cache
def _made() -> tuple[tuple[AssetMesh, ...], Material, float]:
    model = load_head_model()
    vertices, triangles, head = voxel_sculpt()
    camera = PinholeCamera(np.eye(3), np.array([0.0, 0.0, -1.0]), 500.0, np.array([256.0, 256.0]), 512, 512)
    names = len(model.identity_names)
    weights, gaze = np.zeros(len(ARKIT_NAMES), np.float32), np.zeros((2, 2), np.float32)
    neutral = head.astype(np.float32)
    fit = Fit(camera, np.zeros(names), weights, gaze, np.zeros_like(neutral), neutral, neutral, 0.0, 0.0)
    hair = vertices[:, 1] - 0.09
    cap = triangles[(hair > 0)[triangles].all(axis=1)]
    sculpt = Sculpt(
        style="volume",
        hair_vertices=vertices.astype(np.float32),
        hair_triangles=cap.astype(np.int32),
        scalp=np.zeros(len(head), np.float32),
        vertices=vertices.astype(np.float32),
        triangles=triangles.astype(np.int32),
        hair=hair.astype(np.float32),
        posed=vertices.astype(np.float32),
    )
    texture = Texture(
        skin=np.full((512, 512, 3), SKIN, np.uint8),
        confidence=np.zeros((512, 512), np.uint8),
        eyes=np.zeros((4, 4, 3), np.uint8),
        mouth=np.zeros((4, 4, 3), np.uint8),
        lashes=np.zeros((4, 4, 4), np.uint8),
        hair=np.full((4, 4, 4), (*HAIR, 255), np.uint8),
        hair_uvs=np.full((len(cap), 3, 2), 0.5, np.float32),
        ssim=1.0,
    )
    fixed = assemble._head(model, neutral, model.expressions)
    materials = tuple(Material(name, texture.skin, "opaque", 0.5, 0.5, 0.0) for name, *_ in assemble.MATERIALS)
    started = time.process_time()
    meshes, material = free_topology(model, fit, sculpt, texture, fixed, materials)
    return meshes, material, time.process_time() - started


def _part(mesh: AssetMesh, name: str) -> tuple[np.ndarray, slice]:
    part = next(part for part in mesh.parts if part.name == name)
    return np.arange(*part.vertices), slice(*part.faces)


def test_the_sculpt_and_its_hair_share_a_material_that_comes_last():
    (head, hair), material, _ = _made()
    assert (head.name, hair.name, material.name) == (NAME, HAIR_NAME, NAME)
    last = len(assemble.MATERIALS)
    assert (hair.material == last).all()
    assert (head.material[_part(head, "skin")[1]] == last).all()
    assert head.material[_part(head, "eye_left")[1]].max() < last


def test_the_meshes_are_whole(model: HeadModel):
    for mesh in _made()[0]:
        count = len(mesh.vertices)
        assert mesh.faces[:, :3].min() >= 0 and mesh.faces.max() == count - 1
        assert (mesh.joints >= 0).all() and mesh.joints.max() < len(model.bones)
        np.testing.assert_allclose(mesh.weights.sum(axis=1), 1.0, atol=1e-5)
        assert mesh.uvs.min() >= 0 and mesh.uvs.max() <= 1
        assert mesh.parts[-1].vertices[1] == count and mesh.parts[-1].faces[1] == len(mesh.faces)
        for one, other in zip(mesh.parts, mesh.parts[1:], strict=False):
            assert one.vertices[1] == other.vertices[0] and one.faces[1] == other.faces[0]


def test_what_lies_behind_the_skin_is_the_fixed_heads_with_its_keys(model: HeadModel):
    head = _made()[0][0]
    assert head.shape_keys.shape == (52, len(head.vertices), 3)
    neutral = voxel_sculpt()[2]
    for name in INSIDE:
        rows, faces = _part(head, name)
        part = slice(*model.part(name).faces)
        np.testing.assert_allclose(head.vertices[head.faces[faces]], neutral[model.quads[part]], atol=1e-6)
        np.testing.assert_array_equal(
            head.shape_keys[:, head.faces[faces]], model.expressions[:, model.quads[part]], err_msg=name
        )
        assert np.isin(head.faces[faces], rows).all()


def test_skin_and_hair_have_their_own_colours():
    (head, hair), material, _ = _made()
    size = material.base_color.shape[0]
    for mesh, colour in ((head, SKIN), (hair, HAIR)):
        rows = _part(mesh, "skin" if mesh is head else "hair")[1]
        corners = mesh.uvs[rows, :3]
        sides = corners[:, 1:] - corners[:, :1]
        whole = np.abs(np.linalg.det(sides)) * size**2 / 2 > 1  # what is smaller need not have a texel of its own
        assert whole.mean() > 0.8
        texels = np.floor(corners[whole].mean(axis=1) * size).astype(int)
        found = material.base_color[size - 1 - texels[:, 1], texels[:, 0]]
        assert (np.abs(found.astype(int) - colour) <= 1).all()


def test_it_takes_seconds():
    assert _made()[2] < SECONDS


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_a_request_says_true_or_false(value):
    assert HeadRequest(("sample",)).free_topology is False
    with pytest.raises(Exception, match="free_topology"):
        HeadRequest(("sample",), free_topology=value)


@pytest.fixture(scope="session")
def model() -> HeadModel:
    return load_head_model()
