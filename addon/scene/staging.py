# SPDX-License-Identifier: GPL-3.0-or-later
"""A clean copy of a head in a scene of its own, for exporting and rendering without touching the artist's scene.

Artists pose, hide, move, subdivide and drive a head. Engines want it at rest, at the origin and unmodified, and any
modifier but Armature would silently cost all shape keys on export. What artists change in the surface itself stays in
the copy: sculpted vertices, keys of their own, weights, materials and painted textures.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import bpy
import numpy as np

from . import created
from .importer import MARK, ImportedHead


@dataclass(frozen=True)
class StagedHead:
    """The copy: everything of it bears the name of its original while it exists."""

    scene: bpy.types.Scene
    collection: bpy.types.Collection
    head: bpy.types.Object
    hair: bpy.types.Object | None
    armature: bpy.types.Object

    @property
    def objects(self) -> list[bpy.types.Object]:
        """Armature and meshes."""
        return [each for each in (self.armature, self.head, self.hair) if each is not None]

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest corner [3] of the meshes at rest, metres, Blender axes."""
        corners = [corner[:] for each in (self.head, self.hair) if each for corner in each.bound_box]
        return np.min(corners, axis=0), np.max(corners, axis=0)


class _Names:
    """Lends the names of originals to their copies and gives them back."""

    def __init__(self) -> None:
        self.lent: list[tuple[bpy.types.ID, str]] = []

    def lend(self, original: bpy.types.ID, copy: bpy.types.ID) -> None:
        name = original.name
        if original.library is None:
            original.name = f"{name[:40]} (original)"
            self.lent.append((original, name))
        copy.name = name

    def give_back(self) -> None:
        for original, name in self.lent:
            original.name = name


@contextmanager
def staged(head: ImportedHead) -> Iterator[StagedHead]:
    """A clean copy of `head`; it and everything made while it exists is removed at the end."""
    names = _Names()
    try:
        with created.temporary():
            yield _stage(head, names)
    finally:
        names.give_back()


def _stage(head: ImportedHead, names: _Names) -> StagedHead:
    scene = bpy.data.scenes.new(head.collection.name)
    collection = bpy.data.collections.new("staged")
    if MARK in head.collection:
        collection[MARK] = head.collection[MARK]
    names.lend(head.collection, collection)
    scene.collection.children.link(collection)

    armature = _copy_object(head.armature, names)
    for bone in armature.pose.bones:
        bone.matrix_basis.identity()
        while bone.constraints:
            bone.constraints.remove(bone.constraints[0])
    collection.objects.link(armature)
    blocks: dict[bpy.types.ID, bpy.types.ID] = {}
    meshes = [_copy_mesh(each, armature, names, blocks) if each else None for each in (head.head, head.hair)]
    for each in meshes:
        if each is not None:
            collection.objects.link(each)
    assert meshes[0] is not None
    result = StagedHead(scene, collection, meshes[0], meshes[1], armature)
    for each in result.objects:
        each.select_set(True, view_layer=scene.view_layers[0])
    scene.view_layers[0].objects.active = meshes[0]
    scene.view_layers[0].update()
    return result


def _copy_object(original: bpy.types.Object, names: _Names) -> bpy.types.Object:
    original.update_from_editmode()
    copy = original.copy()
    copy.data = original.data.copy()
    names.lend(original, copy)
    names.lend(original.data, copy.data)
    for block in (copy, copy.data):
        block.animation_data_clear()
    copy.constraints.clear()
    copy.parent = None
    copy.matrix_parent_inverse.identity()
    copy.matrix_basis.identity()
    copy.delta_location, copy.delta_rotation_euler, copy.delta_scale = (0, 0, 0), (0, 0, 0), (1, 1, 1)
    copy.delta_rotation_quaternion = (1, 0, 0, 0)
    copy.hide_viewport = copy.hide_render = copy.hide_select = False
    return copy


def _copy_mesh(
    original: bpy.types.Object,
    armature: bpy.types.Object,
    names: _Names,
    blocks: dict[bpy.types.ID, bpy.types.ID],
) -> bpy.types.Object:
    copy = _copy_object(original, names)
    copy.modifiers.clear()
    copy.modifiers.new(armature.name, "ARMATURE").object = armature
    copy.parent = armature
    copy.show_only_shape_key = False
    if copy.data.shape_keys:
        names.lend(original.data.shape_keys, copy.data.shape_keys)
        copy.data.shape_keys.animation_data_clear()
        for key in copy.data.shape_keys.key_blocks:
            key.value, key.mute = 0.0, False
    for slot in copy.material_slots:
        if slot.material is not None:
            material = _once(slot.material, names, blocks)
            slot.link, slot.material = "DATA", material
            _pack_images(material, names, blocks)
    return copy


def _once(original: bpy.types.ID, names: _Names, blocks: dict[bpy.types.ID, bpy.types.ID]) -> bpy.types.ID:
    """A copy of a data-block that several others share: made at the first call, the same one at the next."""
    if original in blocks.values():
        return original
    if original not in blocks:
        blocks[original] = original.copy()
        names.lend(original, blocks[original])
    return blocks[original]


def _pack_images(material: bpy.types.Material, names: _Names, blocks: dict[bpy.types.ID, bpy.types.ID]) -> None:
    """Gives the material copies of its pictures with what is painted on them, packed."""
    for node in material.node_tree.nodes if material.node_tree else ():
        if node.type != "TEX_IMAGE" or node.image is None or node.image in blocks.values():
            continue
        original = node.image
        known = original in blocks
        node.image = _once(original, names, blocks)
        if known or (original.packed_file and not original.is_dirty):
            continue
        if original.is_dirty:
            pixels = np.empty(len(original.pixels), dtype=np.float32)
            original.pixels.foreach_get(pixels)
            node.image.pixels.foreach_set(pixels)
        node.image.pack()
        node.image.filepath_raw = f"//{bpy.path.clean_name(original.name)}.png"
