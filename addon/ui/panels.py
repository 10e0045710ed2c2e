# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel in the sidebar of the 3D view."""

from __future__ import annotations

import bpy

from ..operators import jobs
from .status import draw_backend, draw_error, draw_progress, draw_text


class PORTRAITHEAD_PT_main(bpy.types.Panel):
    """From a photo to a head"""

    bl_label = "Portrait Head"
    bl_idname = "PORTRAITHEAD_PT_main"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Portrait Head"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        settings = context.scene.portrait_head
        status = jobs.status

        column = layout.column()
        column.enabled = not status.running
        column.prop(settings, "photo", text="", placeholder="Photo")
        options = column.column(align=True)
        options.use_property_split = True
        options.use_property_decorate = False
        for name in ("preset", "texture_size", "face", "seed"):
            options.prop(settings, name)

        if status.running:
            draw_progress(layout, status)
        else:
            row = layout.row()
            row.scale_y = 1.5
            row.operator("portrait_head.generate", icon="USER")
        if status.error is not None:
            draw_error(layout, status.error)
        for message in status.warnings:
            draw_text(layout, message, icon="ERROR")
        draw_backend(layout)
