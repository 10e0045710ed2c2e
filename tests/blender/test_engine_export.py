# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads written for engines: names, units, levels of detail, textures; the scene stays as it is."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs the bpy wheel")

from mathutils.bvhtree import BVHTree

from addon.data.engines import BY_IDENTIFIER, ENGINES, VISEME_KEYS, VRM_EXPRESSIONS
from addon.scene import compat, verify
from addon.scene.arkit import ARKIT_NAMES
from addon.scene.engine_export import EngineOptions, Exported, export_for_engine
from addon.scene.export import ExportError
from addon.scene.importer import ImportedHead, import_head
from addon.scene.lods import key_offsets, reduced
from addon.scene.staging import staged


@pytest.fixture
def head(blender: ModuleType, asset_folder: Path) -> ImportedHead:
    return import_head(asset_folder)


def export(head: ImportedHead, folder: Path, engine: str, **options: Any) -> Exported:
    return export_for_engine(head, folder / "anna", EngineOptions(BY_IDENTIFIER[engine], **options))


def import_again(blender: ModuleType, path: Path) -> tuple[list[Any], Any]:
    """The meshes, finest head first, and the armature of a file."""
    blender.ops.wm.read_factory_settings(use_empty=True)
    if path.suffix == ".fbx":
        compat.import_fbx(path)
    else:
        blender.ops.import_scene.gltf(filepath=str(path), disable_bone_shape=True)
    blender.context.view_layer.update()
    meshes = [item for item in blender.data.objects if item.type == "MESH"]
    (armature,) = [item for item in blender.data.objects if item.type == "ARMATURE"]
    return sorted(meshes, key=lambda item: (item.data.shape_keys is None, -len(item.data.vertices))), armature


def fbx_numbers(path: Path, name: bytes) -> list[tuple[float, ...]]:
    """The values of every property `name` of an FBX file."""
    from io_scene_fbx import parse_fbx

    found = []

    def visit(element: Any) -> None:
        if element.id == b"P" and element.props[0] == name:
            found.append(tuple(element.props[4:]))
        for each in element.elems:
            visit(each)

    visit(parse_fbx.parse(str(path))[0])
    return found


@pytest.mark.parametrize("engine", [each.identifier for each in ENGINES])
def test_each_engine_gets_its_own_names_and_the_right_size(
    blender: ModuleType, head: ImportedHead, tmp_path: Path, engine: str
) -> None:
    height = head.head.dimensions.z
    made = export(head, tmp_path, engine)
    assert [path.name for path in made.files] == [f"anna.{BY_IDENTIFIER[engine].kind}"]
    meshes, armature = import_again(blender, made.files[0])
    keys = [key.name for key in meshes[0].data.shape_keys.key_blocks[1:]]
    assert keys == list(made.keys)
    first = {"UNREAL": "EyeBlinkLeft"}.get(engine, "eyeBlinkLeft")
    assert keys[0] == first
    assert len(keys) == 52 + (len(VRM_EXPRESSIONS) if engine == "VRM" else 0)
    expected = {
        "UNREAL": {"root", "neck_01", "head", "jaw", "eye_l", "eye_r"},
        "VRM": {"root", "neck", "head", "jaw", "leftEye", "rightEye"},
        "GLTF": set(verify.BONES),
    }.get(engine, {"Root", "Neck", "Head", "Jaw", "LeftEye", "RightEye"})
    assert {bone.name for bone in armature.data.bones} == expected
    assert {group.name for group in meshes[0].vertex_groups} <= expected
    corners = np.array([(meshes[0].matrix_world @ vertex.co)[:] for vertex in meshes[0].data.vertices])
    assert np.ptp(corners[:, 2]) == pytest.approx(height, abs=1e-4)


def test_nothing_in_an_unreal_file_is_scaled_and_it_counts_in_centimetres(
    blender: ModuleType, head: ImportedHead, tmp_path: Path
) -> None:
    (path,) = export(head, tmp_path, "UNREAL").files
    blender.ops.preferences.addon_enable(module="io_scene_fbx")
    scales = fbx_numbers(path, b"Lcl Scaling")
    assert scales
    np.testing.assert_allclose(scales, 1.0, atol=1e-6)
    assert fbx_numbers(path, b"UnitScaleFactor") == [pytest.approx((1.0,))]


def test_levels_of_detail_are_objects_for_unity_and_files_for_the_others(
    blender: ModuleType, head: ImportedHead, tmp_path: Path
) -> None:
    separate = export(head, tmp_path, "GODOT", lods=2)
    assert [path.name for path in separate.files] == ["anna.glb", "anna_LOD1.glb", "anna_LOD2.glb"]
    together = export(head, tmp_path, "UNITY", lods=2)
    assert [path.name for path in together.files] == ["anna.fbx"]
    full, half, quarter = together.triangles
    assert half == pytest.approx(full / 2, rel=0.05)
    assert quarter == pytest.approx(full / 4, rel=0.05)
    assert separate.triangles == together.triangles
    meshes, _ = import_again(blender, together.files[0])
    assert {mesh.name for mesh in meshes} == {
        f"{name}_LOD{level}" for name in ("Sample", "Sample Hair") for level in range(3)
    }
    for mesh in meshes[:3]:
        assert [key.name for key in mesh.data.shape_keys.key_blocks[1:]] == list(ARKIT_NAMES)
        assert {slot.material.name for slot in mesh.material_slots} == {"Sample skin", "Sample eyes", "Sample lashes"}


@pytest.mark.parametrize("share", [0.5, 0.25])
def test_a_coarse_head_moves_as_the_full_one(head: ImportedHead, share: float) -> None:
    """Every vertex of the coarse mesh is displaced as the full surface is at that place."""
    with staged(head) as copy:
        coarse = reduced(copy.head, share, "Coarse", copy.scene)
        full, carried = key_offsets(copy.head.data), key_offsets(coarse.data)
        places = [vertex.co.copy() for vertex in coarse.data.vertices]
        corners = [vertex.co for vertex in copy.head.data.vertices]
        polygons = [tuple(polygon.vertices) for polygon in copy.head.data.polygons]
        tree = BVHTree.FromPolygons(corners, polygons)
        size = np.linalg.norm(full, axis=2).max()
        nearest = [tree.find_nearest(place) for place in places]
        # The nearest corner's displacement: the surface's own within one face of the full mesh.
        closest = [min(polygons[face], key=lambda index: (corners[index] - hit).length) for hit, _, face, _ in nearest]
        error = np.linalg.norm(carried - full[:, closest], axis=2)
        still = np.linalg.norm(full[:, closest], axis=2) < 1e-7
        assert np.percentile(error, 99) < 0.05 * size
        assert np.linalg.norm(carried[still], axis=1).mean() < 0.001 * size
        # What opens must open by as much.
        jaw = ARKIT_NAMES.index("jawOpen")
        assert np.ptp(carried[jaw], axis=0) == pytest.approx(np.ptp(full[jaw], axis=0), rel=0.25)
        assert max(distance for *_, distance in nearest) < 0.012
        weights = [sum(group.weight for group in vertex.groups) for vertex in coarse.data.vertices]
        assert weights == pytest.approx(np.ones(len(weights)), abs=0.02)


def test_a_coarse_mesh_does_not_mix_what_only_touches(head: ImportedHead) -> None:
    """Eyes lie in the skin without being part of it: a blink must not move them on any level."""
    with staged(head) as copy:
        coarse = reduced(copy.head, 0.25, "Coarse", copy.scene)
        offsets = key_offsets(coarse.data)[ARKIT_NAMES.index("eyeBlinkLeft")]
        before = key_offsets(copy.head.data)[ARKIT_NAMES.index("eyeBlinkLeft")]
        for mesh, moved in ((copy.head.data, before), (coarse.data, offsets)):
            eyes = [index for index, material in enumerate(mesh.materials) if "eyes" in material.name]
            corners = {corner for face in mesh.polygons if face.material_index in eyes for corner in face.vertices}
            assert corners
            largest = np.linalg.norm(moved[sorted(corners)], axis=1).max()
            if mesh is copy.head.data:
                limit = largest
        assert largest <= limit + 1e-6


def test_visemes_and_vrm_s_expressions_are_sums_of_the_keys(
    blender: ModuleType, head: ImportedHead, tmp_path: Path
) -> None:
    names = list(ARKIT_NAMES)
    offsets = key_offsets(head.head.data)
    made = export(head, tmp_path, "VRM", visemes=True)
    assert made.keys == (*ARKIT_NAMES, *VRM_EXPRESSIONS, *VISEME_KEYS)
    meshes, _ = import_again(blender, made.files[0])
    found = dict(zip(made.keys, key_offsets(meshes[0].data), strict=True))
    for name in ("blink", "happy", "viseme_aa"):
        weights = {**VRM_EXPRESSIONS, **VISEME_KEYS}[name]
        expected = sum(weight * offsets[names.index(each)] for each, weight in weights.items())
        # glTF splits vertices at seams, so only the extent of the movement is compared.
        assert found[name].min(axis=0) == pytest.approx(np.asarray(expected).min(axis=0), abs=1e-5)
        assert found[name].max(axis=0) == pytest.approx(np.asarray(expected).max(axis=0), abs=1e-5)


def test_hair_and_texture_size_are_a_choice(blender: ModuleType, head: ImportedHead, tmp_path: Path) -> None:
    blender.data.images["Sample skin"].scale(64, 32)
    blender.data.images["Sample skin"].pack()
    (path,) = export(head, tmp_path, "THREE", hair=False, texture_size=32).files
    meshes, _ = import_again(blender, path)
    assert len(meshes) == 1
    sizes = sorted(tuple(image.size) for image in blender.data.images if image.size[0])
    assert sizes == [(32, 16), *[(32, 32)] * 6], "skin, eyes, lashes and four maps, in their proportions"


def test_unreal_gets_normals_with_green_downwards(blender: ModuleType, head: ImportedHead, tmp_path: Path) -> None:
    def green(path: Path) -> np.ndarray:
        import_again(blender, path)
        image = next(image for image in blender.data.images if "skin" in image.name and "normal" in image.name)
        return np.array(image.pixels[:]).reshape(-1, 4)[:, 1]

    unity, unreal = export(head, tmp_path, "UNITY").files[0], export(head, tmp_path / "u", "UNREAL").files[0]
    upwards, downwards = green(unity), green(unreal)
    assert np.ptp(upwards) > 0.05
    np.testing.assert_allclose(downwards, 1 - upwards, atol=0.005)


@pytest.mark.parametrize("engine", ["UNITY", "UNREAL", "VRM"])
def test_the_scene_is_as_it_was(blender: ModuleType, asset_folder: Path, tmp_path: Path, engine: str) -> None:
    from scene_state import describe, make_busy_scene

    make_busy_scene()
    head = import_head(asset_folder)
    import_head(asset_folder, "Second")
    head.armature.location = (1, 2, 3)
    head.head.data.shape_keys.key_blocks["jawOpen"].value = 0.5
    head.head.modifiers.new("Subdivision", "SUBSURF")
    blender.context.view_layer.update()
    before = describe()
    sizes = {image.name: tuple(image.size) for image in blender.data.images}
    unit = blender.context.scene.unit_settings.scale_length
    export(head, tmp_path, engine, lods=1, hair=engine != "VRM", texture_size=64, visemes=True)
    assert describe() == before
    assert blender.context.scene.unit_settings.scale_length == unit
    assert {image.name: tuple(image.size) for image in blender.data.images} == sizes


def test_a_folder_that_cannot_be_written_is_a_sentence_and_leaves_nothing(head: ImportedHead, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ExportError, match="Choose a folder"):
        export(head, tmp_path / "file", "UNITY")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
