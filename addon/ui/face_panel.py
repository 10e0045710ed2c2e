# SPDX-License-Identifier: GPL-3.0-or-later
"""Sliders, expressions and recordings for the face of the active head."""

from __future__ import annotations

import bpy

from ..data.expressions import EXPRESSIONS, VISEMES, FacePreset
from ..data.face_regions import REGIONS, Control, matching, words
from ..scene.face_controls import key_blocks
from ..scene.heads import active_head
from .status import draw_text
from .view import is_grey

FOLDED = ("nose", "cheek", "tongue")
"""Regions that start folded: few keys, seldom moved."""
COLUMNS = 3
NAME_SHARE = 0.36
"""Of a row's width, for the name of the movement."""

Blocks = dict[str, bpy.types.ShapeKey]


class PORTRAITHEAD_PT_face(bpy.types.Panel):
    """Pose and animate the face of the active head"""

    bl_label = "Face"
    bl_idname = "PORTRAITHEAD_PT_face"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Portrait Head"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return active_head(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        head = active_head(context)
        assert head is not None
        layout, view = self.layout, context.window_manager.portrait_head
        row = layout.row()
        row.label(text=head.collection.name, icon="USER")
        if is_grey(context.space_data):
            row.operator("portrait_head.show_colours", icon="TEXTURE")
        _draw_presets(layout, view)
        row = layout.row(align=True)
        row.operator_menu_enum("portrait_head.face_mirror", "way", text="Mirror", icon="MOD_MIRROR")
        row.operator("portrait_head.face_reset", text="Reset", icon="LOOP_BACK")
        _draw_sliders(layout, view, key_blocks(head))
        _draw_animation(layout)


def _draw_presets(layout: bpy.types.UILayout, view: bpy.types.PropertyGroup) -> None:
    header, body = layout.panel("portrait_head_presets")
    header.label(text="Expressions")
    if body is None:
        return
    body.prop(view, "strength", slider=True)
    _draw_buttons(body, EXPRESSIONS, view.strength, COLUMNS - 1)
    header, body = layout.panel("portrait_head_visemes", default_closed=True)
    header.label(text="Visemes")
    if body is not None:
        _draw_buttons(body, VISEMES, view.strength, COLUMNS)


def _draw_buttons(layout: bpy.types.UILayout, presets: tuple[FacePreset, ...], strength: float, columns: int) -> None:
    grid = layout.grid_flow(row_major=True, columns=columns, even_columns=True, align=True)
    for preset in presets:
        button = grid.operator("portrait_head.face_preset", text=preset.label)
        button.preset, button.strength = preset.identifier, strength


def _draw_sliders(layout: bpy.types.UILayout, view: bpy.types.PropertyGroup, blocks: Blocks) -> None:
    header, body = layout.panel("portrait_head_sliders")
    header.label(text="Sliders")
    if body is None:
        return
    body.prop(view, "search", text="", icon="VIEWZOOM", placeholder="Search")
    if view.search.strip():
        found = matching(view.search, blocks)
        column = body.column(align=True)
        for name in found:
            column.prop(blocks[name], "value", text=words(name), slider=True)
        if not found:
            draw_text(body, f"No slider is called “{view.search.strip()}”")
        return
    for region in REGIONS:
        header, inside = body.panel(f"portrait_head_{region.identifier}", default_closed=region.identifier in FOLDED)
        header.label(text=region.label)
        header.operator("portrait_head.face_reset", text="", icon="LOOP_BACK", emboss=False).region = region.identifier
        if inside is not None:
            column = inside.column(align=True)
            if any(len(control.names) > 1 for control in region.controls):
                _draw_sides(column)
            for control in region.controls:
                _draw_control(column, control, blocks)
    own = [block for name, block in blocks.items() if not any(name in region.names for region in REGIONS)]
    if own:
        header, inside = body.panel("portrait_head_own", default_closed=True)
        header.label(text="Your Own")
        if inside is not None:
            column = inside.column(align=True)
            for block in own:
                column.prop(block, "value", text=block.name, slider=True)


def _draw_sides(column: bpy.types.UILayout) -> None:
    """Which slider is whose: the person's left is on the right of the screen, so it has to be said."""
    row = column.split(factor=NAME_SHARE, align=True)
    row.label(text="")
    sides = row.row(align=True)
    for side in ("Left", "Right"):
        sides.label(text=side)


def _draw_control(column: bpy.types.UILayout, control: Control, blocks: Blocks) -> None:
    """One row: the movement's name, then its slider, or the sliders of both sides."""
    row = column.split(factor=NAME_SHARE, align=True)
    row.label(text=control.label)
    sliders = row.row(align=True)
    for name in control.names:
        if name in blocks:
            sliders.prop(blocks[name], "value", text="", slider=True)


def _draw_animation(layout: bpy.types.UILayout) -> None:
    header, body = layout.panel("portrait_head_animation", default_closed=True)
    header.label(text="Animation")
    if body is None:
        return
    body.label(text="Keyframes at this frame")
    row = body.row(align=True)
    row.operator("portrait_head.face_key", text="Changed", icon="KEY_HLT").scope = "CHANGED"
    row.operator("portrait_head.face_key", text="All", icon="KEYINGSET").scope = "ALL"
    body.operator("portrait_head.import_live_link", icon="IMPORT")
    column = body.column(align=True)
    column.operator("portrait_head.keep_pose_asset", icon="ASSET_MANAGER")
    column.operator("portrait_head.make_pose_assets", icon="ASSET_MANAGER")
