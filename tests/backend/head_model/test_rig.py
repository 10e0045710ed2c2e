from __future__ import annotations

import numpy as np
import pytest
from portrait_head.head_model import HeadModel
from scipy.spatial.transform import Rotation


def _ends(model: HeadModel, name: str) -> tuple[np.ndarray, np.ndarray]:
    bone = next(bone for bone in model.bones if bone.name == name)
    return model.vertices[list(bone.head)].mean(axis=0), model.vertices[list(bone.tail)].mean(axis=0)


def _turned(model: HeadModel, name: str, rotation: Rotation) -> np.ndarray:
    """[V, 3] the head with one bone and its children turned about the bone's head."""
    moving = {name}
    for bone in model.bones:
        if bone.parent in moving:
            moving.add(bone.name)
    indices = [index for index, bone in enumerate(model.bones) if bone.name in moving]
    share = (model.weights * np.isin(model.joints, indices)).sum(axis=1)[:, None]
    pivot, _ = _ends(model, name)
    return model.vertices + share * (rotation.apply(model.vertices - pivot) + pivot - model.vertices)


def test_bones_are_the_small_rig_parents_first(model: HeadModel):
    assert [(bone.name, bone.parent) for bone in model.bones] == [
        ("root", None), ("neck", "root"), ("head", "neck"), ("jaw", "head"), ("eye.L", "head"), ("eye.R", "head"),
    ]  # fmt: skip


def test_joints_stand_where_a_rigger_expects_them(model: HeadModel):
    neck, head_joint = _ends(model, "neck")
    np.testing.assert_allclose(head_joint, 0, atol=0.002)
    assert -0.12 < neck[1] < -0.08, "about 10 cm below the head joint"
    hinge, chin = _ends(model, "jaw")
    assert abs(hinge[1]) < 0.02 and 0 < hinge[2] < 0.03, "before the ear canal"
    assert chin[1] < -0.05 and chin[2] > 0.08, "at the chin"
    assert all(abs(_ends(model, bone)[end][0]) < 1e-6 for bone in ("root", "neck", "head", "jaw") for end in (0, 1))
    for bone, side in (("eye.L", "left"), ("eye.R", "right")):
        centre, pupil = _ends(model, bone)
        ball = model.vertices[slice(*model.part(f"eye_{side}").vertices)]
        radii = np.linalg.norm(ball - centre, axis=1)
        assert np.ptp(radii) < 0.001, "the pivot is the middle of the ball"
        assert pupil[2] - centre[2] > 0.9 * radii.mean(), "the bone points ahead"


def test_at_most_four_weights_that_sum_to_one(model: HeadModel):
    assert model.joints.shape == model.weights.shape == (len(model.vertices), 4)
    assert model.joints.min() >= 0 and model.joints.max() < len(model.bones)
    np.testing.assert_allclose(model.weights.sum(axis=1), 1, atol=1e-5)
    assert model.weights.min() >= 0


def test_weights_change_smoothly_over_the_skin(model: HeadModel):
    dense = np.zeros((len(model.vertices), len(model.bones)))
    np.add.at(dense, (np.arange(len(dense))[:, None], model.joints), model.weights)
    quads = model.quads[slice(*model.part("skin").faces)]
    step = np.abs(dense[quads] - dense[np.roll(quads, -1, axis=1)]).max(axis=(1, 2))
    assert np.quantile(step, 0.99) < 0.3


@pytest.mark.parametrize(("bone", "part"), [("eye.L", "eye_left"), ("eye.R", "eye_right"), ("jaw", "teeth_lower")])
def test_hard_parts_turn_as_one_piece(model: HeadModel, bone: str, part: str):
    turned = _turned(model, bone, Rotation.from_euler("y", 15, degrees=True))
    rows = slice(*model.part(part).vertices)
    before, after = model.vertices[rows], turned[rows]
    distances = [np.linalg.norm(points[:, None] - points[None], axis=2) for points in (before, after)]
    np.testing.assert_allclose(distances[0], distances[1], atol=1e-5)
    assert np.abs(after - before).max() > 0.002


def test_the_jaw_bone_opens_the_mouth(model: HeadModel):
    opened = _turned(model, "jaw", Rotation.from_euler("x", 20, degrees=True))
    lower, upper = model.regions["lips_lower"], model.regions["lips_upper"]
    assert (opened[lower, 1] - model.vertices[lower, 1]).min() < -0.02
    assert np.abs(opened[upper] - model.vertices[upper])[:, 1].mean() < 0.006
    teeth = slice(*model.part("teeth_upper").vertices)
    np.testing.assert_allclose(opened[teeth], model.vertices[teeth], atol=1e-6)


def test_bones_follow_a_longer_neck_and_other_eyes(model: HeadModel):
    coefficients = np.zeros(len(model.identity_names))
    coefficients[[name.startswith("neck-scale-vert-incr") for name in model.identity_names]] = 1.0
    head = model.identified(coefficients)
    bone = next(bone for bone in model.bones if bone.name == "root")
    assert head[list(bone.head)].mean(axis=0)[1] != model.vertices[list(bone.head)].mean(axis=0)[1]
