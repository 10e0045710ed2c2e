# SPDX-License-Identifier: GPL-3.0-or-later
"""How the 3D view shows a head. Nothing of it is changed unasked."""

from __future__ import annotations

import bpy

from ..ui.view import is_grey


class PORTRAITHEAD_OT_show_colours(bpy.types.Operator):
    """Show textures in the 3D views that are plain grey; the viewport shading menu calls it Texture"""

    bl_idname = "portrait_head.show_colours"
    bl_label = "Show Colours"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.screen is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        for area in context.screen.areas:
            if is_grey(area.spaces.active):
                area.spaces.active.shading.color_type = "TEXTURE"
        return {"FINISHED"}


CLASSES = (PORTRAITHEAD_OT_show_colours,)
