# SPDX-License-Identifier: GPL-3.0-or-later
"""Levels of detail that keep their shape keys.

Blender's Decimate modifier drops shape keys, but it carries vertex attributes along: where it merges two vertices, it
mixes what they hold. So each key travels as an attribute of displacements, and comes out on the coarse mesh belonging
to just those vertices that the coarse one was made of. A search for the nearest surface would mix up what lies close
together without being connected: the lips, the lids.
"""

from __future__ import annotations

import bpy
import numpy as np

from . import compat


def key_offsets(mesh: bpy.types.Mesh) -> np.ndarray:
    """Displacements [K, V, 3] of the mesh's keys at weight 1, each from the key that it is relative to."""
    count = len(mesh.vertices)

    def points(key: bpy.types.ShapeKey) -> np.ndarray:
        found = np.empty(count * 3, dtype=np.float32)
        key.data.foreach_get("co", found)
        return found.reshape(count, 3)

    return np.stack([points(key) - points(key.relative_key) for key in mesh.shape_keys.key_blocks[1:]])


def reduced(original: bpy.types.Object, share: float, name: str, scene: bpy.types.Scene) -> bpy.types.Object:
    """A coarser copy of a mesh object with `share` of its triangles, keys, weights, UVs and materials kept.

    Args:
        original: a mesh of `scene`, at rest.
        share: of the triangles, 0 to 1.
        name: of the new object.
        scene: where it is evaluated; the new object is linked beside the original.
    """
    work = original.copy()
    work.data = original.data.copy()
    names, offsets = [], np.zeros((0, len(work.data.vertices), 3), np.float32)
    if work.data.shape_keys is not None:
        names = [key.name for key in work.data.shape_keys.key_blocks[1:]]
        offsets = key_offsets(work.data)
        keys = work.data.shape_keys
        work.shape_key_clear()
        # Blender counts one user too many of a copied mesh's keys, so they outlive the clearing.
        bpy.data.batch_remove([keys])
    for index, offset in enumerate(offsets):
        attribute = work.data.attributes.new(_attribute(index), "FLOAT_VECTOR", "POINT")
        attribute.data.foreach_set("vector", offset.ravel())
    work.modifiers.clear()
    # Nothing is spared by weights: eyes and mouth keep their loops because they are finely curved, and sparing what the
    # expressions move was seen to cost the ears and the teeth.
    work.modifiers.new("Decimate", "DECIMATE").ratio = share
    scene.collection.objects.link(work)
    with compat.active_scene(scene):
        graph = bpy.context.evaluated_depsgraph_get()
        mesh = bpy.data.meshes.new_from_object(
            work.evaluated_get(graph), preserve_all_data_layers=True, depsgraph=graph
        )
    bpy.data.objects.remove(work)

    found = np.empty((len(offsets), len(mesh.vertices), 3), np.float32)
    for index in range(len(offsets)):
        attribute = mesh.attributes[_attribute(index)]
        attribute.data.foreach_get("vector", found[index].ravel())
        mesh.attributes.remove(attribute)
    copy = original.copy()
    copy.data = mesh
    copy.name = mesh.name = name
    for collection in original.users_collection:
        collection.objects.link(copy)
    add_keys(copy, dict(zip(names, found, strict=True)))
    return copy


def add_keys(item: bpy.types.Object, offsets: dict[str, np.ndarray]) -> None:
    """Adds keys of displacements [V, 3] to a mesh object, at weight 0; one without any gets its key at rest first."""
    if not offsets:
        return
    mesh = item.data
    rest = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
    mesh.vertices.foreach_get("co", rest)
    if mesh.shape_keys is None:
        item.shape_key_add(name="Basis", from_mix=False).value = 0.0
    for name, offset in offsets.items():
        key = item.shape_key_add(name=name, from_mix=False)
        key.data.foreach_set("co", rest + offset.astype(np.float32).ravel())
        key.value = 0.0
        key.slider_min, key.slider_max = 0.0, 1.0


def _attribute(index: int) -> str:
    return f"portrait_head_key_{index}"
