# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts a recorded performance on a head: shape keys, head bone and, if wanted, eye bones."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Euler, Quaternion

from ..data.face_regions import region_of
from . import compat
from .face_controls import key_blocks
from .importer import ImportedHead
from .live_link import Recording

LINEAR = 1  # the number of that interpolation in `Keyframe.interpolation`
GAZE = "eyeLook"
BONES = {"Head": "head", "LeftEye": "eye.L", "RightEye": "eye.R"}


@dataclass(frozen=True)
class Performance:
    """What was made.

    Attributes:
        first: frame of the first keyframe.
        last: frame of the last one.
        keys: shape keys that were animated.
        missing: recorded keys that the head does not have.
        bones: bones that were animated.
    """

    first: int
    last: int
    keys: tuple[str, ...]
    missing: tuple[str, ...]
    bones: tuple[str, ...]


def apply_recording(
    head: ImportedHead,
    recording: Recording,
    name: str,
    start: int,
    fps: float,
    head_motion: float = 1.0,
    eyes_by_bones: bool = False,
) -> Performance:
    """Animates `head` with `recording`, one keyframe every frame of the scene.

    Args:
        head: the head.
        recording: what was captured.
        name: of the new actions. Actions that the head played before are kept in the file.
        start: frame of the first sample.
        fps: frames a second of the scene; a recording at another rate is resampled, so it lasts as long as it did.
        head_motion: factor on the angles of the head; 0 leaves the bone alone.
        eyes_by_bones: turn the eye bones by the recorded angles instead of the gaze keys, which turn the eyes and
            move the lids with them. Both at once would turn the eyes twice.
    """
    frames = np.arange(int(np.floor(recording.seconds[-1] * fps + 1e-6)) + 1)
    sampled = recording.at(frames / fps)
    frames = frames + start
    blocks = key_blocks(head)
    played = {each: values for each, values in sampled.weights.items() if not (eyes_by_bones and each.startswith(GAZE))}
    keys = tuple(each for each in played if each in blocks)
    shapes = compat.new_action(head.head.data.shape_keys, f"{name} Face")
    for each in keys:
        region = region_of(each)
        path = f"{blocks[each].path_from_id()}.value"
        curve = compat.new_curve(shapes, "KEY", path, group=region.label if region else "")
        _fill(curve, frames, played[each])
    if eyes_by_bones:
        for each in blocks:
            if each.startswith(GAZE):
                blocks[each].value = 0.0

    factors = {"Head": head_motion}
    if eyes_by_bones:
        factors |= {"LeftEye": 1.0, "RightEye": 1.0}
    turned = [each for each, factor in factors.items() if factor and each in sampled.angles]
    turned = [each for each in turned if BONES[each] in head.armature.pose.bones]
    if turned:
        motion = compat.new_action(head.armature, f"{name} Head")
        for each in turned:
            bone = head.armature.pose.bones[BONES[each]]
            _turn(motion, bone, frames, sampled.angles[each] * factors[each])
    missing = tuple(each for each in played if each not in blocks)
    return Performance(int(frames[0]), int(frames[-1]), keys, missing, tuple(BONES[each] for each in turned))


def _turn(action: bpy.types.Action, bone: bpy.types.PoseBone, frames: np.ndarray, angles: np.ndarray) -> None:
    """Curves that turn `bone` by `angles` [T, 3] in the space of the head, whatever way the bone itself points."""
    if bone.rotation_mode == "AXIS_ANGLE":
        bone.rotation_mode = "QUATERNION"
    rest = bone.bone.matrix_local.to_quaternion()
    values, last = [], Quaternion()
    for yaw, pitch, roll in angles:
        # Blender's head looks along -Y with Z up and its left at +X: left is +Z, up is -X, towards the left shoulder
        # is +Y. Roll is done first and yaw last.
        turn = Euler((-pitch, roll, yaw), "YXZ").to_quaternion()
        local = rest.inverted() @ turn @ rest
        local.make_compatible(last)
        last = local
        values.append(tuple(local) if bone.rotation_mode == "QUATERNION" else tuple(local.to_euler(bone.rotation_mode)))
    columns = np.array(values)
    if bone.rotation_mode != "QUATERNION":
        columns = np.unwrap(columns, axis=0)
    kind = "rotation_quaternion" if bone.rotation_mode == "QUATERNION" else "rotation_euler"
    for index, column in enumerate(columns.T):
        curve = compat.new_curve(action, "OBJECT", f"{bone.path_from_id()}.{kind}", index, bone.name)
        _fill(curve, frames, column)


def _fill(curve: bpy.types.FCurve, frames: np.ndarray, values: np.ndarray) -> None:
    """Keyframes in bulk: inserted one by one, a minute of performance would take minutes."""
    curve.keyframe_points.add(len(frames))
    curve.keyframe_points.foreach_set("co", np.stack([frames, values], axis=1).astype(np.float32).ravel())
    curve.keyframe_points.foreach_set("interpolation", np.full(len(frames), LINEAR))
    curve.update()
