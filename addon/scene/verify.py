# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads exported files back and checks what engines rely on."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path

import bpy
import numpy as np

from . import compat, created
from .arkit import ARKIT_NAMES

BONES = ("root", "neck", "head", "jaw", "eye.L", "eye.R")
SIZE = (0.15, 0.7)
"""Metres. A head with or without shoulders; ten times more or less means that units went wrong."""
INFLUENCES = 4


class VerifyError(RuntimeError):
    """An exported file that is not what it should be, in one sentence."""


def _demand(holds: bool, path: Path, what: str) -> None:
    if not holds:
        raise VerifyError(f"{path.name} was written, but {what}. It was not kept; the head in the scene is unharmed.")


def _plausible(path: Path, low: np.ndarray, high: np.ndarray) -> None:
    size = float((high - low).max())
    _demand(SIZE[0] <= size <= SIZE[1], path, f"its head measures {size:.3g} m, so its units are wrong")


def read_glb(path: Path) -> tuple[dict, bytes]:
    """JSON and binary chunk of a GLB file (glTF 2.0 specification, section 4)."""
    data = path.read_bytes()
    _demand(len(data) > 20 and data[:4] == b"glTF", path, "it is no GLB file")
    version, length, json_length, kind = struct.unpack_from("<IIII", data, 4)
    whole = version == 2 and length == len(data) and kind == 0x4E4F534A and 20 + json_length <= len(data)
    _demand(whole, path, "its header is damaged")
    return json.loads(data[20 : 20 + json_length]), data[28 + json_length :]


def verify_glb(path: Path, shape_keys: Sequence[str] = ARKIT_NAMES, bones: Sequence[str] = BONES) -> None:
    """Checks a GLB file without Blender: keys, weights, skin, textures inside, metres. Raises `VerifyError`."""
    path = Path(path)
    gltf, _ = read_glb(path)
    keyed = [mesh for mesh in gltf.get("meshes", ()) if "weights" in mesh]  # hair may have keys that the artist made
    _demand(bool(keyed), path, "0 of its meshes have shape keys")
    heads = [mesh for mesh in keyed if mesh.get("extras", {}).get("targetNames") == list(shape_keys)]
    _demand(len(heads) == 1, path, "its shape keys are not those of the head")
    mesh, names = heads[0], shape_keys
    _demand(len(mesh["weights"]) == len(names), path, "a shape key has no weight")
    _demand(not any(any(each["weights"]) for each in keyed), path, "shape keys are not at 0")
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for primitive in mesh["primitives"]:
        _demand(len(primitive.get("targets", ())) == len(names), path, "a part of the head lacks shape keys")
        _demand("JOINTS_1" not in primitive["attributes"], path, f"vertices follow more than {INFLUENCES} bones")
        _demand("JOINTS_0" in primitive["attributes"], path, "a part of the head follows no bones")
        box = gltf["accessors"][primitive["attributes"]["POSITION"]]
        low, high = np.minimum(low, box["min"]), np.maximum(high, box["max"])
    _plausible(path, low, high)
    for skin in gltf.get("skins", ()):
        joints = {gltf["nodes"][index].get("name") for index in skin["joints"]}
        _demand(joints == set(bones), path, f"its bones are {sorted(map(str, joints))}")
    _demand(bool(gltf.get("skins")), path, "it has no armature")
    scales = [node.get("scale", (1.0, 1.0, 1.0)) for node in gltf["nodes"]]
    _demand(bool(np.allclose(scales, 1.0, atol=1e-4)), path, "an object in it is scaled")
    images = gltf.get("images", [])
    _demand(bool(images) and all("bufferView" in image for image in images), path, "its textures are not inside")


def verify_fbx(
    path: Path,
    shape_keys: Sequence[str] = ARKIT_NAMES,
    bones: Sequence[str] = BONES,
    heads: int = 1,
    scale: float = 1.0,
) -> None:
    """Imports an FBX file into a scene that is removed again, and checks what arrives. Raises `VerifyError`.

    `heads` is the number of meshes with keys, one a level of detail; `scale` that of the objects after import, which
    turns the file's unit into metres.
    """
    path = Path(path)
    with created.temporary():
        before = {each.session_uid for each in bpy.data.objects}
        images_before = {each.session_uid for each in bpy.data.images}
        scene = bpy.data.scenes.new("verify")
        # The importer looks for the textures, which are inside, in folders as well and complains of each.
        with compat.active_scene(scene), compat.quiet(1, 2):
            try:
                compat.import_fbx(path)
            except RuntimeError as error:
                raise VerifyError(f"{path.name} was written, but Blender cannot read it back ({error}).") from error
            scene.view_layers[0].update()
        objects = [each for each in bpy.data.objects if each.session_uid not in before]
        _check_objects(path, objects, shape_keys, bones, heads, scale)
        images = [each for each in bpy.data.images if each.session_uid not in images_before]
        _demand(bool(images) and all(each.packed_file for each in images), path, "its textures are not inside")


def verify_blend(path: Path, shape_keys: Sequence[str] = ARKIT_NAMES, bones: Sequence[str] = BONES) -> None:
    """Links the scene of a .blend file, checks it and lets it go again. Raises `VerifyError`."""
    path = Path(path)
    known = {each.session_uid for each in bpy.data.libraries}
    try:
        with bpy.data.libraries.load(str(path), link=True) as (source, target):
            target.scenes = source.scenes
            windows = list(source.workspaces)
        _demand(len(target.scenes) == 1 and bool(windows), path, "it does not open with one scene in a window")
        scene = target.scenes[0]
        _check_objects(path, list(scene.objects), shape_keys, bones)
        _demand(scene.camera is not None, path, "it has no camera")
        images = {
            node.image
            for each in scene.objects
            for slot in each.material_slots
            for node in slot.material.node_tree.nodes
            if node.type == "TEX_IMAGE"
        }
        _demand(
            bool(images) and all(image and image.packed_file for image in images), path, "its textures are not inside"
        )
    except OSError as error:
        raise VerifyError(f"{path.name} was written, but Blender cannot read it back ({error}).") from error
    finally:
        for library in [each for each in bpy.data.libraries if each.session_uid not in known]:
            bpy.data.libraries.remove(library)


def _check_objects(
    path: Path,
    objects: Sequence[bpy.types.Object],
    shape_keys: Sequence[str],
    bones: Sequence[str],
    wanted: int = 1,
    scale: float = 1.0,
) -> None:
    keyed = [each for each in objects if each.type == "MESH" and each.data.shape_keys]
    heads = [each for each in keyed if each.data.shape_keys.key_blocks.keys()[1:] == list(shape_keys)]
    rigs = [each for each in objects if each.type == "ARMATURE"]
    found = f"it has {len(heads)} heads with their shape keys and {len(rigs)} armatures"
    _demand(len(heads) == wanted and len(rigs) == 1, path, found)
    values = [key.value for each in keyed for key in each.data.shape_keys.key_blocks[1:]]
    _demand(not any(values), path, "shape keys are not at 0")
    found = {bone.name for bone in rigs[0].data.bones}
    _demand(found == set(bones), path, f"its bones are {sorted(found)}")
    for head in heads:
        _check_head(path, head, rigs[0], scale)


def _check_head(path: Path, head: bpy.types.Object, rig: bpy.types.Object, scale: float) -> None:
    bound = any(each.type == "ARMATURE" and each.object == rig for each in head.modifiers)
    _demand(bound, path, "its armature does not move the head")
    most = max(sum(group.weight > 0 for group in vertex.groups) for vertex in head.data.vertices)
    _demand(0 < most <= INFLUENCES, path, f"a vertex follows {most} bones")
    scales = np.array([each.matrix_world.to_scale() for each in (head, rig)])
    _demand(
        bool(np.allclose(scales, scale, atol=1e-4 * scale)),
        path,
        f"its objects are scaled by {scales.round(4).tolist()}",
    )
    corners = np.array([(head.matrix_world @ corner.co)[:] for corner in head.data.vertices])
    _plausible(path, corners.min(axis=0), corners.max(axis=0))
