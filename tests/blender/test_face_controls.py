# SPDX-License-Identifier: GPL-3.0-or-later
"""Posing the face: presets, mirror, reset, search, keyframes, expression assets."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("bpy", reason="needs the bpy wheel")

from addon.data.expressions import EXPRESSIONS, PRESETS, VISEMES
from addon.data.face_regions import REGIONS, matching, opposite, other_side
from addon.scene import compat, face_controls, pose_assets
from addon.scene.arkit import ARKIT_NAMES
from addon.scene.heads import active_head, heads
from addon.scene.importer import ImportedHead, import_head


@pytest.fixture
def head(blender: ModuleType, asset_folder: Path) -> ImportedHead:
    return import_head(asset_folder)


def test_every_key_is_in_one_region_and_one_row() -> None:
    listed = [name for region in REGIONS for name in region.names]
    assert sorted(listed) == sorted(ARKIT_NAMES)
    assert [region.label for region in REGIONS] == ["Brows", "Eyes", "Nose", "Cheeks", "Mouth", "Jaw", "Tongue"]
    labels = [(region.label, control.label) for region in REGIONS for control in region.controls]
    assert len(set(labels)) == len(labels)


def test_a_mirror_undoes_itself_and_directions_are_no_sides() -> None:
    assert all(opposite(opposite(name)) == name for name in ARKIT_NAMES)
    assert opposite("jawLeft") == "jawRight"
    assert other_side("jawLeft") is None
    assert other_side("mouthSmileLeft") == "mouthSmileRight"


def test_presets_name_keys_that_exist_and_stay_in_range() -> None:
    meta = ("sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "ih", "oh", "ou")
    assert tuple(each.identifier for each in VISEMES) == meta
    assert {"happy", "angry", "sad", "surprised", "disgusted"} <= {each.identifier for each in EXPRESSIONS}
    for preset in PRESETS.values():
        assert set(preset.weights) <= set(ARKIT_NAMES), preset.identifier
        assert all(0.0 < weight <= 1.0 for weight in preset.weights.values()), preset.identifier
        assert all(preset.governs(name) for name in preset.weights), preset.identifier
    for first in PRESETS.values():
        same = [other.identifier for other in PRESETS.values() if other.weights == first.weights and first.weights]
        assert len(same) <= 1


def test_search_finds_words_in_any_order_and_case() -> None:
    assert matching("LEFT smile", ARKIT_NAMES) == ("mouthSmileLeft",)
    assert set(matching("brows", ARKIT_NAMES)) == set(REGIONS[0].names)
    assert matching("", ARKIT_NAMES) == ARKIT_NAMES
    assert matching("no such thing", ARKIT_NAMES) == ()


def test_a_preset_replaces_the_face_and_a_viseme_only_the_mouth(head: ImportedHead) -> None:
    face_controls.apply_preset(head, PRESETS["surprised"])
    face_controls.apply_preset(head, PRESETS["sad"], 0.5)
    weights = face_controls.weights(head)
    assert weights["browInnerUp"] == pytest.approx(0.5 * PRESETS["sad"].weights["browInnerUp"])
    assert weights["eyeWideLeft"] == 0.0
    face_controls.apply_preset(head, PRESETS["aa"])
    after = face_controls.weights(head)
    assert after["browInnerUp"] == weights["browInnerUp"]
    assert after["jawOpen"] == pytest.approx(PRESETS["aa"].weights["jawOpen"])
    assert after["mouthFrownLeft"] == 0.0


def test_adding_stops_at_the_end_of_the_slider(head: ImportedHead) -> None:
    for _ in range(3):
        face_controls.apply_preset(head, PRESETS["aa"], add=True)
    assert face_controls.weights(head)["jawOpen"] == 1.0


def test_mirror_copies_one_side_or_swaps_both(head: ImportedHead) -> None:
    face_controls.set_weights(head, {"mouthSmileLeft": 0.8, "eyeBlinkRight": 0.3, "jawLeft": 0.4})
    face_controls.mirror(head, "SWAP")
    swapped = {name: value for name, value in face_controls.weights(head).items() if value}
    assert swapped == pytest.approx({"mouthSmileRight": 0.8, "eyeBlinkLeft": 0.3, "jawRight": 0.4})
    changed = face_controls.mirror(head, "LEFT_TO_RIGHT")
    mirrored = {name: value for name, value in face_controls.weights(head).items() if value}
    assert mirrored == pytest.approx({"eyeBlinkLeft": 0.3, "eyeBlinkRight": 0.3, "jawRight": 0.4})
    assert set(changed) == {"eyeBlinkRight", "mouthSmileRight"}


def test_reset_takes_one_region_or_everything_with_own_keys(head: ImportedHead) -> None:
    head.head.shape_key_add(name="My own", from_mix=False).value = 0.5
    face_controls.set_weights(head, {"jawOpen": 0.5, "browInnerUp": 0.5})
    face_controls.reset(head, next(region for region in REGIONS if region.identifier == "jaw").names)
    assert face_controls.weights(head)["jawOpen"] == 0.0
    assert face_controls.weights(head)["browInnerUp"] == 0.5
    face_controls.reset(head)
    assert not any(face_controls.weights(head).values())


def test_keyframes_play_the_face_and_return_it_to_rest(blender: ModuleType, head: ImportedHead) -> None:
    scene = blender.context.scene
    assert face_controls.changed(head) == []
    face_controls.apply_preset(head, PRESETS["happy"])
    count = face_controls.insert_keys(head, face_controls.changed(head), 10)
    assert count == len(PRESETS["happy"].weights)
    face_controls.reset(head)
    assert set(face_controls.changed(head)) == set(PRESETS["happy"].weights), "animated keys come back to 0 too"
    face_controls.insert_keys(head, face_controls.changed(head), 20)
    smile = PRESETS["happy"].weights["mouthSmileLeft"]
    for frame, expected in ((10, smile), (15, smile / 2), (20, 0.0)):
        scene.frame_set(frame)
        assert face_controls.weights(head)["mouthSmileLeft"] == pytest.approx(expected, abs=1e-5)
    keys = head.head.data.shape_keys
    curves = compat.action_curves(keys.animation_data.action, keys)
    assert {curve.group.name for curve in curves} == {"Mouth", "Eyes", "Cheeks", "Jaw"}


def test_only_the_head_that_is_meant_moves(blender: ModuleType, asset_folder: Path) -> None:
    first, second = import_head(asset_folder, "First"), import_head(asset_folder, "Second")
    context = blender.context
    assert {each.collection.name for each in heads(context.scene)} == {"First", "Second"}
    context.view_layer.objects.active = None
    assert active_head(context) is None, "with two heads the artist has to say which"
    context.view_layer.objects.active = second.hair
    chosen = active_head(context)
    assert chosen is not None
    face_controls.apply_preset(chosen, PRESETS["angry"])
    face_controls.insert_keys(chosen, ["jawOpen"], 1)
    assert not any(face_controls.weights(first).values())
    assert first.head.data.shape_keys.animation_data is None
    blender.data.collections.remove(second.collection)
    for each in (second.head, second.hair, second.armature):
        blender.data.objects.remove(each)
    found = active_head(context)
    assert found is not None
    assert found.collection.name == "First", "a single head needs no choosing"


def test_expressions_become_assets_that_fit_another_file_s_head(
    blender: ModuleType, head: ImportedHead, asset_folder: Path, tmp_path: Path
) -> None:
    made = pose_assets.make_pose_assets(PRESETS.values())
    assert len(made) == len(PRESETS)
    assert all(action.asset_data for action in made)
    assert pose_assets.make_pose_assets(PRESETS.values()) == [], "a second time they are there already"
    face_controls.set_weights(head, {"tongueOut": 0.4})
    pose_assets.make_pose_asset("Cheeky", pose_assets.current_pose(head))
    library = tmp_path / "library.blend"
    blender.ops.wm.save_as_mainfile(filepath=str(library))

    blender.ops.wm.read_factory_settings(use_empty=True)
    other = import_head(asset_folder, "Other")
    before = {action.name for action in blender.data.actions}
    pose = pose_assets.read_library_pose(str(library), "Happy")
    assert {action.name for action in blender.data.actions} == before
    assert not blender.data.libraries
    face_controls.set_weights(other, {"browDownLeft": 1.0})
    face_controls.set_weights(other, pose)
    found = {name: value for name, value in face_controls.weights(other).items() if value}
    assert found == pytest.approx(PRESETS["happy"].weights)
    cheeky = pose_assets.read_library_pose(str(library), "Cheeky")
    assert cheeky["tongueOut"] == pytest.approx(0.4)
    assert pose_assets.read_library_pose(str(library), "no such asset") == {}
