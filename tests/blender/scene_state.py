# SPDX-License-Identifier: GPL-3.0-or-later
"""A description of everything in a Blender file that an artist would notice if it changed."""

from __future__ import annotations

from typing import Any

import bpy

KINDS = (
    *("scenes", "collections", "objects", "meshes", "armatures", "materials", "images", "cameras", "lights"),
    *("curves", "worlds", "actions", "texts", "libraries", "shape_keys", "node_groups", "workspaces", "screens"),
)


def describe() -> dict[str, Any]:
    """Names, users, transforms, modes, selection, key values, pixels: plain values that can be compared."""
    bpy.context.view_layer.update()
    state: dict[str, Any] = {kind: {each.name: each.users for each in getattr(bpy.data, kind)} for kind in KINDS}
    # Blender 4.2 counts the users of what a material holds wrong when that is copied and removed, until it saves.
    for kind in ("images", "node_groups"):
        state[kind] = sorted(state[kind])
    state["identity"] = {each.name: each.session_uid for each in bpy.data.objects}
    for each in bpy.data.objects:
        state[f"object {each.name}"] = (
            tuple(map(tuple, each.matrix_world)),
            each.mode,
            each.select_get() if each.name in bpy.context.view_layer.objects else None,
            each.hide_viewport,
            each.parent.name if each.parent else None,
            each.data.name if each.data else None,
            [(modifier.name, modifier.type) for modifier in each.modifiers],
            [slot.material.name if slot.material else None for slot in each.material_slots],
        )
    for keys in bpy.data.shape_keys:
        state[f"keys {keys.name}"] = [(key.name, key.value, key.mute) for key in keys.key_blocks]
    for image in bpy.data.images:
        state[f"image {image.name}"] = (image.filepath, image.packed_file is not None, image.is_dirty)
    active = bpy.context.view_layer.objects.active
    state["context"] = (
        bpy.context.scene.name,
        bpy.context.view_layer.name,
        bpy.context.mode,
        active.name if active else None,
        bpy.context.window_manager.windows[0].scene.name,
    )
    return state


def make_busy_scene() -> None:
    """What an artist may be in the middle of: objects with the names we use, a selection, edit mode."""
    for name in ("Sample", "Sample Hair", "Armature", "Camera", "Studio"):
        bpy.ops.mesh.primitive_cube_add(size=0.1)
        bpy.context.object.name = bpy.context.object.data.name = name
        material = bpy.data.materials.new(f"{name} skin")
        bpy.context.object.data.materials.append(material)
    bpy.data.images.new("Sample skin", 4, 4)
    bpy.data.collections.new("Sample").use_fake_user = True
    bpy.data.scenes.new("Sample")
    bpy.ops.object.mode_set(mode="EDIT")
