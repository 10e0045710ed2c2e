# SPDX-License-Identifier: GPL-3.0-or-later
"""A head asset that brings the free-topology sculpt too."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from addon.scene.arkit import ARKIT_NAMES
from tests.blender.synthetic_asset import write_asset


@pytest.fixture
def with_sculpt(tmp_path: Path) -> Path:
    """The small asset with its head and hair a second time, as the sculpt."""
    folder = write_asset(tmp_path / "asset")
    description = json.loads((folder / "asset.json").read_text())
    with np.load(folder / "arrays.npz") as archive:
        arrays = dict(archive)
    for mesh in list(description["meshes"]):
        name = {"head": "sculpt", "hair": "sculpt_hair"}[mesh["name"]]
        description["meshes"].append({**mesh, "name": name})
        own = {key: array for key, array in arrays.items() if key.startswith(f"{mesh['name']}/")}
        arrays |= {f"{name}/{key.split('/')[1]}": array for key, array in own.items()}
    np.savez(folder / "arrays.npz", **arrays)
    (folder / "asset.json").write_text(json.dumps(description))
    return folder


def test_the_sculpt_comes_hidden_into_the_heads_collection(blender: ModuleType, with_sculpt: Path) -> None:
    from addon.scene.importer import head_of, import_head

    head = import_head(with_sculpt)
    meshes = {item.name: item for item in head.collection.objects if item.type == "MESH"}
    extra = [item for item in meshes.values() if item not in (head.head, head.hair)]
    assert len(extra) == 2
    assert all(item.hide_viewport and item.hide_render for item in extra)
    assert all(item.find_armature() == head.armature for item in extra)
    (sculpt,) = [item for item in extra if item.data.shape_keys]
    keys = sculpt.data.shape_keys.key_blocks
    assert [key.name for key in keys[1:]] == list(ARKIT_NAMES) and all(key.value == 0 for key in keys)
    found = head_of(head.collection)
    assert found is not None and found.head == head.head and found.hair == head.hair
    assert head_of(sculpt) is not None


def test_the_sculpt_comes_back_from_a_glb_with_its_keys_and_its_texture(
    blender: ModuleType, with_sculpt: Path, tmp_path: Path
) -> None:
    from addon.scene.importer import import_head
    from addon.scene.writers import write_glb

    head = import_head(with_sculpt)
    wanted = [item for item in head.collection.objects if item.type == "MESH" and item not in (head.head, head.hair)]
    counts = sorted(len(item.data.polygons) for item in wanted)
    for item in [*wanted, head.armature]:
        item.hide_viewport = False
        item.select_set(True)
    write_glb(tmp_path / "sculpt.glb")
    blender.ops.wm.read_factory_settings(use_empty=True)
    blender.ops.import_scene.gltf(filepath=str(tmp_path / "sculpt.glb"))
    found = [item for item in blender.context.scene.objects if item.type == "MESH" and item.vertex_groups]
    assert len(found) == len(counts) == 2
    (keyed,) = [item for item in found if item.data.shape_keys]
    assert [key.name for key in keyed.data.shape_keys.key_blocks[1:]] == list(ARKIT_NAMES)
    for item in found:
        nodes = [node for material in item.data.materials for node in material.node_tree.nodes]
        assert any(node.type == "TEX_IMAGE" and node.image.size[0] > 0 for node in nodes)
