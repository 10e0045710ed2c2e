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


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps the chatter of renderers and exporters out of the terminal, where progress is shown.

    They write to the process's own standard output, past `sys.stdout`. Without one (a window on Windows) there is
    nothing to keep out.
    """
    try:
        sys.stdout.flush()
        kept = os.dup(1)
    except (OSError, AttributeError):
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


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
