# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows that tell how things stand: the backend, a running head, the last error."""

from __future__ import annotations

import textwrap

import bpy

from .. import ROOT_PACKAGE
from ..client.errors import ClientError
from ..client.state import State
from ..operators import backend, jobs, looking
from .thumbnails import icon

PIXELS_A_LETTER = 7  # of Blender's interface font at 100 %, a little wide so that no word is cut
MARGIN = 40  # pixels of a box's border and an icon
SHORTEST = 20  # letters
PREVIEW_SCALE = 8.0  # of the picture of the head in the making, in button heights

STATE_ICONS = {
    State.NOT_INSTALLED: "ERROR",
    State.INSTALLING: "TIME",
    State.STOPPED: "CHECKMARK",
    State.STARTING: "TIME",
    State.READY: "CHECKMARK",
    State.RUNNING: "TIME",
    State.ERROR: "ERROR",
}


STATE_WORDS = {
    State.NOT_INSTALLED: "Not installed",
    State.INSTALLING: "Being installed",
    State.STOPPED: "Installed",
    State.STARTING: "Starting",
    State.READY: "Ready",
    State.RUNNING: "Working",
    State.ERROR: "Stopped by an error",
}


def draw_backend(layout: bpy.types.UILayout, width: float = 0.0) -> None:
    """Where the backend stands, and the one thing to do about it."""
    found = jobs.find(bpy.context)
    if backend.status.running:
        _draw_installing(layout, width)
    elif isinstance(found, ClientError):
        _draw_missing(layout, found, width)
    else:
        _draw_present(layout, width)
    if backend.status.error is not None and not backend.status.running:
        draw_error(layout, backend.status.error, installation=True, width=width)


def _draw_installing(layout: bpy.types.UILayout, width: float) -> None:
    box = layout.box()
    draw_text(box, backend.status.message, icon="TIME", width=width)
    box.progress(factor=backend.status.fraction, text=f"{backend.status.fraction:.0%}")
    box.operator("portrait_head.cancel_install", icon="X")


def _draw_missing(layout: bpy.types.UILayout, found: ClientError, width: float) -> None:
    box = layout.box()
    preferences = bpy.context.preferences.addons[ROOT_PACKAGE].preferences
    if preferences.backend.strip():  # the user's own choice does not work: nothing to install
        draw_text(box, found.message, icon="ERROR", width=width)
        draw_text(box, found.hint, width=width)
    else:
        draw_text(box, "What makes the heads is not installed yet.", icon="INFO", width=width)
        if bpy.app.online_access or preferences.wheels_folder:
            row = box.row()
            row.scale_y = 1.3
            row.operator("portrait_head.install_backend", icon="IMPORT")
        else:
            draw_text(box, "To download it, Blender must be allowed to go online.", width=width)
            box.operator("extensions.userpref_show_online", text="Online Access…", icon="INTERNET")
    row = box.row(align=True)
    row.operator("portrait_head.find_backend", icon="FILE_REFRESH")
    if width == 0.0:
        row.operator("preferences.addon_show", text="Preferences", icon="PREFERENCES").module = ROOT_PACKAGE


def _draw_present(layout: bpy.types.UILayout, width: float) -> None:
    state, machine = jobs.backend_state(), jobs.machine()
    where = f" on {machine.in_words}" if machine is not None else ""
    looks = ", looking at the photo" if looking.under_way() else ""
    draw_text(layout, f"{STATE_WORDS[state]}{where}{looks}", icon=STATE_ICONS[state], width=width)
    if jobs.is_other_release():
        draw_text(layout, "It belongs to another release of this add-on.", icon="ERROR", width=width)
        layout.operator("portrait_head.upgrade_backend", icon="IMPORT")


def draw_progress(layout: bpy.types.UILayout, status: jobs.Status) -> None:
    """The running head: its stage, the bar, a look at it, and the way to stop it."""
    if picture := icon(status.preview):
        layout.template_icon(icon_value=picture, scale=PREVIEW_SCALE)
    remaining = f", {in_words(status.eta_s)} left" if status.eta_s is not None else ""
    layout.progress(factor=status.fraction, text=f"{status.fraction:.0%}{remaining}")
    draw_text(layout, status.stage)
    layout.operator("portrait_head.cancel", icon="X")


def in_words(seconds: float) -> str:
    """A duration as one says it: 40 s, 3 min."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def draw_error(layout: bpy.types.UILayout, error: ClientError, installation: bool = False, width: float = 0.0) -> None:
    """What went wrong, with a head or with the installation, and what to do."""
    box = layout.box()
    draw_text(box, error.message, icon="INFO" if error.kind == "cancelled" else "ERROR", width=width)
    if error.hint:
        draw_text(box, error.hint, width=width)
    if error.kind != "cancelled":
        row = box.row(align=True)
        row.operator("portrait_head.copy_report", icon="COPYDOWN").installation = installation
        row.operator("portrait_head.open_install_log" if installation else "portrait_head.open_log", icon="TEXT")


def draw_words(
    layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup, names: tuple[str, ...], read: bool
) -> None:
    """Settings that are words for the diffusion models; greyed, with the reason, where those are not asked (`read`)."""
    column = layout.column()
    column.enabled = read
    for name in names:
        column.prop(settings, name)
    if not read:
        draw_text(column, "Only with Diffusion Models.")


def draw_text(layout: bpy.types.UILayout, text: str, icon: str = "NONE", width: float = 0.0) -> None:
    """A sentence over as many rows as `width`, or else the region's, asks for; Blender's own labels cut it off."""
    region = bpy.context.region
    scale = bpy.context.preferences.system.ui_scale
    width = (width or (region.width / scale if region else 300)) - MARGIN
    column = layout.column(align=True)
    column.scale_y = 0.8
    for number, line in enumerate(rows(text, int(width / PIXELS_A_LETTER))):
        sign = icon if number == 0 else ("BLANK1" if icon != "NONE" else "NONE")
        column.label(text=line, icon=sign, translate=False)


def rows(text: str, letters: int) -> list[str]:
    """The text in the language of Blender's interface, in rows of so many letters; a row alone has no translation."""
    return textwrap.wrap(bpy.app.translations.pgettext_iface(text), max(SHORTEST, letters))
