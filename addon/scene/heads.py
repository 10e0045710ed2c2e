# SPDX-License-Identifier: GPL-3.0-or-later
"""Which head the artist means."""

from __future__ import annotations

import bpy

from .importer import ImportedHead, head_of


def heads(scene: bpy.types.Scene) -> list[ImportedHead]:
    """Every head in `scene`, in the order of its collections."""
    found = (head_of(collection) for collection in scene.collection.children_recursive)
    return [head for head in found if head is not None]


def head_with(identity: int) -> ImportedHead | None:
    """The head whose collection has this `session_uid`, which outlives undo; None where it is gone."""
    collection = next((each for each in bpy.data.collections if each.session_uid == identity), None)
    return head_of(collection) if collection is not None else None


def active_head(context: bpy.types.Context) -> ImportedHead | None:
    """The head that the active object belongs to; where that is none, the only head of the scene."""
    active = context.view_layer.objects.active if context.view_layer else None
    if active is not None and (head := head_of(active)) is not None:
        return head
    found = heads(context.scene)
    return found[0] if len(found) == 1 else None
