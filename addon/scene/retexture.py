# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives a head in the scene the textures of a newer asset of the same face; its pose, keys and changes stay."""

from __future__ import annotations

from pathlib import Path

import bpy

from . import asset, created
from .heads import head_with
from .importer import ImportedHead
from .materials import load_texture
from .steps import Steps

Loaded = dict[tuple[str, str], bpy.types.Image]
"""The new pictures, by material and what they show."""


def retexture_steps(identity: int, asset_folder: Path) -> Steps[list[str]]:
    """Puts the pictures of the asset in `asset_folder` into a head's materials, in steps of a few milliseconds.

    A material that the artist has replaced, or whose texture nodes are gone, is left alone. Nothing is changed before
    the last step; after an error everything is as it was.

    Args:
        identity: the `session_uid` of the head's collection; between two steps the artist may undo, or remove it.
        asset_folder: the folder with asset.json.

    Returns:
        The names of the materials that were changed.

    Raises:
        AssetError: the folder is no whole head asset, or the head is gone.
    """
    try:
        return (yield from created.taken_back_on_error(_retexture(identity, asset_folder)))
    except ReferenceError as error:  # Blender says so of data-blocks that are gone
        raise asset.AssetError("The file was changed while the textures were added. Paint it anew again.") from error


def _retexture(identity: int, asset_folder: Path) -> Steps[list[str]]:
    described = yield from asset.read_steps(asset_folder)
    loaded: Loaded = {}
    for name, kind in [(name, kind) for name, kind, _ in _places(_head(identity), described)]:
        description = next(each for each in described.materials if each.name == name)
        loaded[name, kind] = load_texture(description, kind, name)
        yield
    changed = []
    for name, kind, node in _places(_head(identity), described):
        image = loaded.pop((name, kind), None)
        if image is not None:
            _replace(node, image)
            changed.append(name)
    bpy.data.batch_remove(loaded.values())  # their nodes have gone meanwhile
    return list(dict.fromkeys(changed))


def _head(identity: int) -> ImportedHead:
    head = head_with(identity)
    if head is None:
        raise asset.AssetError("The head that was to be painted anew is gone. Import it again from Earlier Heads.")
    return head


def _places(head: ImportedHead, described: asset.HeadAsset) -> list[tuple[str, str, bpy.types.ShaderNodeTexImage]]:
    """Material, map and node of every picture in the head that the asset has too."""
    slots = [slot for mesh in (head.head, head.hair) if mesh for slot in mesh.material_slots]
    places = []
    for description in described.materials:
        material = next((slot.material for slot in slots if slot.material and _is(slot.material, description)), None)
        if material is None or material.node_tree is None:
            continue
        for kind in description.maps:
            node = material.node_tree.nodes.get(kind)
            if node is not None and node.type == "TEX_IMAGE" and node.image:
                places.append((description.name, kind, node))
    return places


def _replace(node: bpy.types.ShaderNodeTexImage, image: bpy.types.Image) -> None:
    old, name = node.image, node.image.name
    node.image = image
    if old.users == 0:
        bpy.data.images.remove(old)
    image.name = name


def _is(material: bpy.types.Material, description: asset.Material) -> bool:
    """Materials are named after their owner and what they are; Blender may have added a number, as in skin.001."""
    last = material.name.split(" ")[-1]
    return last.partition(".")[0] == description.name
