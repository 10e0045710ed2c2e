# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses the face of a head: weights of its shape keys set, mirrored, reset and keyed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import bpy

from ..data.expressions import FacePreset
from ..data.face_regions import LEFT, RIGHT, opposite, other_side, region_of
from .compat import action_curves
from .importer import ImportedHead

OTHER_KEYS = "Other"
"""Channel group of keys that the artist added."""
MIRRORS = ("LEFT_TO_RIGHT", "RIGHT_TO_LEFT", "SWAP")


def key_blocks(head: ImportedHead) -> dict[str, bpy.types.ShapeKey]:
    """The shape keys of a head by name, without the one at rest."""
    keys = head.head.data.shape_keys
    return {block.name: block for block in keys.key_blocks if block != keys.reference_key}


def weights(head: ImportedHead) -> dict[str, float]:
    """The weight of every key."""
    return {name: block.value for name, block in key_blocks(head).items()}


def set_weights(head: ImportedHead, wanted: Mapping[str, float]) -> list[str]:
    """Sets the keys that `wanted` names, within the limits of their sliders; returns those that changed.

    Names that the head lacks are passed over: heads from elsewhere may carry fewer keys.
    """
    changed = []
    for name, block in key_blocks(head).items():
        if name not in wanted:
            continue
        value = min(max(wanted[name], block.slider_min), block.slider_max)
        if block.value != value:
            block.value = value
            changed.append(name)
    return changed


def apply_preset(head: ImportedHead, preset: FacePreset, strength: float = 1.0, add: bool = False) -> list[str]:
    """Puts a preset on the face; returns the keys that changed.

    Args:
        head: the head.
        preset: the expression or viseme.
        strength: factor on its weights.
        add: add to the face as it is, instead of replacing what the preset governs.
    """
    now = weights(head)
    before = now if add else {name: 0.0 for name in now if preset.governs(name)}
    wanted = {name: weight + strength * preset.weights.get(name, 0.0) for name, weight in before.items()}
    return set_weights(head, wanted)


def reset(head: ImportedHead, names: Iterable[str] | None = None) -> list[str]:
    """Puts the keys `names`, or all of them, back to 0; returns those that changed."""
    return set_weights(head, dict.fromkeys(weights(head) if names is None else names, 0.0))


def mirror(head: ImportedHead, way: str) -> list[str]:
    """Mirrors the face; returns the keys that changed.

    Args:
        head: the head.
        way: LEFT_TO_RIGHT copies the subject's left side over the right one, RIGHT_TO_LEFT the other way round;
            movements of the whole face stay. SWAP turns the face into its mirror image, those movements with it.
    """
    now = weights(head)
    if way == "SWAP":
        return set_weights(head, {name: now.get(opposite(name), value) for name, value in now.items()})
    source = LEFT if way == "LEFT_TO_RIGHT" else RIGHT
    wanted = {}
    for name, value in now.items():
        other = other_side(name)
        if other is not None and name.endswith(source):
            wanted[other] = value
    return set_weights(head, wanted)


def animated(head: ImportedHead) -> set[str]:
    """Names of the keys that have an animation curve."""
    data = head.head.data.shape_keys.animation_data
    if data is None or data.action is None:
        return set()
    paths = {curve.data_path for curve in action_curves(data.action, head.head.data.shape_keys)}
    return {name for name, block in key_blocks(head).items() if f"{block.path_from_id()}.value" in paths}


def changed(head: ImportedHead) -> list[str]:
    """The keys that matter at this moment: those not at 0, and those that are animated and so must return to it."""
    moving = animated(head)
    return [name for name, value in weights(head).items() if value != 0.0 or name in moving]


def insert_keys(head: ImportedHead, names: Iterable[str], frame: float) -> int:
    """Keyframes the weights of `names` at `frame`, in channel groups by region; returns how many."""
    blocks = key_blocks(head)
    count = 0
    for name in names:
        region = region_of(name)
        blocks[name].keyframe_insert("value", frame=frame, group=region.label if region else OTHER_KEYS)
        count += 1
    return count
