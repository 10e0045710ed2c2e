# SPDX-License-Identifier: GPL-3.0-or-later
"""What is set in the add-on's preferences reaches the backend; and what opens other programs opens the right thing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("bpy", reason="needs the bpy wheel")

from extension import SCENE, scene

posix = pytest.mark.skipif(sys.platform == "win32", reason="the programs are shell scripts")


def script(path: Path, text: str) -> Path:
    """A program that the test can see being called."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@posix
def test_device_models_and_log_level_reach_the_worker(bpy_in, tmp_path: Path, peer: str) -> None:
    (tmp_path / "anna.jpg").touch()
    calls = tmp_path / "calls"
    worker = script(
        tmp_path / "bin" / "worker",
        f'echo "$*|${{CUDA_VISIBLE_DEVICES-unset}}|$PORTRAIT_HEAD_MODELS" >> "{calls}"; exec {peer}',
    )
    bpy_in(
        scene(f"'{worker}' worker", tmp_path / "anna.jpg")
        + f"""
    assert op.generate() == {{"FINISHED"}}
    assert op.generate() == {{"FINISHED"}}, "the same worker"
    for name, value in (("device", "cpu"), ("log_level", "detailed"), ("models_folder", {str(tmp_path)!r})):
        setattr(preferences, name, value)
        assert op.generate() == {{"FINISHED"}}
    """,
        CUDA_VISIBLE_DEVICES="7",
        PORTRAIT_HEAD_MODELS="elsewhere",
    )
    assert calls.read_text().splitlines() == [
        "worker|7|elsewhere",
        "worker||elsewhere",
        "--verbose worker||elsewhere",
        f"--verbose worker||{tmp_path}",
    ]


@posix
def test_another_computer_is_reached_through_ssh(bpy_in, tmp_path: Path, peer: str) -> None:
    (tmp_path / "anna.jpg").touch()
    ssh = script(tmp_path / "bin" / "ssh", f'echo "$*" > "{tmp_path}/called"; exec {peer}')
    bpy_in(
        scene("ssh box portrait-head worker", tmp_path / "anna.jpg")
        + """
    assert op.generate() == {"FINISHED"}
    assert head() is not None
    """,
        PATH=f"{ssh.parent}{os.pathsep}{os.environ['PATH']}",
    )
    assert (tmp_path / "called").read_text() == "box portrait-head worker\n"


@pytest.mark.skipif(sys.platform != "linux", reason="Blender opens files by xdg-open on Linux alone")
def test_logs_and_job_folders_are_opened(bpy_in, tmp_path: Path, peer: str) -> None:
    (tmp_path / "anna.jpg").touch()
    opener = script(tmp_path / "bin" / "xdg-open", f'echo "$1" >> "{tmp_path}/opened"')
    bpy_in(
        scene(peer, tmp_path / "anna.jpg")
        + """
    assert not op.open_log.poll(), "there is none yet"
    assert op.generate() == {"FINISHED"}
    assert op.open_log() == {"FINISHED"}
    assert op.open_job(job=job_folders.records()[0].folder.name) == {"FINISHED"}
    jobs.install_log_path().touch()
    assert op.open_install_log() == {"FINISHED"}
    """,
        PATH=f"{opener.parent}{os.pathsep}{os.environ['PATH']}",
    )
    log, job, install = ((tmp_path / "opened").read_text()).splitlines()
    assert Path(log).name == "backend.log"
    assert Path(job).name.startswith("anna-")
    assert Path(install).name == "install.log"


def test_packs_are_listed_with_their_licences_and_where_they_are(bpy_in, tmp_path: Path) -> None:
    (tmp_path / "models" / "auraface").mkdir(parents=True)
    (tmp_path / "models" / "auraface" / "pack.json").write_text("{}")
    bpy_in(
        SCENE
        + f"""
    assert preferences.models_path().name == "models", "of the user, as long as none is named"
    preferences.models_folder = {str(tmp_path / "models")!r}
    packs = {{pack.name: pack for pack in jobs.packs(preferences.models_path())}}
    assert [name for name, pack in packs.items() if pack.here] == ["auraface"]
    assert all(pack.licence and pack.url.startswith("https://") and pack.purpose for pack in packs.values())
    assert packs["auraface"].commercial and not packs["antelopev2"].commercial
    """,
        PORTRAIT_HEAD_MODELS="",
    )
