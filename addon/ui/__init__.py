# SPDX-License-Identifier: GPL-3.0-or-later
"""Panels. They draw what is there and decide nothing."""

import bpy

from . import panels


def register() -> None:
    """Called when the add-on is enabled."""
    bpy.utils.register_class(panels.PORTRAITHEAD_PT_main)


def unregister() -> None:
    """Called when the add-on is disabled."""
    bpy.utils.unregister_class(panels.PORTRAITHEAD_PT_main)
