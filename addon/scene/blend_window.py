# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by a Blender of its own: saves a file again with a window that shows the head.

A file of data-blocks alone opens with whatever view the artist had, where a head of 25 cm is a speck. The window can
only be set up in a session that shows the file, and that must not be the artist's.

Usage: blender --background --factory-startup --python blend_window.py -- SOURCE TARGET
"""

from __future__ import annotations

import os
import sys
import traceback
from types import TracebackType
from typing import NoReturn

import bpy
from mathutils import Quaternion

FRONT = Quaternion((0.7071068, 0.7071068, 0.0, 0.0))
"""Looking along +Y with Z up."""


def main(source: str, target: str) -> None:
    """Opens `source`, points every 3D view at its head and saves it as `target`."""
    bpy.ops.wm.open_mainfile(filepath=source, load_ui=False)
    camera = bpy.context.scene.camera
    pivot = camera.parent
    for item in bpy.context.scene.objects:
        item.select_set(False)
    for screen in bpy.data.screens:
        for space in (space for area in screen.areas for space in area.spaces if space.type == "VIEW_3D"):
            view = space.region_3d
            view.view_perspective = "PERSP"
            view.view_location, view.view_rotation, view.view_distance = pivot.location, FRONT, camera.location.length
            space.lens = camera.data.lens
            space.clip_start = 0.01
            space.shading.type = "MATERIAL"
            overlay = space.overlay
            overlay.show_extras = overlay.show_relationship_lines = overlay.show_cursor = False
    bpy.ops.wm.save_as_mainfile(filepath=target, compress=True, relative_remap=False)


def leave(status: int) -> NoReturn:
    """Ends the process at once: some builds of bpy crash or hang in Python's own clean-up."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def fail(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> NoReturn:
    """Reports an uncaught error; its last line is what the caller shows."""
    traceback.print_exception(kind, error, trace)
    leave(1)


if __name__ == "__main__":
    sys.excepthook = fail
    main(*sys.argv[sys.argv.index("--") + 1 :])
    leave(0)
