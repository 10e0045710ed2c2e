# SPDX-License-Identifier: GPL-3.0-or-later
"""From a photo to a head: the first panel in the sidebar of the 3D view."""

from __future__ import annotations

from typing import ClassVar

import bpy

from ..job_records import place_in_words
from ..operators import jobs
from .status import draw_backend, draw_error, draw_progress, draw_text
from .thumbnails import icon

PHOTO_SCALE = 6.0
"""Of the photo's thumbnail, in button heights."""

NEEDS = {
    "embedded": "Runs on any computer, nothing to download.",
    "diffusion": "Needs an NVIDIA graphics card and model packs, see the preferences.",
}
"""What each method asks of the computer."""


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
        draw_backend(layout)
        if status.running:
            if not status.preview:
                _draw_picture(layout, settings)
            draw_progress(layout, status)
            return
        _draw_picture(layout, settings)
        _draw_photo(layout, settings)
        _draw_choices(layout, settings)
        _draw_generate(layout, context)
        if status.error is not None:
            draw_error(layout, status.error)
        else:
            for message in status.warnings:
                draw_text(layout, message, icon="INFO")


class PORTRAITHEAD_PT_history(bpy.types.Panel):
    """Heads that were made before"""

    bl_label = "Earlier Heads"
    bl_idname = "PORTRAITHEAD_PT_history"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Portrait Head"
    bl_options: ClassVar = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        records = jobs.records()
        if not records:
            layout.label(text="None yet", icon="INFO")
        for record in records:
            row = layout.row(align=True)
            row.enabled = not jobs.status.running
            row.label(text=record.photo.stem, icon="USER" if record.finished else "TIME")
            if record.finished:
                row.operator("portrait_head.reimport", text="", icon="IMPORT").job = record.folder.name
                row.operator("portrait_head.retexture", text="", icon="TEXTURE").job = record.folder.name
                row.operator("portrait_head.variation", text="", icon="FILE_REFRESH").job = record.folder.name
            row.operator("portrait_head.open_job", text="", icon="FILE_FOLDER").job = record.folder.name
        layout.operator("portrait_head.import_head", icon="FILE_FOLDER")


def _draw_picture(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
    if picture := icon(settings.photo_path()):
        layout.template_icon(icon_value=picture, scale=PHOTO_SCALE)


def _draw_photo(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
    layout.prop(settings, "photo", text="", placeholder="Choose or drop a photo")
    faces = jobs.faces(settings.photo_path())
    if len(faces) > 1:
        layout.label(text=f"{len(faces)} faces in this photo, largest first")
        grid = layout.grid_flow(row_major=True, columns=2, even_columns=True, align=True)
        for index in range(len(faces)):
            text = f"{index + 1}: {place_in_words(faces, index)}"
            chosen = settings.face == index + 1
            grid.operator("portrait_head.choose_face", text=text, depress=chosen).face = index + 1


def _draw_choices(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
    layout.row(align=True).prop(settings, "preset", expand=True)
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    column.prop(settings, "tier")
    draw_text(layout, NEEDS[settings.tier])
    header, body = layout.panel("portrait_head_settings", default_closed=True)
    header.label(text="Settings")
    if body is None:
        return
    body.use_property_split = True
    body.use_property_decorate = False
    names = ["texture_size", "delight", "hair", "seed"]
    if settings.tier == "diffusion":
        names.append("prompt")
    if len(jobs.faces(settings.photo_path())) < 2:
        names.append("face")
    for name in names:
        body.prop(settings, name)


def _draw_generate(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    row = layout.row()
    row.scale_y = 1.5
    row.operator("portrait_head.generate", icon="USER")
    if reason := jobs.why_not(context):
        draw_text(layout, reason, icon="INFO")
