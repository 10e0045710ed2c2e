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


def test_the_faces_of_a_photo_are_known_before_generate_is_pressed(bpy_in, tmp_path: Path, peer: str) -> None:
    for name in ("anna", "group", "bad"):
        (tmp_path / f"{name}.jpg").touch()
    bpy_in(
        scene(peer)
        + f"""
    def choose(name):
        settings.photo = os.path.join({str(tmp_path)!r}, name)
        give_up, slowest = time.monotonic() + 60, 0.0
        while looking.step():  # what a timer does where there is a window
            assert time.monotonic() < give_up
            time.sleep(0.02)
        return looking.seen(settings.photo_path())
    assert choose("group.jpg") == looking.NOTHING
    assert jobs.backend_state().value == "stopped" and jobs._session is None, "nothing is started for it"
    choose("anna.jpg")
    assert op.generate() == {{"FINISHED"}}

    look = choose("group.jpg")
    assert [face.pixels for face in look.faces] == [300, 60]
    assert look.faces[1].trouble == "The face is too small."
    assert all(open(path, "rb").read(4) == b"\\x89PNG" for path in look.pictures)
    assert settings.face == 1
    assert op.choose_face(face=2) == {{"FINISHED"}}
    process = jobs._session._process
    process.send = None  # whoever asks for what is known now fails
    assert choose("group.jpg") == look and settings.face == 1
    del process.send
    look = choose("bad.jpg")
    assert look.error.kind == "no_face" and look.error.hint and look.faces == ()
    assert choose("none.jpg") == looking.NOTHING
    assert op.generate.poll() is False
    settings.photo = os.path.join({str(tmp_path)!r}, "group.jpg")
    settings.photo = os.path.join({str(tmp_path)!r}, "anna.jpg")
    addon_utils.disable(NAME, default_set=True)
    assert process.exit_status == 0
    """
    )


def test_an_answer_that_comes_late_stays_with_its_own_photo(bpy_in, tmp_path: Path, peer: str) -> None:
    for name in ("anna", "late_group", "late_job", "late_death", "late_change"):
        (tmp_path / f"{name}.jpg").touch()
    bpy_in(
        scene(peer)
        + f"""
    def path(name):
        return os.path.join({str(tmp_path)!r}, name + ".jpg")
    def begin(name):
        settings.photo = path(name)
        assert looking.step() and looking.under_way()
    def wait():
        give_up = time.monotonic() + 60
        while looking.step():
            assert time.monotonic() < give_up
            time.sleep(0.02)
    settings.photo = path("anna")
    assert op.generate() == {{"FINISHED"}}

    # Another photo is chosen while the faces of the first are looked for: one question at a time, each with its answer.
    begin("late_group")
    settings.photo = path("anna")
    looking.step()
    assert looking.seen(path("anna")) == looking.NOTHING
    wait()
    assert len(looking.seen(path("anna")).faces) == 1 and len(looking.seen(path("late_group")).faces) == 2

    begin("late_job")
    assert op.generate() == {{"FINISHED"}}, "a job goes first"
    wait()
    assert looking.seen(path("late_job")) == looking.NOTHING and jobs.status.error is None

    begin("late_change")
    os.utime(path("late_change"), (1, 1))
    wait()
    assert looking.seen(path("late_change")) == looking.NOTHING, "it is another picture now"

    begin("late_death")
    jobs._session._process.kill()
    wait()
    assert looking.seen(path("late_death")) == looking.NOTHING and jobs.backend_state().value == "stopped"
    assert op.generate() == {{"FINISHED"}}
    """
    )


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


def test_a_method_that_the_backend_cannot_use_is_refused_with_its_reason(bpy_in, tmp_path: Path, peer: str) -> None:
    (tmp_path / "anna.jpg").touch()
    bpy_in(
        scene(peer, tmp_path / "anna.jpg")
        + f"""
    settings.tier = "diffusion"
    nowhere = pathlib.Path({str(tmp_path)!r})
    assert jobs.machine() is None and op.generate.poll(), "the backend has not been asked"
    assert not any(pack.here for pack in jobs.packs(nowhere))
    assert op.generate() == {{"FINISHED"}}
    assert jobs.machine().name == "Abacus 3000"
    assert "Model packs are missing" in refused(op.generate)
    assert [pack.name for pack in jobs.packs(nowhere) if pack.here] == ["auraface"]
    settings.tier = "embedded"
    assert op.generate.poll()
    settings.tier = "diffusion"
    assert op.find_backend() == {{"FINISHED"}}
    assert op.generate.poll(), "packs may have come: it is asked anew"
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


def test_an_error_that_nobody_foresaw_does_not_leave_the_panel_at_work(bpy_in, tmp_path: Path, peer: str) -> None:
    (tmp_path / "anna.jpg").touch()
    bpy_in(
        scene(peer, tmp_path / "anna.jpg")
        + """
    generating = module("operators.generate")
    def broken(folder):
        raise RuntimeError("Blender has no more of that")
        yield
    steps, generating.import_steps = generating.import_steps, broken
    hook, sys.excepthook = sys.excepthook, sys.__excepthook__  # Blender tells it of errors in operators
    assert "no more of that" in refused(op.generate)
    sys.excepthook = hook
    assert not jobs.status.running and op.generate.poll()
    generating.import_steps = steps
    assert op.generate() == {"FINISHED"}
    """
    )


def test_a_photo_of_an_impossible_name_is_refused_in_words(bpy_in, peer: str) -> None:
    bpy_in(
        scene(peer, "n" * 300)
        + """
    assert not op.generate.poll() and "does not exist" in jobs.why_not(bpy.context)
    assert looking.seen(settings.photo_path()) == looking.NOTHING
    """
    )


def test_a_sentence_takes_as_many_rows_as_it_needs(bpy_in) -> None:
    bpy_in(
        SCENE
        + """
    rows = module("ui.status").rows
    assert rows("Only with Diffusion Models.", 40) == ["Only with Diffusion Models."]
    assert rows("Only with Diffusion Models.", 5) == ["Only with Diffusion", "Models."], "never below twenty letters"
    """
    )


def test_another_file_starts_without_what_was_said_of_the_last_photo(bpy_in, tmp_path: Path, peer: str) -> None:
    for name in ("anna.jpg", "bad.jpg"):
        (tmp_path / name).touch()
    bpy_in(
        scene(peer, tmp_path / "anna.jpg")
        + f"""
    bpy.ops.wm.save_as_mainfile(filepath={str(tmp_path / "anna.blend")!r}, copy=True)
    settings.photo = {str(tmp_path / "bad.jpg")!r}
    assert "No face" in refused(op.generate) and jobs.status.error is not None
    bpy.ops.wm.open_mainfile(filepath={str(tmp_path / "anna.blend")!r})
    assert jobs.status.error is None
    while looking.step():
        time.sleep(0.02)
    path = bpy.context.scene.portrait_head.photo_path()
    assert len(looking.seen(path).faces) == 1, "the backend is warm, so the photo of this file is looked at"
    """
    )


def test_a_folder_that_cannot_be_written_to_is_told_of_in_words(bpy_in, tmp_path: Path, peer: str) -> None:
    (tmp_path / "anna.jpg").touch()
    bpy_in(
        scene(peer, tmp_path / "anna.jpg")
        + """
    folder = job_folders.user_folder("jobs")
    folder.rmdir()
    folder.touch()  # nothing can be put into a file
    job_folders.user_folder = lambda name: folder.with_name(name)
    assert "Nothing can be written to" in refused(op.generate)
    assert not jobs.status.running
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
