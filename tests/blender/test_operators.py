# SPDX-License-Identifier: GPL-3.0-or-later
"""Every operator, called as a script calls it, in every Blender that is there; and what it leaves in the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("bpy", reason="needs the bpy wheel")

from extension import SCENE, scene
from test_live_link import nod, write_recording


def test_every_operator_does_what_it_says(bpy_in, tmp_path: Path, peer: str, asset_folder: Path) -> None:
    (tmp_path / "sample.png").write_bytes((asset_folder / "photo.png").read_bytes())
    write_recording(tmp_path / "take.csv", nod, 1.0)
    called = bpy_in(
        scene(peer)
        + f"""
    import json
    folder, asset = pathlib.Path({str(tmp_path)!r}), {str(asset_folder)!r}
    names = set()
    class Noted:
        def __getattr__(self, name):
            names.add(name)
            return getattr(bpy.ops.portrait_head, name)
    op = Noted()
    assert "Select a head" in refused(op.face_reset)
    assert "poll" in refused(op.retexture, job="none"), "nothing to paint"

    assert "no photo" in refused(op.take_photo, filepath="notes.txt")
    assert op.take_photo(filepath=str(folder / "sample.png")) == {{"FINISHED"}}
    handler = bpy.types.PORTRAITHEAD_FH_photo  # what makes dropping a photo work
    assert handler.bl_import_operator == "portrait_head.take_photo" and ".jpg" in handler.bl_file_extensions
    assert op.choose_face(face=2) == {{"FINISHED"}}
    assert bpy.context.scene.portrait_head.face == 2
    assert op.generate() == {{"FINISHED"}}
    assert head().collection.name == "Sample"
    assert not op.cancel.poll()
    (record,) = job_folders.records()
    assert record.photo.name == "sample.png" and record.finished

    # Another head of the same job, then new textures for it alone.
    assert op.reimport(job=record.folder.name) == {{"FINISHED"}}
    assert len(heads.heads(bpy.context.scene)) == 2
    bpy.context.view_layer.objects.active = bpy.data.objects["Sample.001"]
    jaw = head().head.data.shape_keys.key_blocks["jawOpen"]
    jaw.value = 0.25
    image = texture("Sample.001 skin")
    image.scale(4, 4)
    assert image.size[0] == 4
    before = len(bpy.data.images), len(bpy.data.objects)
    assert op.retexture(job=record.folder.name) == {{"FINISHED"}}
    image = texture("Sample.001 skin")
    assert tuple(image.size) == (128, 128) and image.name == "Sample.001 skin", (tuple(image.size), image.name)
    assert (len(bpy.data.images), len(bpy.data.objects)) == before and jaw.value == 0.25
    assert op.variation(job=record.folder.name) == {{"FINISHED"}}
    assert settings.face == 2, "the face of that job"
    assert settings.seed == 1 and len(heads.heads(bpy.context.scene)) == 3

    # Each head has a job of its own, each is painted anew from its own, and another paint is no other head.
    assert op.variation(job=record.folder.name) == {{"FINISHED"}} and settings.seed == 2
    assert sorted(each.settings.seed for each in job_folders.records()) == [0, 1, 2]
    latest = job_folders.records()[0]
    assert latest.settings.seed == 2 and head().collection.name == "Sample.003"
    assert "another head" in refused(op.retexture, job=record.folder.name)
    settings.texture_size, settings.seed = "1024", 0
    assert op.retexture(job=latest.folder.name) == {{"FINISHED"}}
    assert len(job_folders.records()) == 3 and settings.seed == 2
    assert settings.texture_size == "1024", "how the skin is painted is the artist's choice, not that of the job"
    assert job_folders.records()[0].settings.texture_size == 1024
    settings.preset = "high"
    assert op.generate() == {{"FINISHED"}} and len(job_folders.records()) == 4
    assert "no longer there" in refused(op.reimport, job="gone")
    assert op.open_job.poll() and op.open_log.poll() and not op.open_install_log.poll()  # they open another program

    bpy.ops.wm.read_factory_settings(use_empty=True)
    addon_utils.enable(NAME, default_set=True)
    bpy.context.preferences.addons[NAME].preferences.backend = {peer!r}
    assert op.import_head(directory=asset) == {{"FINISHED"}}
    views = [area.spaces.active for area in bpy.context.screen.areas if area.type == "VIEW_3D"]
    assert {{view.shading.color_type for view in views}} == {{"MATERIAL"}}
    assert op.show_colours() == {{"FINISHED"}}
    assert {{view.shading.color_type for view in views}} == {{"TEXTURE"}}
    assert op.face_preset(preset="happy", strength=0.5) == {{"FINISHED"}}
    assert weights()["mouthSmileLeft"] == 0.425
    head().head.data.shape_keys.key_blocks["mouthSmileRight"].value = 0.0
    assert op.face_mirror(way="LEFT_TO_RIGHT") == {{"FINISHED"}}
    assert weights()["mouthSmileRight"] == 0.425
    bpy.context.scene.frame_set(7)
    assert op.face_key(scope="ALL") == {{"FINISHED"}}
    assert op.keep_pose_asset(name="Grin") == {{"FINISHED"}}
    assert op.face_reset(region="mouth") == {{"FINISHED"}}
    assert "mouthSmileLeft" not in weights() and weights()["cheekSquintLeft"]
    assert op.apply_pose_asset(action="Grin") == {{"FINISHED"}}
    assert weights()["mouthSmileLeft"] == 0.425
    assert op.make_pose_assets() == {{"FINISHED"}}
    assert bpy.data.actions["Angry"].asset_data
    assert op.apply_pose_asset(action="Angry") == {{"FINISHED"}}
    assert "browDownLeft" in weights() and "mouthSmileLeft" not in weights()
    assert "holds no expression" in refused(op.apply_pose_asset, action="Sample Rig")
    assert op.face_reset() == {{"FINISHED"}} and not weights()
    bpy.context.scene.tool_settings.use_keyframe_insert_auto = True
    bpy.context.scene.frame_set(20)
    op.face_preset(preset="aa")
    bpy.context.scene.frame_set(7)
    bpy.context.scene.frame_set(20)
    assert weights()["jawOpen"] == 0.6, "keyed by itself, as a dragged slider is"
    bpy.context.scene.render.fps = 30
    assert op.import_live_link(filepath=str(folder / "take.csv"), start=11, set_range=True) == {{"FINISHED"}}
    assert (bpy.context.scene.frame_start, bpy.context.scene.frame_end) == (11, 41)
    assert "no recording" in refused(op.import_live_link, filepath=asset + "/asset.json")

    settings = bpy.context.scene.portrait_head_export
    settings.engine, settings.lods = "UNREAL", 1
    assert op.export(filepath=str(folder / "out" / "anna.fbx")) == {{"FINISHED"}}
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["anna.fbx", "anna_LOD1.fbx"]
    assert "Name the file" in refused(op.export, filepath="")

    assert op.find_backend() == {{"FINISHED"}}
    bpy.context.scene.portrait_head.photo = str(folder / "bad.png")
    (folder / "bad.png").touch()
    assert "No face was found" in refused(op.generate)
    assert op.show_error.poll() and op.show_error() == {{"FINISHED"}}
    assert op.copy_report.poll()
    report = report.failure_report(jobs.status.error, bpy.app.version_string, "0", "here", jobs.log_path())
    assert "no_face: No face was found." in report and bpy.app.version_string in report
    assert op.copy_report() == {{"FINISHED"}}
    assert op.copy_report(installation=True) == {{"CANCELLED"}}, "nothing has gone wrong there"
    bpy.context.scene.portrait_head.photo = str(folder / "sample.png")
    assert not op.show_error.poll() and not op.copy_report.poll(), "that was the other photo's"
    operators = sys.modules[NAME + ".addon.operators"]
    ours = [each for each in operators.CLASSES if hasattr(each, "execute") and not each.__module__.endswith("backend")]
    known = {{each.bl_idname.partition(".")[2] for each in ours}}
    print("CALLED", json.dumps(sorted(known - names)))
    """
    )
    missed = json.loads(called.split("CALLED ")[1].splitlines()[0])
    assert missed == [], "operators that no test calls"


def test_cancel_while_the_head_is_being_added_leaves_no_trace(bpy_in, tmp_path: Path, peer: str) -> None:
    (tmp_path / "anna.jpg").touch()
    bpy_in(
        scene(peer, tmp_path / "anna.jpg")
        + """
    class Clock:
        perf_counter = time.perf_counter
        def sleep(seconds):  # between two ticks
            if jobs.status.stage == "Adding it to the scene":
                assert op.cancel() == {"FINISHED"}
    before = describe()
    module("operators.generate").time = Clock
    assert op.generate() == {"CANCELLED"}
    assert jobs.status.error.kind == "cancelled" and not jobs.status.running
    assert describe() == before
    """
    )


def test_words_and_a_mesh_reach_the_backend_and_come_back_with_the_head(bpy_in, tmp_path: Path, peer: str) -> None:
    for name in ("anna.jpg", "mine.ply"):
        (tmp_path / name).touch()
    bpy_in(
        scene(peer, tmp_path / "anna.jpg")
        + f"""
    import json
    mesh = {str(tmp_path / "mine.ply")!r}
    def asked():
        request = json.loads((job_folders.records()[0].folder / "request.json").read_text())
        return [request[name] for name in ("tier", "prompt", "style", "initial_mesh")]
    settings.prompt, settings.style = "grey beard", "marble"
    settings.initial_mesh = mesh + "x"
    assert "does not exist" in refused(op.generate)
    settings.initial_mesh = "//mine.ply"
    bpy.ops.wm.save_as_mainfile(filepath={str(tmp_path / "anna.blend")!r})
    assert op.generate() == {{"FINISHED"}}
    assert asked() == ["embedded", "", "", mesh], "this computer reads no words"
    settings.tier = "diffusion"
    assert op.find_backend() == {{"FINISHED"}}
    assert op.generate() == {{"FINISHED"}}
    assert asked() == ["diffusion", "grey beard", "marble", mesh]

    # Another style is another paint of the same head, of which all else is taken from its job.
    painted, plain = (record.folder.name for record in job_folders.records())
    settings.prompt, settings.style, settings.initial_mesh, settings.tier = "", "bronze", "", "embedded"
    assert op.find_backend() == {{"FINISHED"}}
    assert op.retexture(job=painted) == {{"FINISHED"}}
    assert asked() == ["diffusion", "grey beard", "bronze", mesh] and len(job_folders.records()) == 2
    assert op.variation(job=plain) == {{"FINISHED"}}
    assert asked() == ["embedded", "", "", mesh] and settings.prompt == "" and settings.style == "bronze"
    words = module("ui.panels").in_words
    assert [words(record.settings) for record in job_folders.records()] == [
        "Standard, from mine.ply, no. 1", "Standard, diffusion, from mine.ply, bronze", "Standard, from mine.ply"
    ]
    """
    )


def test_an_export_is_suggested_beside_the_file_and_keeps_the_name_that_was_typed(
    bpy_in, asset_folder: Path, tmp_path: Path
) -> None:
    bpy_in(
        SCENE
        + f"""
    export, engines = module("operators.export"), module("data.engines")
    folder, unreal = pathlib.Path({str(tmp_path)!r}), engines.BY_IDENTIFIER["UNREAL"]
    assert export.suggested("Anna", unreal, "") == "Anna.fbx"
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "scene.blend"))
    assert export.suggested("Anna", unreal, "") == str(folder / "Anna.fbx")
    assert export.suggested("Anna", unreal, str(folder / "out" / "ben.glb")) == str(folder / "out" / "Anna.fbx")
    op.import_head(directory={str(asset_folder)!r})
    bpy.context.scene.portrait_head_export.engine = "UNREAL"
    for name in ("anna.v2", "anna.v3", "ben.glb", "carl.FBX"):
        assert op.export(filepath=str(folder / "out" / name)) == {{"FINISHED"}}
    made = sorted(path.name for path in (folder / "out").iterdir())
    assert made == ["anna.v2.fbx", "anna.v3.fbx", "ben.fbx", "carl.fbx"], made
    """
    )


def test_nothing_of_the_artist_s_changes_and_undo_takes_it_back(bpy_in, asset_folder: Path, tmp_path: Path) -> None:
    bpy_in(
        SCENE
        + f"""
    make_busy_scene()
    bpy.ops.object.mode_set(mode="OBJECT")
    before = describe()
    bpy.ops.ed.undo_push(message="the artist's own work")
    assert op.import_head(directory={str(asset_folder)!r}) == {{"FINISHED"}}
    after = describe()
    own = [name for name in before if name.startswith(("object ", "keys ", "image ")) or name == "context"]
    assert {{name: after[name] for name in own}} == {{name: before[name] for name in own}}
    assert set(before["objects"].items()) <= set(after["objects"].items())
    bpy.context.view_layer.objects.active = next(each for each in bpy.data.objects if each.type == "ARMATURE")
    bpy.ops.ed.undo_push(message="Import Head")
    op.face_preset(preset="sad")
    op.face_key(scope="CHANGED")
    assert weights()
    bpy.ops.ed.undo_push(message="Face")
    if bpy.ops.ed.undo.poll():
        bpy.ops.ed.undo()
        assert not weights(), weights()
        bpy.ops.ed.undo()
        assert {{each.name for each in bpy.data.objects}} == set(before["objects"]), "the head is gone"
    """
    )


def test_faces_settings_and_animation_outlive_saving_and_two_heads_stay_apart(
    bpy_in, asset_folder: Path, tmp_path: Path
) -> None:
    bpy_in(
        SCENE
        + f"""
    for expression in ("happy", "angry"):
        op.import_head(directory={str(asset_folder)!r})
        made = heads.heads(bpy.context.scene)[-1]
        bpy.context.view_layer.objects.active = made.head
        op.face_preset(preset=expression)
        op.face_key(scope="CHANGED")
    bpy.context.scene.portrait_head.preset = "high"
    bpy.context.scene.portrait_head_export.engine = "GODOT"
    bpy.context.window_manager.portrait_head.search = "smile"
    path = {str(tmp_path / "two.blend")!r}
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    addon_utils.enable(NAME, default_set=True)
    bpy.ops.wm.open_mainfile(filepath=path)
    assert bpy.context.scene.portrait_head.preset == "high"
    assert bpy.context.scene.portrait_head_export.engine == "GODOT"
    first, second = heads.heads(bpy.context.scene)
    for made, key, other in ((first, "mouthSmileLeft", "browDownLeft"), (second, "browDownLeft", "mouthSmileLeft")):
        blocks = made.head.data.shape_keys.key_blocks
        assert blocks[key].value > 0.5 and blocks[other].value == 0.0, made.collection.name
        assert made.head.data.shape_keys.animation_data.action
    bpy.context.view_layer.objects.active = first.head
    op.face_reset()
    assert second.head.data.shape_keys.key_blocks["browDownLeft"].value > 0.5
    """
    )
