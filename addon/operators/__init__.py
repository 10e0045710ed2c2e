# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user can do. Operators read settings, call `client` or `scene`, and report."""

import bpy

from . import (
    backend,
    export,
    face,
    failure,
    generate,
    history,
    import_head,
    jobs,
    live_link,
    looking,
    photo,
    pose_assets,
    viewing,
)

CLASSES = (
    import_head.PORTRAITHEAD_OT_import_head,
    *generate.CLASSES,
    *failure.CLASSES,
    *history.CLASSES,
    *photo.CLASSES,
    *backend.CLASSES,
    *face.CLASSES,
    *live_link.CLASSES,
    *pose_assets.CLASSES,
    *export.CLASSES,
    *viewing.CLASSES,
)


def register() -> None:
    """Called when the add-on is enabled."""
    for one in CLASSES:
        bpy.utils.register_class(one)
    bpy.types.ASSETBROWSER_MT_context_menu.append(pose_assets.draw_asset_menu)


def unregister() -> None:
    """Called when the add-on is disabled or Blender quits: the backend goes with it."""
    looking.forget()
    jobs.close()
    bpy.types.ASSETBROWSER_MT_context_menu.remove(pose_assets.draw_asset_menu)
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
