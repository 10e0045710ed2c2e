# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives a head in the scene the textures of a newer asset of the same face; its pose, keys and changes stay."""

from __future__ import annotations

from pathlib import Path

import bpy

from . import asset, created
from .importer import ImportedHead
from .materials import load_texture


def replace_textures(head: ImportedHead, asset_folder: Path) -> list[str]:
    """Puts the pictures of the asset in `asset_folder` into the head's materials; returns which were replaced.

    A material that the artist has replaced, or whose texture nodes are gone, is left alone. After an error everything
    is as it was.

    Raises:
        AssetError: the folder is no whole head asset.
    """
    described = asset.read_asset(asset_folder)
    slots = [slot for mesh in (head.head, head.hair) if mesh for slot in mesh.material_slots]
    with created.undone_on_error():
        pairs = []
        for description in described.materials:
            material = next(
                (slot.material for slot in slots if slot.material and _is(slot.material, description)), None
            )
            if material is None or material.node_tree is None:
                continue
            for kind in description.maps:
                node = material.node_tree.nodes.get(kind)
                if node is not None and node.type == "TEX_IMAGE" and node.image:
                    pairs.append((description.name, node, load_texture(description, kind, node.image.name)))
    for _, node, image in pairs:
        old, name = node.image, node.image.name
        node.image = image
        if old.users == 0:
            bpy.data.images.remove(old)
        image.name = name
    return list(dict.fromkeys(name for name, _, _ in pairs))


def _is(material: bpy.types.Material, description: asset.Material) -> bool:
    """Materials are named after their owner and what they are; Blender may have added a number, as in skin.001."""
    last = material.name.split(" ")[-1]
    return last.partition(".")[0] == description.name
