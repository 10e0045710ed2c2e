# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing the active head for an engine."""

from __future__ import annotations

from typing import ClassVar

import bpy

from ..data.engines import BY_IDENTIFIER, LOD_SHARES
from ..operators import export
from ..scene.heads import active_head
from .status import draw_text


class PORTRAITHEAD_PT_export(bpy.types.Panel):
    """Write the active head for a game engine"""

    bl_label = "Export"
    bl_idname = "PORTRAITHEAD_PT_export"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Portrait Head"
    bl_options: ClassVar = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return active_head(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        head = active_head(context)
        assert head is not None
        layout, settings = self.layout, context.scene.portrait_head_export
        engine = BY_IDENTIFIER[settings.engine]
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(settings, "engine")
        draw_text(layout, f"{engine.description}.")
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(settings, "texture_size")
        column.prop(settings, "lods")
        if settings.lods:
            shares = ", ".join(f"{share:.0%}" for share in LOD_SHARES[: settings.lods])
            where = "in the same file" if engine.lods_in_one_file else "a file each"
            draw_text(layout, f"{shares} of the triangles, {where}")
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        row = column.row()
        row.enabled = head.hair is not None
        row.prop(settings, "hair")
        column.prop(settings, "visemes")
        if name := export.writing():
            draw_text(layout, f"Writing {name}. Blender stands still until it is done, some seconds.", icon="TIME")
            return
        row = layout.row()
        row.scale_y = 1.3
        row.operator("portrait_head.export", text=f"Export {engine.kind.upper()}", icon="EXPORT")
