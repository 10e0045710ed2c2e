from __future__ import annotations

import itertools
import subprocess
import sys
import time

import numpy as np
from portrait_head.head_model import HeadModel, makehuman
from portrait_head.head_model.arkit import ARKIT_NAMES

# Cheap machines and busy ones are slower than the 1.5 s that the loader may take on two free cores.
BUSY_MACHINE = 3.0


def test_reading_the_files_is_quick_and_needs_no_torch():
    started = time.process_time()
    makehuman.read_makehuman_head()
    assert time.process_time() - started < 1.5 * BUSY_MACHINE
    program = "import sys, portrait_head.head_model as h; h.load_head_model(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_reading_twice_gives_the_same_head(model: HeadModel):
    again = makehuman.read_makehuman_head()
    for name in ("vertices", "quads", "uvs", "identity", "expressions", "joints", "weights"):
        np.testing.assert_array_equal(getattr(again, name), getattr(model, name), err_msg=name)


def test_parts_follow_one_another_and_cover_the_head(model: HeadModel):
    assert [part.name for part in model.parts] == [
        "skin", "mouth", "eye_left", "eye_right", "teeth_upper", "teeth_lower", "tongue", "lashes",
    ]  # fmt: skip
    ends = [(part.vertices, part.faces) for part in model.parts]
    for (vertices, faces), (next_vertices, next_faces) in itertools.pairwise(ends):
        assert vertices[1] == next_vertices[0] and faces[1] == next_faces[0]
    assert ends[-1] == ((ends[-1][0][0], len(model.vertices)), (ends[-1][1][0], len(model.quads)))


def test_the_head_is_a_head_in_metres_about_its_joint(model: HeadModel):
    low, high = model.vertices.min(axis=0), model.vertices.max(axis=0)
    assert 0.12 < high[1] < 0.17, "crown above the head joint"
    assert 0.15 < high[0] - low[0] < 0.20
    eyes = [model.vertices[slice(*model.part(f"eye_{side}").vertices)].mean(axis=0) for side in ("left", "right")]
    assert eyes[0][0] > 0.025 and eyes[1][0] < -0.025, "left is the subject's, +X"
    assert 0.055 < eyes[0][0] - eyes[1][0] < 0.068
    assert eyes[0][2] > 0.06, "the face looks along +Z"


def test_the_template_is_symmetric(model: HeadModel):
    assert (model.mirror[model.mirror] == np.arange(len(model.mirror))).all()
    np.testing.assert_allclose(model.vertices[model.mirror] * [-1, 1, 1], model.vertices, atol=2e-5)


def test_quads_face_outwards(model: HeadModel):
    corners = model.vertices[model.quads].astype(np.float64)
    normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    for part in ("skin", "eye_left", "eye_right", "tongue"):
        rows = slice(*model.part(part).faces)
        middle = corners[rows].mean(axis=1)
        outward = middle - middle.mean(axis=0)
        assert (np.einsum("fc,fc->f", normal[rows], outward) > 0).mean() > 0.7, part


def test_identity_directions_keep_the_joint_and_move_the_head(model: HeadModel):
    assert model.identity.shape == (len(model.identity_names), *model.vertices.shape)
    assert len(model.identity_names) > 300
    moved = np.abs(model.identity).max(axis=(1, 2))
    assert (moved > 1e-4).mean() > 0.95, "a few of the files move the body only"
    assert np.isfinite(model.identity).all()


def test_there_are_52_expressions_and_all_of_them_move_something(model: HeadModel):
    assert model.expressions.shape == (len(ARKIT_NAMES), *model.vertices.shape)
    assert len(ARKIT_NAMES) == 52
    assert (np.abs(model.expressions).max(axis=(1, 2)) > 1e-3).all()
