# SPDX-License-Identifier: GPL-3.0-or-later
"""A head as files: what is in them, that the scene stays as it was, and that damage is noticed."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from addon.scene.arkit import ARKIT_NAMES

pytest.importorskip("bpy", reason="needs the bpy wheel")

from addon.scene import verify
from addon.scene.export import ExportError, export_head
from addon.scene.importer import head_of, import_head


def change_glb(path: Path, target: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Writes `path` with its JSON changed to `target`."""
    gltf, _ = verify.read_glb(path)
    binary = path.read_bytes()[20 + struct.unpack_from("<I", path.read_bytes(), 12)[0] :]
    change(gltf)
    text = json.dumps(gltf).encode()
    text += b" " * (-len(text) % 4)
    header = struct.pack("<4sIIII", b"glTF", 2, 20 + len(text) + len(binary), len(text), 0x4E4F534A)
    target.write_bytes(header + text + binary)
    return target


def test_three_files_and_nothing_else(exported: dict[str, Path]) -> None:
    folder = exported["glb"].parent
    assert sorted(path.name for path in folder.iterdir()) == ["head.blend", "head.fbx", "head.glb"]


def test_the_glb_holds_the_keys_the_bones_and_the_textures(exported: dict[str, Path]) -> None:
    gltf, _ = verify.read_glb(exported["glb"])
    head = next(mesh for mesh in gltf["meshes"] if "extras" in mesh)
    assert tuple(head["extras"]["targetNames"]) == ARKIT_NAMES
    assert head["weights"] == [0.0] * 52
    assert {mesh["name"] for mesh in gltf["meshes"]} == {"Sample", "Sample Hair"}
    assert [gltf["nodes"][joint]["name"] for joint in gltf["skins"][0]["joints"]] == list(verify.BONES)
    assert sorted(image["name"] for image in gltf["images"]) == sorted(
        ["skin", "eyes", "lashes", "hair", "skin_normal", "eyes_normal", "skin_orm", "eyes_orm"]
    )
    sources = [gltf["images"][texture["source"]]["name"] for texture in gltf["textures"]]
    slots = {}
    for material in gltf["materials"]:
        shading = material["pbrMetallicRoughness"]
        found = {
            "colour": shading["baseColorTexture"],
            "packed": shading.get("metallicRoughnessTexture"),
            "occlusion": material.get("occlusionTexture"),
            "normal": material.get("normalTexture"),
        }
        slots[material["name"]] = {kind: sources[each["index"]] for kind, each in found.items() if each}
    for name in ("skin", "eyes"):
        assert slots[f"Sample {name}"] == {
            "colour": name,
            "packed": f"{name}_orm",
            "occlusion": f"{name}_orm",
            "normal": f"{name}_normal",
        }
    assert slots["Sample hair"] == {"colour": "hair"}
    modes = {material["name"]: material.get("alphaMode", "OPAQUE") for material in gltf["materials"]}
    assert modes == {
        "Sample skin": "OPAQUE",
        "Sample eyes": "OPAQUE",
        "Sample lashes": "BLEND",
        "Sample hair": "BLEND",
    }
    assert not gltf.get("animations")
    assert not gltf.get("cameras")


def test_the_packed_picture_in_the_glb_is_the_file_of_the_asset(exported: dict[str, Path], asset_folder: Path) -> None:
    gltf, binary = verify.read_glb(exported["glb"])
    for image in gltf["images"]:
        view = gltf["bufferViews"][image["bufferView"]]
        data = binary[view.get("byteOffset", 0) :][: view["byteLength"]]
        assert data == (asset_folder / f"{image['name']}.png").read_bytes(), image["name"]


def test_the_fbx_holds_colour_and_normals(blender: ModuleType, exported: dict[str, Path]) -> None:
    from addon.scene import compat

    compat.import_fbx(exported["fbx"])
    skin = next(item for item in blender.data.materials if "skin" in item.name)
    shader = next(node for node in skin.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    assert "skin" in shader.inputs["Base Color"].links[0].from_node.image.name
    normal = shader.inputs["Normal"].links[0].from_node
    image = normal.inputs["Color"].links[0].from_node.image
    assert "normal" in image.name
    assert image.colorspace_settings.name == "Non-Color"


def test_the_glb_has_the_head_upright_facing_plus_z(exported: dict[str, Path], asset_folder: Path) -> None:
    from addon.scene.asset import read_asset

    vertices = read_asset(asset_folder).head.vertices
    gltf, _ = verify.read_glb(exported["glb"])
    head = next(mesh for mesh in gltf["meshes"] if "extras" in mesh)
    boxes = [gltf["accessors"][primitive["attributes"]["POSITION"]] for primitive in head["primitives"]]
    # glTF has the axes of the backend: +Y up, +Z front.
    np.testing.assert_allclose(np.min([box["min"] for box in boxes], axis=0), vertices.min(axis=0), atol=1e-5)
    np.testing.assert_allclose(np.max([box["max"] for box in boxes], axis=0), vertices.max(axis=0), atol=1e-5)


def test_no_file_names_the_folder_it_was_made_in(exported: dict[str, Path]) -> None:
    for kind in ("glb", "fbx"):
        assert str(exported[kind].parent.parent).encode() not in exported[kind].read_bytes()


def test_the_fbx_comes_back_with_keys_and_armature(
    blender: ModuleType, exported: dict[str, Path], asset_folder: Path
) -> None:
    blender.ops.import_scene.fbx(filepath=str(exported["fbx"]))
    armature = next(item for item in blender.data.objects if item.type == "ARMATURE")
    head = next(item for item in blender.data.objects if item.type == "MESH" and item.data.shape_keys)
    assert armature.name == "Armature"
    assert [key.name for key in head.data.shape_keys.key_blocks[1:]] == list(ARKIT_NAMES)
    assert [bone.name for bone in armature.data.bones] == list(verify.BONES)
    assert tuple(head.scale) == pytest.approx((1, 1, 1))
    original = import_head(asset_folder).head
    assert tuple(head.dimensions) == pytest.approx(tuple(original.dimensions), abs=1e-5)
    assert len(head.data.polygons) == len(original.data.polygons)
    assert [len(face.vertices) for face in head.data.polygons] == [len(f.vertices) for f in original.data.polygons]


def test_opening_the_blend_shows_the_head(blender: ModuleType, exported: dict[str, Path]) -> None:
    blender.ops.wm.open_mainfile(filepath=str(exported["blend"]))
    scene = blender.context.scene
    assert {item.name for item in scene.objects} == {
        *("Sample", "Sample Hair", "Sample Rig", "Camera", "Key", "Fill", "Rim", "Reflector", "Studio")
    }
    assert len(blender.data.scenes) == 1
    assert scene.camera.name == "Camera"
    head = head_of(blender.data.objects["Sample"])
    assert head is not None
    assert head.collection.name == "Sample"
    views = [
        space
        for screen in blender.data.screens
        for area in screen.areas
        for space in area.spaces
        if space.type == "VIEW_3D"
    ]
    assert views
    for space in views:
        assert space.region_3d.view_distance < 2.0
        assert space.shading.type == "MATERIAL"
    from bpy_extras.object_utils import world_to_camera_view

    for corner in head.head.bound_box:
        seen = world_to_camera_view(scene, scene.camera, head.head.matrix_world @ type(scene.cursor.location)(corner))
        assert 0 < seen.x < 1
        assert 0 < seen.y < 1


def disturb(blender: ModuleType, head) -> None:
    """What artists do to a head between import and export."""
    head.head.modifiers.new("Subdivision", "SUBSURF")
    head.armature.location = (3, 2, 1)
    head.armature.scale = (2, 2, 2)
    head.armature.pose.bones["jaw"].rotation_quaternion = (0.9, 0.4, 0, 0)
    head.hair.hide_viewport = True
    keys = head.head.data.shape_keys
    keys.key_blocks["jawOpen"].value = 0.8
    keys.key_blocks["tongueOut"].mute = True
    driver = keys.key_blocks["mouthSmileLeft"].driver_add("value").driver
    driver.expression = "0.7"
    keys.key_blocks["browInnerUp"].keyframe_insert("value", frame=1)
    own = head.head.shape_key_add(name="My own", from_mix=False)
    own.data[0].co.z += 0.01
    blender.context.view_layer.update()


def test_the_artist_s_pose_modifiers_and_drivers_do_not_reach_the_files(
    blender: ModuleType, asset_folder: Path, tmp_path: Path, exported: dict[str, Path]
) -> None:
    from scene_state import describe, make_busy_scene

    make_busy_scene()
    head = import_head(asset_folder)
    disturb(blender, head)
    before = describe()
    written = export_head(head, tmp_path)
    assert describe() == before
    for kind, path in written.items():
        assert path.stat().st_size > 0.9 * exported[kind].stat().st_size
    gltf, _ = verify.read_glb(written["glb"])
    mesh = next(mesh for mesh in gltf["meshes"] if "extras" in mesh)
    assert tuple(mesh["extras"]["targetNames"]) == (*ARKIT_NAMES, "My own")
    assert mesh["weights"] == [0.0] * 53
    plain, _ = verify.read_glb(exported["glb"])
    same = next(mesh for mesh in plain["meshes"] if "extras" in mesh)
    for changed, primitive in zip(mesh["primitives"], same["primitives"], strict=True):
        for corner in ("min", "max"):
            found = gltf["accessors"][changed["attributes"]["POSITION"]][corner]
            assert found == pytest.approx(plain["accessors"][primitive["attributes"]["POSITION"]][corner], abs=1e-6)


def test_what_is_painted_on_the_skin_is_exported(blender: ModuleType, asset_folder: Path, tmp_path: Path) -> None:
    head = import_head(asset_folder)
    image = next(image for image in blender.data.images if image.name == "Sample skin")
    pixels = np.zeros(len(image.pixels), dtype=np.float32)
    pixels[0::4] = pixels[3::4] = 1.0
    image.pixels.foreach_set(pixels)
    assert image.is_dirty
    written = export_head(head, tmp_path)
    assert image.is_dirty
    blender.ops.wm.read_factory_settings(use_empty=True)
    for kind, read in (("glb", blender.ops.import_scene.gltf), ("fbx", blender.ops.import_scene.fbx)):
        blender.ops.wm.read_factory_settings(use_empty=True)
        read(filepath=str(written[kind]))
        found = next(image for image in blender.data.images if "skin" in image.name)
        assert tuple(found.pixels[:4]) == pytest.approx((1, 0, 0, 1)), kind


def test_hair_with_keys_of_the_artist_s_own_is_exported(
    blender: ModuleType, asset_folder: Path, tmp_path: Path
) -> None:
    head = import_head(asset_folder)
    assert head.hair is not None
    for name in ("Basis", "Wind"):
        head.hair.shape_key_add(name=name)
    found = head_of(head.collection)
    assert found is not None
    written = export_head(found, tmp_path)
    gltf, _ = verify.read_glb(written["glb"])
    keys = {mesh["name"]: mesh["extras"]["targetNames"] for mesh in gltf["meshes"] if "weights" in mesh}
    assert keys == {"Sample": list(ARKIT_NAMES), "Sample Hair": ["Wind"]}


def test_several_heads_do_not_mix(blender: ModuleType, asset_folder: Path, tmp_path: Path) -> None:
    from synthetic_asset import write_asset

    import_head(asset_folder, "First")
    second = import_head(write_asset(tmp_path / "bald", hair=False), "Second")
    written = export_head(second, tmp_path / "out", ("glb",))
    gltf, _ = verify.read_glb(written["glb"])
    assert [mesh["name"] for mesh in gltf["meshes"]] == ["Second"]
    assert list(written) == ["glb"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["head.glb"]


def test_an_older_export_is_replaced(blender: ModuleType, asset_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "head.glb").write_bytes(b"old")
    written = export_head(import_head(asset_folder), tmp_path, ("glb",))
    verify.verify_glb(written["glb"])


def test_a_failed_export_leaves_files_and_scene_alone(blender: ModuleType, asset_folder: Path, tmp_path: Path) -> None:
    from scene_state import describe

    head = import_head(asset_folder)
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "head.glb").write_bytes(b"older export")
    assert head.hair is not None
    head.head.data.materials.clear()
    head.hair.data.materials.clear()  # so that there is no texture to embed
    before = describe()
    with pytest.raises(verify.VerifyError, match="textures are not inside"):
        export_head(head, folder, ("glb",))
    assert describe() == before
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("head.glb", b"older export")]


def test_a_folder_that_cannot_be_written_is_a_sentence(blender: ModuleType, asset_folder: Path, tmp_path: Path) -> None:
    head = import_head(asset_folder)
    occupied = tmp_path / "file"
    occupied.write_text("not a folder")
    with pytest.raises(ExportError, match="Choose a folder"):
        export_head(head, occupied)
    with pytest.raises(ExportError, match="obj"):
        export_head(head, tmp_path / "out", ("obj",))
    if Path("/dev/full").exists() and os.access("/proc", os.F_OK):
        with pytest.raises(ExportError, match="Choose a folder"):
            export_head(head, Path("/proc/portrait"))


@pytest.mark.parametrize("kind", ["blend", "glb", "fbx"])
def test_a_disk_that_fills_up_is_a_sentence_and_no_file(
    blender: ModuleType, asset_folder: Path, tmp_path: Path, kind: str
) -> None:
    resource = pytest.importorskip("resource", reason="limits the size of files as Unix does")
    from scene_state import describe

    head = import_head(asset_folder)
    before = describe()
    # A file that may not grow fails at the same call as one on a full disk.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises((ExportError, verify.VerifyError)) as refused:
            export_head(head, tmp_path, (kind,))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(refused.value).count(".") >= 2
    assert describe() == before
    assert not list(tmp_path.iterdir())


def test_paths_with_spaces_and_other_letters(blender: ModuleType, asset_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "für Zoë – 頭" / "out put"
    written = export_head(import_head(asset_folder, "Zoë"), folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in written.values())


def drop_target(gltf: dict[str, Any]) -> None:
    for mesh in gltf["meshes"]:
        for primitive in mesh["primitives"]:
            if "targets" in primitive:
                primitive["targets"].pop()


def in_head(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], None]:
    return lambda gltf: change(next(mesh for mesh in gltf["meshes"] if "extras" in mesh))


def scale_boxes(gltf: dict[str, Any]) -> None:
    for accessor in gltf["accessors"]:
        for corner in ("min", "max"):
            if corner in accessor:
                accessor[corner] = [100 * value for value in accessor[corner]]


GLB_FAULTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a key at 1": (in_head(lambda mesh: mesh["weights"].__setitem__(17, 1.0)), "not at 0"),
    "keys in another order": (in_head(lambda mesh: mesh["extras"]["targetNames"].reverse()), "not those of the head"),
    "no names": (in_head(lambda mesh: mesh.pop("extras")), "not those of the head"),
    "no keys": (in_head(lambda mesh: mesh.pop("weights")), "0 of its meshes"),
    "a part without a key": (drop_target, "lacks shape keys"),
    "centimetres": (scale_boxes, "units are wrong"),
    "no skin": (lambda gltf: gltf.pop("skins"), "no armature"),
    "another bone": (lambda gltf: gltf["skins"][0]["joints"].pop(), "bones"),
    "texture outside": (lambda gltf: gltf["images"][0].pop("bufferView"), "textures are not inside"),
    "scaled": (lambda gltf: gltf["nodes"][0].update(scale=[100, 100, 100]), "scaled"),
}


@pytest.mark.parametrize("fault", GLB_FAULTS)
def test_a_glb_that_is_not_right_is_noticed(exported: dict[str, Path], tmp_path: Path, fault: str) -> None:
    change, expected = GLB_FAULTS[fault]

    def apply(gltf: dict[str, Any]) -> None:
        if fault == "no names":
            next(mesh for mesh in gltf["meshes"] if "extras" in mesh).pop("extras")
        else:
            change(gltf)

    broken = change_glb(exported["glb"], tmp_path / "head.glb", apply)
    with pytest.raises(verify.VerifyError, match=expected):
        verify.verify_glb(broken)


@pytest.mark.parametrize("kind", ["glb", "fbx", "blend"])
@pytest.mark.parametrize("keep", [0.0, 0.4])
def test_half_a_file_is_noticed(
    blender: ModuleType, exported: dict[str, Path], tmp_path: Path, kind: str, keep: float
) -> None:
    from scene_state import describe

    data = exported[kind].read_bytes()
    broken = tmp_path / exported[kind].name
    broken.write_bytes(data[: int(len(data) * keep)])
    before = describe()
    check = {"glb": verify.verify_glb, "fbx": verify.verify_fbx, "blend": verify.verify_blend}[kind]
    with pytest.raises(verify.VerifyError, match=re.escape(broken.name)):
        check(broken)
    assert describe() == before


def test_reading_back_leaves_the_scene_alone(
    blender: ModuleType, exported: dict[str, Path], asset_folder: Path, tmp_path: Path
) -> None:
    from scene_state import describe, make_busy_scene

    make_busy_scene()
    import_head(asset_folder)
    before = describe()
    copies = {kind: Path(shutil.copy(path, tmp_path)) for kind, path in exported.items()}
    verify.verify_glb(copies["glb"])
    verify.verify_fbx(copies["fbx"])
    verify.verify_blend(copies["blend"])
    assert describe() == before


@pytest.mark.parametrize("kind", ["fbx", "blend"])
def test_wrong_keys_and_bones_are_noticed(blender: ModuleType, exported: dict[str, Path], kind: str) -> None:
    check = {"fbx": verify.verify_fbx, "blend": verify.verify_blend}[kind]
    with pytest.raises(verify.VerifyError, match="shape keys"):
        check(exported[kind], shape_keys=ARKIT_NAMES[::-1])
    with pytest.raises(verify.VerifyError, match="bones"):
        check(exported[kind], bones=("root",))
