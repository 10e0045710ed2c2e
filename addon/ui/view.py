# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist looks at: the sidebar that tells of progress, and the new head in the 3D view."""

from __future__ import annotations

from collections.abc import Iterator

import bpy


def redraw(context: bpy.types.Context) -> None:
    """Have the sidebars of all 3D views drawn again."""
    for window in context.window_manager.windows:
        for _, region in _regions(window, "UI"):
            region.tag_redraw()


def show(context: bpy.types.Context, item: bpy.types.Object) -> None:
    """Select `item` and bring it into view: a life-size head is easily lost in a scene, or inside the default cube.

    Somebody who is editing or sculpting something else is left in peace.
    """
    if context.window is None or context.mode != "OBJECT":
        return
    for other in context.selected_objects:
        other.select_set(False)
    item.select_set(True)
    context.view_layer.objects.active = item
    for area, region in _regions(context.window, "WINDOW"):
        with context.temp_override(area=area, region=region):
            bpy.ops.view3d.view_selected()


def is_grey(space: bpy.types.Space | None) -> bool:
    """Whether this is a 3D view that shows everything in the plain grey which Blender starts with."""
    if space is None or space.type != "VIEW_3D":
        return False
    return space.shading.type == "SOLID" and space.shading.color_type == "MATERIAL"


def _regions(window: bpy.types.Window, kind: str) -> Iterator[tuple[bpy.types.Area, bpy.types.Region]]:
    for area in window.screen.areas:
        if area.type == "VIEW_3D":
            for region in area.regions:
                if region.type == kind:
                    yield area, region
