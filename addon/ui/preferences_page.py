# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's page in Blender's preferences."""

from __future__ import annotations

import bpy

from ..client.backend import STATE_FILE
from ..operators import jobs
from ..packs import Pack
from .status import draw_backend, draw_text

WIDTH = 560.0
"""Of texts in the preferences window, in unscaled pixels; narrower than the window itself opens with."""
MAINTENANCE = (
    ("portrait_head.verify_backend", "CHECKMARK"),
    ("portrait_head.repair_backend", "TOOL_SETTINGS"),
    ("portrait_head.remove_backend", "TRASH"),
)


def draw_page(layout: bpy.types.UILayout, preferences: bpy.types.AddonPreferences) -> None:
    """Backend, models and log."""
    layout.use_property_split = True
    layout.use_property_decorate = False

    header, body = layout.panel("portrait_head_preferences_backend")
    header.label(text="Backend")
    if body is not None:
        draw_backend(body, WIDTH)
        machine = jobs.machine()
        if machine is not None and machine.name:
            draw_text(body, f"It computes on: {machine.name}", icon="BLANK1", width=WIDTH)
        body.prop(preferences, "backend", placeholder="looked for in the usual places")
        for name in ("device", "install_folder", "wheels_folder"):
            body.prop(preferences, name)
        if (preferences.install_path() / STATE_FILE).exists():  # they work on what Install has made, on nothing else
            row = body.row(align=True)
            for operator, icon in MAINTENANCE:
                row.operator(operator, icon=icon)

    header, body = layout.panel("portrait_head_preferences_models", default_closed=True)
    header.label(text="Models for the Diffusion Method")
    if body is not None:
        body.prop(preferences, "models_folder")
        refused = jobs.tier_refusal("diffusion")
        if refused is not None:
            draw_text(body, f"{refused.reason} {refused.hint}", icon="INFO", width=WIDTH)
            body.operator("portrait_head.find_backend", icon="FILE_REFRESH")
        _draw_packs(body, jobs.packs(preferences.models_path()))

    header, body = layout.panel("portrait_head_preferences_log", default_closed=True)
    header.label(text="Log")
    if body is not None:
        body.prop(preferences, "log_level", expand=True)
        body.operator("portrait_head.open_log", icon="TEXT")


def _draw_packs(layout: bpy.types.UILayout, packs: tuple[Pack, ...]) -> None:
    if not packs:
        draw_text(layout, "This release brings no catalogue of model packs along.", icon="INFO", width=WIDTH)
        return
    draw_text(
        layout,
        "They are downloaded in a terminal, where each licence is shown first: portrait-head models download NAME",
        width=WIDTH,
    )
    for pack in packs:
        box = layout.box()
        row = box.row()
        row.label(text=pack.title, icon="CHECKMARK" if pack.here else "PACKAGE")
        side = row.row()
        side.alignment = "RIGHT"
        side.label(text="here" if pack.here else f"{pack.gigabytes:.1f} GB")
        draw_text(box, f"{pack.purpose} (name: {pack.name})", width=WIDTH)
        row = box.row()
        use = "commercial use allowed" if pack.commercial else "not for commercial use"
        row.label(text=f"{pack.licence}: {use}", icon="NONE" if pack.commercial else "ERROR")
        side = row.row()
        side.alignment = "RIGHT"
        side.operator("wm.url_open", text="Read Licence", icon="URL").url = pack.url
