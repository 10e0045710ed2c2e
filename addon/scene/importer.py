# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a head asset in the scene: meshes, shape keys, materials and rig in a collection of their own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from . import asset, created, materials, rig
from .arkit import ARKIT_NAMES
from .axes import to_blender
from .steps import Steps, finish

KEYS_A_STEP = 13
MARK = "portrait_head"
"""Custom property of a head's collection; by it a head is found again in a file that was saved and opened."""

PART = "portrait_head_part"
"""Custom property of head and hair, which tells them from what the artist puts beside them: glasses, an eye patch."""

SCULPT = "portrait_head_sculpt"
"""Custom property of the free-topology head's objects, which are hidden and no part of what is posed or exported."""


@dataclass(frozen=True)
class ImportedHead:
    """A head in the scene: its collection, meshes and armature."""

    collection: bpy.types.Collection
    head: bpy.types.Object
    hair: bpy.types.Object | None
    armature: bpy.types.Object


def import_head(
    asset_folder: Path, name: str | None = None, collection: bpy.types.Collection | None = None
) -> ImportedHead:
    """Builds the head asset in `asset_folder` as a new collection.

    Args:
        asset_folder: the folder with asset.json.
        name: what the head is called in the scene; the asset's own name if None. A name in use gets a number.
        collection: what the new collection is put into; the scene's own if None.

    Nothing that is in the file already is changed, and after an error nothing new is left in it. Selection, active
    object and mode stay as they are.

    Raises:
        AssetError: the folder is no whole head asset.
    """
    return finish(import_steps(asset_folder, name, collection))


def import_steps(
    asset_folder: Path, name: str | None = None, collection: bpy.types.Collection | None = None
) -> Steps[ImportedHead]:
    """The same in steps of a few milliseconds, for a window that must not freeze; returns the head at the last one.

    Until then nothing is in the scene. When a step fails, or the generator is closed, what it made is removed again;
    what the artist made between two steps stays.
    """
    try:
        return (yield from created.taken_back_on_error(_import(asset_folder, name, collection)))
    except ReferenceError as error:  # Blender says so of data-blocks that are gone
        raise asset.AssetError("The file was changed while the head was added. Import the head again.") from error


def head_of(item: bpy.types.Object | bpy.types.Collection) -> ImportedHead | None:
    """The head that an object or collection belongs to, or None."""
    collections = [item] if isinstance(item, bpy.types.Collection) else item.users_collection
    for collection in collections:
        if MARK not in collection:
            continue
        armature = next((each for each in collection.objects if each.type == "ARMATURE"), None)
        meshes = [each for each in collection.objects if each.type == "MESH" and SCULPT not in each]
        parts = {each[PART]: each for each in reversed(meshes) if PART in each} or _unmarked(meshes)
        if "head" in parts and armature:
            return ImportedHead(collection, parts["head"], parts.get("hair"), armature)
    return None


def _unmarked(meshes: list[bpy.types.Object]) -> dict[str, bpy.types.Object]:
    """Head and hair in a file that was saved before they were marked."""
    keyed = [each for each in meshes if each.data.shape_keys]
    plain = [each for each in meshes if not each.data.shape_keys]
    return {**({"head": keyed[0]} if keyed else {}), **({"hair": plain[0]} if plain else {})}


def made_in(head: ImportedHead) -> str:
    """The name of the job folder that the head's asset lay in; empty where it is not known."""
    return str(json.loads(head.collection.get(MARK, "{}")).get("job", ""))


def _import(asset_folder: Path, name: str | None, collection: bpy.types.Collection | None) -> Steps[ImportedHead]:
    described = yield from asset.read_steps(asset_folder)
    own = bpy.data.collections.new(name or described.name)
    head = yield from _build(described, own)
    mark = {"format": asset.FORMAT, "generator": described.generator, **described.provenance}
    own[MARK] = json.dumps({**mark, "job": asset_folder.resolve().parent.name})
    (collection or bpy.context.scene.collection).children.link(own)
    return head


def _build(described: asset.HeadAsset, own: bpy.types.Collection) -> Steps[ImportedHead]:
    name = own.name
    armature = rig.build_armature(described.bones, f"{name} Rig", own)
    yield
    made = []
    for each in described.materials:
        made.append((yield from materials.build_material(each, name)))
    head = yield from _build_mesh(described.head, name, made, own)
    head[PART] = "head"
    yield from _add_shape_keys(head, described.head)
    yield from rig.bind(head, armature, described.bones, described.head)
    hair = None
    if described.hair is not None:
        hair = yield from _build_mesh(described.hair, f"{name} Hair", made, own)
        hair[PART] = "hair"
        yield from rig.bind(hair, armature, described.bones, described.hair)
    for arrays in described.sculpt:
        each = yield from _build_mesh(arrays, f"{name} {arrays.name.replace('_', ' ').title()}", made, own)
        each[SCULPT] = True
        each.hide_viewport = each.hide_render = True  # it stands where the head stands
        if arrays.shape_keys is not None:
            yield from _add_shape_keys(each, arrays)
        yield from rig.bind(each, armature, described.bones, arrays)
    for material in [each for each in made if each.users == 0]:
        bpy.data.materials.remove(material)
    return ImportedHead(own, head, hair, armature)


def _build_mesh(
    arrays: asset.MeshArrays, name: str, made: list[bpy.types.Material], own: bpy.types.Collection
) -> Steps[bpy.types.Object]:
    corners = arrays.faces >= 0
    sides = corners.sum(axis=1)
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(arrays.vertices))
    mesh.vertices.foreach_set("co", to_blender(arrays.vertices).ravel())
    mesh.loops.add(int(sides.sum()))
    mesh.loops.foreach_set("vertex_index", arrays.faces[corners])
    mesh.polygons.add(len(arrays.faces))
    mesh.polygons.foreach_set("loop_start", np.concatenate([[0], np.cumsum(sides)[:-1]]).astype(np.int32))
    mesh.update(calc_edges=True)
    yield

    # Only the materials that this mesh uses become its slots.
    used, slots = np.unique(arrays.material, return_inverse=True)
    for index in used:
        mesh.materials.append(made[index])
    mesh.polygons.foreach_set("material_index", slots.astype(np.int32))
    mesh.polygons.foreach_set("use_smooth", np.ones(len(arrays.faces), dtype=bool))
    mesh.uv_layers.new(name="UVMap").uv.foreach_set("vector", arrays.uvs[corners].ravel())
    yield
    if mesh.validate():
        raise asset.AssetError(f"Mesh {arrays.name} has faces that Blender refuses. {asset.REGENERATE}")
    item = bpy.data.objects.new(name, mesh)
    own.objects.link(item)
    yield
    return item


def _add_shape_keys(head: bpy.types.Object, arrays: asset.MeshArrays) -> Steps[None]:
    assert arrays.shape_keys is not None
    head.shape_key_add(name="Basis", from_mix=False).value = 0.0
    rest = to_blender(arrays.vertices)
    for index, (name, offsets) in enumerate(zip(ARKIT_NAMES, arrays.shape_keys, strict=True)):
        if index % KEYS_A_STEP == 0:
            yield
        key = head.shape_key_add(name=name, from_mix=False)
        key.data.foreach_set("co", (rest + to_blender(offsets)).ravel())
        # From Blender 5.0 a new key starts at 1, and the face would wear all 52 expressions at once.
        key.value = 0.0
        key.slider_min, key.slider_max = 0.0, 1.0
    head.data.shape_keys.name = head.name
    head.active_shape_key_index = 0
