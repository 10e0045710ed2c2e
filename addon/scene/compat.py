# SPDX-License-Identifier: GPL-3.0-or-later
"""Every difference between the Blender versions that this add-on supports (4.2 to 5.2) lies here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy


def use_nodes(block: bpy.types.Material | bpy.types.World) -> bpy.types.NodeTree:
    """The node tree of a material or world; from Blender 5.0 it always has one and the switch is deprecated."""
    if bpy.app.version < (5, 0, 0):
        block.use_nodes = True
    assert block.node_tree is not None
    return block.node_tree


def eevee() -> str:
    """The name of the EEVEE engine."""
    return "BLENDER_EEVEE" if bpy.app.version >= (5, 0, 0) else "BLENDER_EEVEE_NEXT"


def has_denoiser() -> bool:
    """Whether this build of Cycles has Open Image Denoise; Debian's 4.3 lacks it and fails when asked."""
    try:
        import _cycles  # type: ignore[import-not-found]  # built into Blender
    except ImportError:
        return False
    return bool(_cycles.with_openimagedenoise)


def denoise_quickly(scene: bpy.types.Scene) -> None:
    """Sets Cycles to denoise on the processor, quickly, if this build can."""
    settings = scene.cycles
    settings.use_denoising = has_denoiser()
    if not settings.use_denoising:
        return
    settings.denoiser = "OPENIMAGEDENOISE"
    settings.denoising_input_passes = "RGB_ALBEDO_NORMAL"
    settings.denoising_prefilter = "FAST"


def operator_exists(path: str) -> bool:
    """Whether the operator `group.name` can be called; one of a disabled add-on cannot."""
    group, name = path.split(".")
    return name in dir(getattr(bpy.ops, group))


def import_fbx(path: Path) -> None:
    """Imports an FBX file into the active scene with whichever importer is faithful in this version.

    The C++ importer came with 4.5. The Python one of 5.0 fails on files with lights, and ours have none.
    """
    if bpy.app.version >= (4, 5, 0):
        bpy.ops.wm.fbx_import(filepath=str(path))
    else:
        bpy.ops.import_scene.fbx(filepath=str(path))


def new_action(owner: bpy.types.ID, name: str) -> bpy.types.Action:
    """A new action that `owner` plays from now on; one that it played before is kept in the file."""
    data = owner.animation_data or owner.animation_data_create()
    if data.action is not None:
        data.action.use_fake_user = True
    action = bpy.data.actions.new(name)
    if bpy.app.version < (4, 4, 0):
        action.id_root = owner.id_type
    data.action = action
    if bpy.app.version >= (4, 4, 0):
        data.action_slot = action.slots.new(owner.id_type, owner.name)
    return action


def action_curves(action: bpy.types.Action, owner: bpy.types.ID | None = None) -> list[bpy.types.FCurve]:
    """The animation curves of an action: those that `owner` plays, or those of every slot.

    Before 4.4 an action is one list of curves; since then it has one for every slot, and 5.0 has removed the old list.
    """
    if bpy.app.version < (4, 4, 0):
        return list(action.fcurves)
    bags = [bag for layer in action.layers for strip in layer.strips for bag in strip.channelbags]
    if owner is not None:
        slot = owner.animation_data.action_slot
        bags = [bag for bag in bags if slot is not None and bag.slot_handle == slot.handle]
    return [curve for bag in bags for curve in bag.fcurves]


def new_curve(action: bpy.types.Action, slot_type: str, path: str, index: int = 0, group: str = "") -> bpy.types.FCurve:
    """A new animation curve for property `path` of a data-block of `slot_type` (KEY, OBJECT)."""
    if bpy.app.version < (4, 4, 0):
        return action.fcurves.new(path, index=index, action_group=group)
    slot = next((each for each in action.slots if each.target_id_type == slot_type), None)
    slot = slot or action.slots.new(slot_type, action.name)
    layer = action.layers[0] if action.layers else action.layers.new("Layer")
    strip = layer.strips[0] if layer.strips else layer.strips.new(type="KEYFRAME")
    bag = strip.channelbag(slot, ensure=True)
    curve = bag.fcurves.new(path, index=index)
    if group:
        curve.group = bag.groups.get(group) or bag.groups.new(group)
    return curve


@contextmanager
def quiet(*descriptors: int) -> Iterator[None]:
    """Keeps the chatter of renderers and exporters out of the terminal, where progress is shown.

    They write to the process's own standard output (1, unless `descriptors` says otherwise), past `sys.stdout`. Without
    one (a window on Windows) there is nothing to keep out.
    """
    kept: list[tuple[int, int]] = []
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    try:
        for descriptor in descriptors or (1,):
            kept.append((descriptor, os.dup(descriptor)))
        nowhere = os.open(os.devnull, os.O_WRONLY)
    except OSError:
        for _, copy in kept:
            os.close(copy)
        yield
        return
    for descriptor, _ in kept:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        for descriptor, copy in kept:
            os.dup2(copy, descriptor)
            os.close(copy)


@contextmanager
def active_scene(scene: bpy.types.Scene) -> Iterator[None]:
    """Makes `scene` the one that operators work in, then gives the window its own scene back.

    Exporters switch the scene of the window themselves, so an override of the context alone would not hold.
    """
    manager = bpy.context.window_manager
    window = bpy.context.window or manager.windows[0]
    shown, layer = window.scene, window.view_layer.name
    window.scene = scene
    try:
        with bpy.context.temp_override(window=window, scene=scene, view_layer=scene.view_layers[0]):
            yield
    finally:
        window.scene = shown
        window.view_layer = shown.view_layers[layer]
