# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures in the panel: the photo, and the head in the making."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import bpy
import bpy.utils.previews

KEPT = 64
"""Pictures; more than the panels show at once (20 earlier heads' photos, nine faces, a photo, a preview), else each
drawing would read them all anew."""

_previews: bpy.utils.previews.ImagePreviewCollection | None = None
_names: OrderedDict[str, None] = OrderedDict()


def icon(path: str) -> int:
    """The icon of a picture, 0 where there is none. Blender reads it in the background; a changed file is read anew."""
    if _previews is None or not path:
        return 0
    try:
        changed = Path(path).stat().st_mtime_ns
    except OSError:
        return 0
    name = f"{path}@{changed}"
    if name not in _previews:
        _previews.load(name, path, "IMAGE")
        while len(_names) >= KEPT:
            del _previews[_names.popitem(last=False)[0]]
    _names[name] = None
    _names.move_to_end(name)
    return _previews[name].icon_id


def register() -> None:
    """Called when the add-on is enabled."""
    global _previews
    _previews = bpy.utils.previews.new()


def unregister() -> None:
    """Called when the add-on is disabled."""
    global _previews
    if _previews is not None:
        bpy.utils.previews.remove(_previews)
    _previews = None
    _names.clear()
