"""Tangents as Blender makes them, and the frames that a normal map is read in."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
from portrait_head.head_model import load_head_model
from portrait_head.texturing.tangents import tangent_frames

BLENDER = """
import sys, bpy, numpy as np
given = np.load(sys.argv[1])
mesh = bpy.data.meshes.new("head")
mesh.from_pydata(given["vertices"].tolist(), [], given["quads"].tolist())
mesh.uv_layers.new(name="uv").data.foreach_set("uv", given["uvs"].ravel())
mesh.polygons.foreach_set("use_smooth", [True] * len(mesh.polygons))
mesh.update()
mesh.calc_tangents(uvmap="uv")
count = len(mesh.loops)
tangent, normal, sign = np.empty(3 * count), np.empty(3 * count), np.empty(count)
mesh.loops.foreach_get("tangent", tangent)
mesh.loops.foreach_get("normal", normal)
mesh.loops.foreach_get("bitangent_sign", sign)
np.savez(sys.argv[2], tangent=tangent, normal=normal, sign=sign)
"""


def skin() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    model = load_head_model()
    first, last = model.part("skin").faces
    return model.vertices[: model.part("skin").vertices[1]], model.quads[first:last], model.uvs[first:last]


@pytest.mark.skipif(importlib.util.find_spec("bpy") is None, reason="needs the bpy wheel")
def test_they_are_those_of_blender(tmp_path):
    vertices, quads, uvs = skin()
    np.savez(tmp_path / "mesh.npz", vertices=vertices, quads=quads, uvs=uvs)
    command = [sys.executable, "-c", BLENDER, str(tmp_path / "mesh.npz"), str(tmp_path / "frames.npz")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    with np.load(tmp_path / "frames.npz") as blender:
        frames = tangent_frames(vertices, quads, uvs)
        # Blender keeps normals in 16 bits a coordinate and computes in single precision.
        np.testing.assert_allclose(frames.normals[quads], blender["normal"].reshape(-1, 4, 3), atol=1e-3)
        np.testing.assert_allclose(frames.tangents[frames.group], blender["tangent"].reshape(-1, 4, 3), atol=1e-3)
        np.testing.assert_array_equal(frames.signs[frames.group], blender["sign"].reshape(-1, 4))


def test_frames_are_square_and_follow_the_texture():
    vertices, quads, uvs = skin()
    frames = tangent_frames(vertices, quads, uvs)
    normals, tangents = frames.normals[quads], frames.tangents[frames.group]
    np.testing.assert_allclose(np.linalg.norm(tangents, axis=-1), 1, atol=1e-9)
    np.testing.assert_allclose((normals * tangents).sum(axis=-1), 0, atol=1e-6)
    # On the forehead u grows to the subject's left and v upwards.
    corner = np.isin(quads, load_head_model().regions["forehead"]) & (np.abs(vertices[quads, 0]) < 0.03)
    bitangents = frames.signs[frames.group][..., None] * np.cross(normals, tangents)
    assert (tangents[corner][:, 0] > 0.8).all()
    assert (bitangents[corner][:, 1] > 0.7).all()


def test_both_sides_of_a_seam_have_frames_of_their_own_and_one_normal():
    vertices, quads, uvs = skin()
    frames = tangent_frames(vertices, quads, uvs)
    places = {}
    for face, corner in np.argwhere(np.ones(quads.shape, bool)):
        places.setdefault(int(quads[face, corner]), set()).add(int(frames.group[face, corner]))
    parted = {vertex for vertex, groups in places.items() if len(groups) > 1}
    assert 10 < len(parted) < 200
    on_back = [vertex for vertex in parted if abs(vertices[vertex, 0]) < 1e-6 and vertices[vertex, 2] < 0]
    assert len(on_back) > 10


def test_a_mirrored_texture_turns_the_bitangent():
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    quads = np.array([[0, 1, 2, 3]])
    upright = vertices[quads][..., :2]
    frames = tangent_frames(vertices, quads, 1 - upright * [1, 0] - [0, 1] + upright * [0, 1])
    np.testing.assert_allclose(frames.tangents, np.tile([-1.0, 0, 0], (4, 1)), atol=1e-12)
    assert (frames.signs == -1).all()
    assert (tangent_frames(vertices, quads, upright).signs == 1).all()
