# SPDX-License-Identifier: GPL-3.0-or-later
"""Expressions as assets: an action a preset, listed with its picture in the asset browser.

Blender's own pose library poses bones only, so these are applied by an entry of ours in the asset's context menu. An
action of shape keys fits every head, because all of them carry the same keys.
"""

from __future__ import annotations

from collections.abc import Iterable

import bpy

from ..data.expressions import FacePreset
from . import compat, created
from .arkit import ARKIT_NAMES
from .face_controls import key_blocks
from .importer import ImportedHead

TAG = "Portrait Head"
FRAME = 1.0
_PATH = 'key_blocks["{}"].value'


def make_pose_assets(presets: Iterable[FacePreset]) -> list[bpy.types.Action]:
    """An asset for each preset that the file does not have already; returns the new ones."""
    known = {action.name for action in bpy.data.actions if is_pose_asset(action)}
    return [make_pose_asset(each.label, _whole(each), each.description) for each in presets if each.label not in known]


def make_pose_asset(name: str, weights: dict[str, float], description: str = "") -> bpy.types.Action:
    """An asset that sets the keys of `weights`."""
    action = bpy.data.actions.new(name)
    if bpy.app.version < (4, 4, 0):
        action.id_root = "KEY"
    for key, weight in weights.items():
        curve = compat.new_curve(action, "KEY", _PATH.format(key))
        curve.keyframe_points.insert(FRAME, weight)
    action.asset_mark()
    action.asset_data.description = description
    action.asset_data.tags.new(TAG, skip_if_exists=True)
    return action


def is_pose_asset(block: bpy.types.Action | None) -> bool:
    """Whether `block` was made here."""
    data = block.asset_data if block is not None else None
    return data is not None and TAG in data.tags


def read_pose(action: bpy.types.Action) -> dict[str, float]:
    """The weights that an action of shape keys sets."""
    found = {}
    for curve in compat.action_curves(action):
        start, _, rest = curve.data_path.partition('["')
        name, _, end = rest.rpartition('"]')
        if start == "key_blocks" and end == ".value":
            found[name] = curve.evaluate(FRAME)
    return found


def read_library_pose(path: str, name: str) -> dict[str, float]:
    """The weights that the action `name` of another file sets; nothing of that file stays in this one."""
    known = {library.session_uid for library in bpy.data.libraries}
    try:
        with created.temporary():
            with bpy.data.libraries.load(path, link=True, assets_only=True) as (source, target):
                target.actions = [name] if name in source.actions else []
            return read_pose(target.actions[0]) if target.actions else {}
    finally:
        for library in [each for each in bpy.data.libraries if each.session_uid not in known]:
            bpy.data.libraries.remove(library)


def current_pose(head: ImportedHead) -> dict[str, float]:
    """What the face shows now, to be kept as an asset."""
    return {name: block.value for name, block in key_blocks(head).items()}


def _whole(preset: FacePreset) -> dict[str, float]:
    """The weight of every key that the preset governs, those at 0 with them."""
    return {name: preset.weights.get(name, 0.0) for name in ARKIT_NAMES if preset.governs(name)}
