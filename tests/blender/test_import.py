# SPDX-License-Identifier: GPL-3.0-or-later
"""A head asset in the scene: everything arrives, and nothing of the artist's changes."""

from __future__ import annotations

import shutil
import struct
import time
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest

from addon.scene.arkit import ARKIT_NAMES
from addon.scene.asset import AssetError, HeadAsset, MeshArrays, read_asset


def import_head(*arguments, **named):
    from addon.scene.importer import import_head as function

    return function(*arguments, **named)


def coordinates(points) -> np.ndarray:
    values = np.empty(len(points) * 3, dtype=np.float32)
    points.foreach_get("co", values)
    return values.reshape(-1, 3)


def test_the_face_looks_along_minus_y_with_its_left_at_plus_x(blender: ModuleType, asset_folder: Path) -> None:
    head = import_head(asset_folder)
    asset = read_asset(asset_folder)
    found, given = coordinates(head.head.data.vertices), asset.head.vertices
    np.testing.assert_array_equal(found[:, 0], given[:, 0])  # the subject's left stays +X
    np.testing.assert_array_equal(found[:, 1], -given[:, 2])  # the front (+Z) is -Y
    np.testing.assert_array_equal(found[:, 2], given[:, 1])  # up (+Y) is Z
    bones = head.armature.data.bones
    assert bones["eye.L"].head_local.x > 0 > bones["eye.L"].head_local.y
    assert bones["head"].tail_local.z > bones["head"].head_local.z


def test_quads_triangles_and_uvs_are_kept(blender: ModuleType, asset_folder: Path) -> None:
    asset = read_asset(asset_folder)
    for item, arrays in meshes(import_head(asset_folder), asset):
        mesh = item.data
        wanted = [tuple(corner for corner in face if corner >= 0) for face in arrays.faces.tolist()]
        assert [tuple(polygon.vertices) for polygon in mesh.polygons] == wanted
        uvs = np.empty(len(mesh.loops) * 2, dtype=np.float32)
        mesh.uv_layers.active.uv.foreach_get("vector", uvs)
        np.testing.assert_array_equal(uvs.reshape(-1, 2), arrays.uvs[arrays.faces >= 0])
        names = [mesh.materials[polygon.material_index].name for polygon in mesh.polygons]
        assert names == [f"Sample {asset.materials[index].name}" for index in arrays.material]
        assert all(polygon.use_smooth for polygon in mesh.polygons)
        assert all(polygon.normal.length > 0.5 for polygon in mesh.polygons)


def meshes(head, asset: HeadAsset) -> list[tuple[Any, MeshArrays]]:
    """Head and hair: each object in Blender with the arrays it was made from."""
    assert asset.hair is not None
    return [(head.head, asset.head), (head.hair, asset.hair)]


def test_52_keys_in_order_at_zero(blender: ModuleType, asset_folder: Path) -> None:
    head = import_head(asset_folder)
    asset = read_asset(asset_folder)
    keys = head.head.data.shape_keys
    assert keys.use_relative
    assert [key.name for key in keys.key_blocks] == ["Basis", *ARKIT_NAMES]
    assert {key.value for key in keys.key_blocks} == {0.0}
    assert {(key.slider_min, key.slider_max) for key in keys.key_blocks[1:]} == {(0.0, 1.0)}
    rest = coordinates(keys.key_blocks[0].data)
    assert asset.head.shape_keys is not None
    for key, offsets in zip(keys.key_blocks[1:], asset.head.shape_keys, strict=True):
        moved = coordinates(key.data) - rest
        np.testing.assert_allclose(moved, offsets[:, [0, 2, 1]] * [1, -1, 1], atol=1e-7)


def test_the_head_at_rest_is_the_neutral_head(blender: ModuleType, asset_folder: Path) -> None:
    head = import_head(asset_folder)
    evaluated = head.head.evaluated_get(blender.context.evaluated_depsgraph_get()).to_mesh()
    np.testing.assert_allclose(coordinates(evaluated.vertices), coordinates(head.head.data.vertices), atol=1e-6)


def test_weights_are_the_asset_s_and_at_most_four(blender: ModuleType, asset_folder: Path) -> None:
    asset = read_asset(asset_folder)
    for item, arrays in meshes(import_head(asset_folder), asset):
        names = [group.name for group in item.vertex_groups]
        assert names == [bone.name for bone in asset.bones]
        found = np.zeros((len(item.data.vertices), len(names)))
        for vertex in item.data.vertices:
            assert 0 < len(vertex.groups) <= 4
            for group in vertex.groups:
                found[vertex.index, group.group] = group.weight
        wanted = np.zeros_like(found)
        np.add.at(wanted, (np.arange(len(wanted))[:, None], arrays.joints), arrays.weights)
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_bones_move_the_head(blender: ModuleType, asset_folder: Path) -> None:
    head = import_head(asset_folder)
    eye = head.armature.pose.bones["eye.L"]
    eye.rotation_mode = "XYZ"
    eye.rotation_euler.x = 0.3
    blender.context.view_layer.update()
    evaluated = head.head.evaluated_get(blender.context.evaluated_depsgraph_get()).to_mesh()
    moved = np.linalg.norm(coordinates(evaluated.vertices) - coordinates(head.head.data.vertices), axis=1) > 1e-5
    near = np.linalg.norm(coordinates(head.head.data.vertices) - [0.032, -0.075, 0.03], axis=1) < 0.0135
    assert moved.sum() > 50
    assert not moved[~near].any()


def test_bones_bend_about_x_whichever_way_they_point(blender: ModuleType, asset_folder: Path) -> None:
    for bone in import_head(asset_folder).armature.data.bones:
        assert abs(bone.matrix_local.col[0].x) == pytest.approx(1, abs=1e-5)


def test_materials(blender: ModuleType, asset_folder: Path) -> None:
    head = import_head(asset_folder)
    assert head.hair is not None
    shaders = {}
    for slot in (*head.head.material_slots, *head.hair.material_slots):
        nodes = slot.material.node_tree.nodes
        shaders[slot.material.name] = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
        maps = {node.name: node.image for node in nodes if node.type == "TEX_IMAGE"}
        expected = {"base_color": "sRGB", "normal": "Non-Color", "orm": "Non-Color"}
        if slot.material.name in ("Sample lashes", "Sample hair"):
            expected = {"base_color": "sRGB"}
        assert {kind: image.colorspace_settings.name for kind, image in maps.items()} == expected
        for image in maps.values():
            assert image.packed_file is not None
            assert str(asset_folder) not in image.filepath
    assert list(shaders) == ["Sample skin", "Sample eyes", "Sample lashes", "Sample hair"]
    skin, eyes, lashes, hair = (shader.inputs for shader in shaders.values())
    assert hair["Roughness"].default_value == pytest.approx(0.5)
    for shader in (skin, eyes):
        (roughness,), (metal,), (normal,) = (shader[name].links for name in ("Roughness", "Metallic", "Normal"))
        assert (roughness.from_socket.name, metal.from_socket.name) == ("Green", "Blue")
        assert roughness.from_node.inputs[0].links[0].from_node.name == "orm"
        assert normal.from_node.bl_idname == "ShaderNodeNormalMap"
        assert normal.from_node.inputs["Color"].links[0].from_node.name == "normal"
    assert tuple(skin["Subsurface Radius"].default_value) == pytest.approx((0.00367, 0.00137, 0.00068))
    assert skin["Subsurface Weight"].default_value == pytest.approx(0.1)
    assert not skin["Alpha"].is_linked
    assert lashes["Alpha"].is_linked
    assert hair["Alpha"].is_linked
    assert lashes["Specular IOR Level"].default_value == pytest.approx(0.3)


@pytest.mark.parametrize("mode", ["EDIT", "SCULPT", "OBJECT"])
def test_nothing_of_the_artist_changes(blender: ModuleType, asset_folder: Path, mode: str) -> None:
    from scene_state import describe, make_busy_scene

    make_busy_scene()
    blender.ops.object.mode_set(mode=mode)
    before = describe()
    first, second = import_head(asset_folder), import_head(asset_folder)
    assert [first.collection.name, second.collection.name] == ["Sample.001", "Sample.002"]
    after = describe()
    for key, value in before.items():
        if isinstance(value, dict):
            kept = {name: users for name, users in after[key].items() if name in value}
            assert kept == value, key
        elif key in ("images", "node_groups"):
            assert set(value) < set(after[key]), key
        else:
            assert after[key] == value, key


def test_no_step_of_an_import_is_much_of_the_whole(blender: ModuleType, asset_folder: Path) -> None:
    """A window waits for one step at a time. In processor time: by the clock a busy machine makes any step long."""
    from addon.scene.importer import import_steps

    import_head(asset_folder)  # what Blender does once only
    costs = np.diff([time.thread_time()] + [time.thread_time() for _ in import_steps(asset_folder)])
    assert len(costs) > 40
    assert costs.max() < 0.3 * costs.sum(), f"{1000 * costs.max():.0f} of {1000 * costs.sum():.0f} ms"


def undo(bpy: ModuleType) -> None:
    bpy.ops.ed.undo()


def purge(bpy: ModuleType) -> None:
    bpy.data.orphans_purge()


def open_another_file(bpy: ModuleType) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)


@pytest.mark.parametrize("interrupt", [undo, purge, open_another_file])
def test_whatever_the_artist_does_between_two_steps_the_file_stays_whole(
    blender: ModuleType, asset_folder: Path, interrupt
) -> None:
    from addon.scene.importer import import_steps
    from addon.scene.retexture import retexture_steps

    outcomes = set()
    for moment in range(1, 56, 6):
        for task in ("import", "paint"):
            blender.ops.wm.read_factory_settings(use_empty=True)
            blender.ops.ed.undo_push(message="empty")
            before = 0
            if task == "paint":
                made = import_head(asset_folder)
                before = len(blender.data.images)
                steps = retexture_steps(made.collection.session_uid, asset_folder)
            else:
                steps = import_steps(asset_folder)
            blender.ops.ed.undo_push(message="begun")
            try:
                for number, _ in enumerate(steps):
                    if number == moment:
                        interrupt(blender)
                outcomes.add("done")
            except AssetError as error:
                outcomes.add("told")
                assert "The file was changed" in str(error) or "is gone" in str(error)
                assert len(blender.data.images) in (0, before)
                assert task == "paint" or not blender.data.objects
    assert outcomes == {"done", "told"}


def test_a_given_name_and_collection_are_used(blender: ModuleType, asset_folder: Path) -> None:
    people = blender.data.collections.new("People")
    blender.context.scene.collection.children.link(people)
    head = import_head(asset_folder, "Zoë Ångström", people)
    assert list(people.children) == [head.collection]
    assert head.head.name == "Zoë Ångström"


def test_what_the_artist_puts_beside_a_head_is_neither_its_face_nor_its_hair(
    blender: ModuleType, asset_folder: Path, tmp_path: Path
) -> None:
    from synthetic_asset import write_asset

    from addon.scene.importer import PART, head_of

    for folder in (asset_folder, write_asset(tmp_path / "bald", hair=False)):
        head = import_head(folder)
        if head.hair is not None:
            for name in ("Basis", "Wind"):
                head.hair.shape_key_add(name=name)
        for name, keyed in (("a beard", True), ("glasses", False)):
            item = blender.data.objects.new(name, blender.data.meshes.new_from_object(head.head))
            head.collection.objects.link(item)
            if keyed:
                item.shape_key_add(name="Basis")
        assert head_of(head.collection) == head

    # A file from before the parts were marked.
    old = import_head(asset_folder)
    assert old.hair is not None
    del old.head[PART], old.hair[PART]
    assert head_of(old.collection) == old


def test_an_asset_without_hair(blender: ModuleType, tmp_path: Path) -> None:
    from synthetic_asset import write_asset

    head = import_head(write_asset(tmp_path / "bald", hair=False))
    assert head.hair is None
    assert "Sample hair" not in blender.data.materials
    assert len(head.collection.objects) == 2


def test_one_undo_step(blender: ModuleType, asset_folder: Path) -> None:
    class ImportTest(blender.types.Operator):
        bl_idname = "wm.portrait_head_import_test"
        bl_label = "Import"
        bl_options: ClassVar[set[str]] = {"REGISTER", "UNDO"}

        def execute(self, context):
            import_head(asset_folder)
            return {"FINISHED"}

    blender.utils.register_class(ImportTest)
    try:
        blender.ops.ed.undo_push(message="before")
        blender.ops.wm.portrait_head_import_test("EXEC_DEFAULT", True)
        assert "Sample" in blender.data.objects
        blender.ops.ed.undo()
        assert not blender.data.objects
        assert not blender.data.collections
        blender.ops.ed.redo()
        assert len(blender.data.objects["Sample"].data.shape_keys.key_blocks) == 53
    finally:
        blender.utils.unregister_class(ImportTest)


def test_a_head_is_found_again_in_a_saved_file(blender: ModuleType, asset_folder: Path, tmp_path: Path) -> None:
    from addon.scene.importer import head_of

    import_head(asset_folder)
    path = str(tmp_path / "saved.blend")
    blender.ops.wm.save_as_mainfile(filepath=path)
    blender.ops.wm.open_mainfile(filepath=path)
    found = head_of(blender.data.objects["Sample Hair"])
    assert found is not None
    assert found.hair is not None
    assert (found.head.name, found.hair.name, found.armature.name) == ("Sample", "Sample Hair", "Sample Rig")
    blender.ops.mesh.primitive_cube_add()
    assert head_of(blender.context.object) is None


def spoil_png(path: Path) -> None:
    """A picture whole from outside, with nothing that could be decoded inside."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 8, 8, 77, 99, 9, 9, 9)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b""))


def double_faces(folder: Path) -> None:
    with np.load(folder / "arrays.npz") as archive:
        arrays = dict(archive)
    arrays["hair/faces"][1] = arrays["hair/faces"][0]
    np.savez(folder / "arrays.npz", **arrays)


@pytest.mark.parametrize(
    "damage",
    [lambda folder: spoil_png(folder / "hair.png"), double_faces, lambda folder: (folder / "hair.png").unlink()],
    ids=["texture that Blender cannot read", "face twice", "no texture"],
)
def test_a_failed_import_leaves_nothing(blender: ModuleType, asset_folder: Path, tmp_path: Path, damage) -> None:
    from scene_state import describe, make_busy_scene

    folder = tmp_path / "asset"
    shutil.copytree(asset_folder, folder)
    damage(folder)
    make_busy_scene()
    before = describe()
    with pytest.raises(AssetError):
        import_head(folder)
    assert describe() == before
