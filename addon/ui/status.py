# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows that tell how things stand: the backend, a running head, the last error."""

from __future__ import annotations

import textwrap

import bpy

from ..client.errors import ClientError
from ..operators import jobs

PIXELS_A_LETTER = 7  # of Blender's interface font at 100 %, a little wide so that no word is cut
MARGIN = 40  # pixels of a box's border and an icon
SHORTEST = 20  # letters


def draw_backend(layout: bpy.types.UILayout) -> None:
    """Whether there is a backend and what it is doing; where it is missing, how to get one."""
    found = jobs.find(bpy.context)
    if isinstance(found, ClientError):
        box = layout.box()
        draw_text(box, found.message, icon="ERROR")
        draw_text(box, found.hint)
        box.operator("portrait_head.find_backend", icon="FILE_REFRESH")
        return
    state = jobs.backend_state().value
    device = f" on {jobs.device()}" if jobs.device() else ""
    draw_text(layout, f"Backend {found.found}: {state}{device}", icon="CHECKMARK")


def draw_progress(layout: bpy.types.UILayout, status: jobs.Status) -> None:
    """The bar of the running head and its Cancel button."""
    remaining = f", {status.eta_s:.0f} s left" if status.eta_s is not None else ""
    layout.progress(factor=status.fraction, text=f"{status.fraction:.0%}{remaining}")
    draw_text(layout, status.stage.capitalize())
    layout.operator("portrait_head.cancel", icon="X")


def draw_error(layout: bpy.types.UILayout, error: ClientError) -> None:
    """What went wrong with the last head and what to do."""
    box = layout.box()
    draw_text(box, error.message, icon="INFO" if error.kind == "cancelled" else "ERROR")
    draw_text(box, error.hint)
    if error.kind != "cancelled":
        box.operator("portrait_head.open_log", icon="TEXT")


def draw_text(layout: bpy.types.UILayout, text: str, icon: str = "NONE") -> None:
    """A sentence over as many rows as the region's width asks for; Blender's own labels cut it off."""
    region = bpy.context.region
    scale = bpy.context.preferences.system.ui_scale
    width = (region.width / scale if region else 300) - MARGIN
    column = layout.column(align=True)
    column.scale_y = 0.8
    for number, line in enumerate(textwrap.wrap(text, max(SHORTEST, int(width / PIXELS_A_LETTER)))):
        column.label(text=line, icon=icon if number == 0 else ("BLANK1" if icon != "NONE" else "NONE"))
