# SPDX-License-Identifier: GPL-3.0-or-later
"""From a photo to a head: the first panel in the sidebar of the 3D view."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import bpy

from ..client.photo_faces import place_in_words
from ..client.request import TIERS, HeadSettings
from ..job_records import JobRecord
from ..operators import job_folders, jobs, looking
from ..scene.heads import active_head
from ..scene.importer import made_in
from .status import draw_backend, draw_error, draw_progress, draw_text, draw_words
from .thumbnails import icon

PHOTO_SCALE = 6.0
"""Of the photo's thumbnail, in button heights."""
FACE_SCALE = 3.0
"""Of a face's."""
FACES_SHOWN = 9
"""The largest; the crowd behind them can be chosen by number."""
FACE_COLUMNS = 3

NEEDS = {
    "embedded": "Runs on any computer, nothing to download.",
    "diffusion": "Needs an NVIDIA graphics card and model packs, see the preferences.",
}
"""What each method asks of the computer."""
QUALITIES = {"quick": "Quick", "standard": "Standard", "high": "High"}


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
        records = job_folders.records()
        if not records:
            layout.label(text="None yet", icon="INFO")
        head = active_head(context)
        shown = made_in(head) if head is not None else ""
        for photo in dict.fromkeys(record.photo for record in records):
            box = layout.box()
            box.enabled = not jobs.status.running
            box.label(text=photo.stem, icon_value=icon(str(photo)))
            column = box.column(align=True)
            for record in records:
                if record.photo == photo:
                    _draw_record(column.row(align=True), record, record.folder.name == shown)
        layout.operator("portrait_head.import_head", icon="FILE_FOLDER")


def _draw_record(row: bpy.types.UILayout, record: JobRecord, shown: bool) -> None:
    """An earlier head in a row; `shown` is the one that is selected in the scene and can be painted anew."""
    row.label(text=in_words(record.settings), icon="USER" if record.finished else "TIME")
    buttons = [("open_job", "FILE_FOLDER")]
    if record.finished:
        buttons = [("reimport", "IMPORT"), ("retexture", "TEXTURE"), ("variation", "FILE_REFRESH"), *buttons]
    for name, picture in buttons:
        one = row.row(align=True)
        one.enabled = shown or name != "retexture"
        one.operator(f"portrait_head.{name}", text="", icon=picture).job = record.folder.name


def in_words(settings: HeadSettings) -> str:
    """What sets an earlier head apart from others of the same photo, short enough for a row."""
    words = [QUALITIES.get(settings.preset, settings.preset)]
    if settings.tier == "diffusion":
        words.append("diffusion")
    if (settings.face or 1) > 1:
        words.append(f"face {settings.face}")
    if settings.hair == "none":
        words.append("no hair")
    if settings.initial_mesh:
        words.append(f"from {Path(settings.initial_mesh).name}")
    if settings.style:
        words.append(settings.style)
    if settings.seed:
        words.append(f"no. {settings.seed}")
    return ", ".join(words)


def _draw_picture(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
    if picture := icon(settings.photo_path()):
        layout.template_icon(icon_value=picture, scale=PHOTO_SCALE)


def _draw_photo(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
    layout.prop(settings, "photo", text="", placeholder="Choose or drop a photo")
    look = looking.seen(settings.photo_path())
    if len(look.faces) > 1:
        _draw_faces(layout, settings, look)
    told = jobs.status.error.message if jobs.status.error is not None else ""
    if look.error is not None and look.error.message != told:
        draw_text(layout, f"{look.error.message} {look.error.hint}", icon="ERROR")
    for face in look.faces[settings.face - 1 : settings.face]:
        if face.trouble:
            draw_text(layout, face.trouble, icon="ERROR")
        for warning in face.warnings:
            draw_text(layout, warning, icon="INFO")


def _draw_faces(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup, look: looking.Look) -> None:
    layout.label(text=f"Whose head? {len(look.faces)} faces, largest first")
    shown = range(min(len(look.faces), FACES_SHOWN))
    pictures = [icon(path) for path in look.pictures] or [0] * len(look.faces)
    columns = min(FACE_COLUMNS, len(shown)) if any(pictures) else 2
    grid = layout.grid_flow(row_major=True, columns=columns, even_columns=True, align=True)
    for index in shown:
        cell = grid.column(align=True)
        if pictures[index]:
            cell.template_icon(icon_value=pictures[index], scale=FACE_SCALE)
        chosen = settings.face == index + 1
        place = place_in_words(look.faces, index)
        text = place[0].upper() + place[1:]
        sign = "ERROR" if look.faces[index].trouble else "NONE"
        cell.operator("portrait_head.choose_face", text=text, icon=sign, depress=chosen).face = index + 1
    if len(look.faces) > FACES_SHOWN:
        layout.prop(settings, "face")


def _draw_choices(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
    layout.row(align=True).prop(settings, "preset", expand=True)
    _draw_tier(layout, settings)
    header, body = layout.panel("portrait_head_settings", default_closed=True)
    header.label(text="Settings")
    if body is None:
        return
    body.use_property_split = True
    body.use_property_decorate = False
    names = ["texture_size", "delight", "hair", "initial_mesh", "seed"]
    if not looking.seen(settings.photo_path()).faces:
        names.append("face")
    for name in names:
        body.prop(settings, name)
    draw_words(body, settings, ("prompt", "style"), settings.tier == "diffusion")


def _draw_tier(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
    row = layout.row(align=True)
    for tier in TIERS:
        one = row.row(align=True)
        one.enabled = jobs.tier_refusal(tier) is None
        one.prop_enum(settings, "tier", tier)
    refused = jobs.tier_refusal("diffusion")
    if refused is None:
        draw_text(layout, NEEDS[settings.tier])
        return
    draw_text(layout, refused.reason, icon="INFO")
    if settings.tier == "diffusion":
        draw_text(layout, refused.hint)
        layout.operator("portrait_head.find_backend", icon="FILE_REFRESH")


def _draw_generate(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    row = layout.row()
    row.scale_y = 1.5
    row.operator("portrait_head.generate", icon="USER")
    if reason := jobs.why_not(context):
        draw_text(layout, reason, icon="INFO")
