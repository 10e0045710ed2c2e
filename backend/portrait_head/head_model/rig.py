"""The small rig of the MakeHuman head: six bones, made from the 60 of MakeHuman's default rig that touch the head."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from portrait_head.head_model.model import Bone, Part

# Bones of MakeHuman's rig that ours keeps; every other one counts to its nearest kept ancestor.
KEPT = {"neck01": "neck", "neck02": "neck", "neck03": "neck", "head": "head", "jaw": "jaw"}
# Parts without soft tissue move with one bone.
RIGID = {
    "eye_left": "eye.L",
    "eye_right": "eye.R",
    "teeth_upper": "head",
    "teeth_lower": "jaw",
    "tongue": "jaw",
    "lashes": "head",
}
BONE_ORDER = ("root", "neck", "head", "jaw", "eye.L", "eye.R")
MAX_INFLUENCES = 4

# A joint inside the head is the mean of so many vertices of the skin around it, at most so much higher or lower.
JOINT_VERTICES = 16
JOINT_BAND = 0.012
PUPIL_VERTICES = 8  # corners of the octagon round the pupil


def read_weights(folder: Path, index: np.ndarray, parts: tuple[Part, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Joints [V, 4] int32 into `BONE_ORDER` and weights [V, 4] float32 that sum to 1.

    Args:
        folder: with MakeHuman's rig.default.json and weights.default.json.
        index: our vertex of each vertex of the base mesh, -1 for none.
        parts: of the head.
    """
    rig = json.loads((folder / "rig.default.json").read_text(encoding="utf-8"))
    table = json.loads((folder / "weights.default.json").read_text(encoding="utf-8"))["weights"]
    dense = np.zeros((parts[-1].vertices[1], len(BONE_ORDER)))
    for bone, pairs in table.items():
        if not pairs:
            continue
        kept = bone
        while kept and kept not in KEPT:
            kept = rig[kept]["parent"]
        rows = np.array(pairs)
        at = index[rows[:, 0].astype(int)]
        np.add.at(dense[:, BONE_ORDER.index(KEPT.get(kept, "root"))], at[at >= 0], rows[at >= 0, 1])
    for part in parts:
        if part.name in RIGID:
            dense[slice(*part.vertices)] = np.eye(len(BONE_ORDER))[BONE_ORDER.index(RIGID[part.name])]
    joints = np.argsort(-dense, axis=1, kind="stable")[:, :MAX_INFLUENCES].astype(np.int32)
    weights = np.take_along_axis(dense, joints, axis=1)
    weights /= weights.sum(axis=1, keepdims=True)
    return joints, weights.astype(np.float32)


def make_bones(
    vertices: np.ndarray,
    parts: tuple[Part, ...],
    regions: dict[str, np.ndarray],
    mirror: np.ndarray,
    neck: np.ndarray,
    jaw: np.ndarray,
) -> tuple[Bone, ...]:
    """Bones whose ends are means of vertices, so that they follow every identity.

    Args:
        vertices: [V, 3] template; the head joint is the origin.
        parts: of the head.
        regions: of the head.
        mirror: [V] the vertex on the other side.
        neck: [3] the joint at the root of the neck.
        jaw: [3] the hinge of the jaw.
    """
    ears = np.concatenate([regions["ear_left"], regions["ear_right"]])
    hidden = np.concatenate([regions["eye_socket_left"], regions["eye_socket_right"]])
    skin = np.setdiff1d(np.arange(*next(part for part in parts if part.name == "skin").vertices), np.r_[ears, hidden])
    neck_joint = _around(neck, vertices, skin, mirror)
    head_joint = _around(np.zeros(3), vertices, skin, mirror)
    midline = skin[np.abs(vertices[skin, 0]) < 1e-6]
    profile = np.intersect1d(midline, regions["face"])
    crown = (int(midline[np.argmax(vertices[midline, 1])]),)
    # The chin is where the face turns under: the midline's farthest point forward and down.
    chin = (int(profile[np.argmax(vertices[profile] @ [0.0, -1.0, 1.0])]),)
    bones = [
        Bone("root", None, tuple(regions["rim"].tolist()), neck_joint),
        Bone("neck", "root", neck_joint, head_joint),
        Bone("head", "neck", head_joint, crown),
        Bone("jaw", "head", _around(jaw, vertices, skin, mirror), chin),
    ]
    for bone, name in (("eye.L", "eye_left"), ("eye.R", "eye_right")):
        ball = np.arange(*next(part for part in parts if part.name == name).vertices)
        ahead = ball[np.argsort(-vertices[ball, 2], kind="stable")]
        bones.append(Bone(bone, "head", tuple(ball.tolist()), tuple(ahead[:PUPIL_VERTICES].tolist())))
    return tuple(bones)


def _around(joint: np.ndarray, vertices: np.ndarray, skin: np.ndarray, mirror: np.ndarray) -> tuple[int, ...]:
    """Vertices whose mean is a joint on the midline: mirrored pairs, each the one that brings the mean nearest."""
    band = skin[np.abs(vertices[skin, 1] - joint[1]) < JOINT_BAND]
    pairs = band[vertices[band, 0] >= 0]
    middles = (vertices[pairs] + vertices[mirror[pairs]]) / 2
    chosen: list[int] = []
    total = np.zeros(3)
    while len(chosen) < JOINT_VERTICES:
        means = (total + middles * 2) / (len(chosen) + 2)
        best = int(np.argmin(np.linalg.norm(means - joint, axis=1)))
        total = total + middles[best] * 2
        chosen += [int(pairs[best]), int(mirror[pairs[best]])]
    return tuple(chosen)
