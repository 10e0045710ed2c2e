# SPDX-License-Identifier: GPL-3.0-or-later
"""The small armature of a head, and the weights that tie meshes to it."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np
from mathutils import Vector

from . import compat
from .asset import Bone, MeshArrays
from .axes import to_blender
from .steps import Steps

UP = Vector((0.0, 0.0, 1.0))
FRONT = Vector((0.0, -1.0, 0.0))


def build_armature(bones: Sequence[Bone], name: str, collection: bpy.types.Collection) -> bpy.types.Object:
    """An armature object in `collection`.

    Bones can only be made in edit mode. That happens in a scene of its own, so that the artist's mode, selection and
    active object stay what they are.
    """
    armature = bpy.data.objects.new(name, bpy.data.armatures.new(name))
    scene = bpy.data.scenes.new(name)
    try:
        scene.collection.objects.link(armature)
        with compat.active_scene(scene):
            bpy.context.view_layer.objects.active = armature
            bpy.ops.object.mode_set(mode="EDIT")
            for bone in bones:
                _add_bone(armature.data, bone)
            bpy.ops.object.mode_set(mode="OBJECT")
    finally:
        bpy.data.scenes.remove(scene)
    armature.data.display_type = "STICK"
    collection.objects.link(armature)
    return armature


def _add_bone(armature: bpy.types.Armature, bone: Bone) -> None:
    edit = armature.edit_bones.new(bone.name)
    edit.head, edit.tail = (Vector(to_blender(np.array(end))) for end in (bone.head, bone.tail))
    # Bones that point forwards (jaw, eyes) have Z up, upright ones have Z to the front: X turns every one of them
    # up and down.
    edit.align_roll(UP if abs(edit.vector.normalized().z) < 0.7 else FRONT)
    if bone.parent is not None:
        edit.parent = armature.edit_bones[bone.parent]


def bind(mesh: bpy.types.Object, armature: bpy.types.Object, bones: Sequence[Bone], arrays: MeshArrays) -> Steps[None]:
    """Vertex groups, the Armature modifier and the parent that make `armature` move `mesh`; a bone a step."""
    for index, bone in enumerate(bones):
        group = mesh.vertex_groups.new(name=bone.name)
        weights = np.where(arrays.joints == index, arrays.weights, 0.0).sum(axis=1)
        moved = np.flatnonzero(weights > 0.0)
        moved = moved[np.argsort(weights[moved], kind="stable")]
        # One call for each distinct weight instead of one for each vertex: most weights are exactly 1.
        for run in np.split(moved, np.flatnonzero(np.diff(weights[moved])) + 1):
            group.add(run.tolist(), float(weights[run].max(initial=0.0)), "REPLACE")
        yield
    modifier = mesh.modifiers.new(armature.name, "ARMATURE")
    modifier.object = armature
    mesh.parent = armature
