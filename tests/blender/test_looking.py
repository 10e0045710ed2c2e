# SPDX-License-Identifier: GPL-3.0-or-later
"""The faces of a photo, looked for before a head is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("bpy", reason="needs the bpy wheel")

from extension import scene


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
