# SPDX-License-Identifier: GPL-3.0-or-later
"""Panels. They draw what is there and decide nothing."""

import bpy

from . import export_panel, face_panel, panels, thumbnails

CLASSES = (
    panels.PORTRAITHEAD_PT_main,
    panels.PORTRAITHEAD_PT_history,
    face_panel.PORTRAITHEAD_PT_face,
    export_panel.PORTRAITHEAD_PT_export,
)


def register() -> None:
    """Called when the add-on is enabled."""
    thumbnails.register()
    for each in CLASSES:
        bpy.utils.register_class(each)


def unregister() -> None:
    """Called when the add-on is disabled."""
    for each in reversed(CLASSES):
        bpy.utils.unregister_class(each)
    thumbnails.unregister()
