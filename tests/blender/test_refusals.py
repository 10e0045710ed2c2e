# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel says where something cannot be done, and when it stops saying so."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("bpy", reason="needs the bpy wheel")

from extension import SCENE, scene


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
