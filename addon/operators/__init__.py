# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user can do. Operators read settings, call `client` or `scene`, and report."""

import bpy

from . import backend, generate, import_head, jobs

CLASSES = (
    import_head.PORTRAITHEAD_OT_import_head,
    generate.PORTRAITHEAD_OT_generate,
    generate.PORTRAITHEAD_OT_cancel,
    backend.PORTRAITHEAD_OT_find_backend,
    backend.PORTRAITHEAD_OT_open_log,
)


def register() -> None:
    """Called when the add-on is enabled."""
    for one in CLASSES:
        bpy.utils.register_class(one)


def unregister() -> None:
    """Called when the add-on is disabled or Blender quits: the backend goes with it."""
    jobs.close()
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
