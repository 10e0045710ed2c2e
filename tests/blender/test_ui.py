# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel in a real Blender with a window: the modal operator, Cancel, undo, another file."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("bpy", reason="needs the bpy wheel, whose tool builds the extension")

from extension import REPOSITORY, install, run_tool

BLENDER = shlex.split(os.environ.get("PORTRAIT_HEAD_BLENDER", ""))
pytestmark = [
    pytest.mark.skipif(not BLENDER, reason="PORTRAIT_HEAD_BLENDER names no Blender program"),
    pytest.mark.skipif(shutil.which("Xvfb") is None, reason="needs Xvfb for a window"),
]


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """An X display that nobody looks at."""
    reading, writing = os.pipe()
    command = [
        "Xvfb",
        "-displayfd",
        str(writing),
        "-screen",
        "0",
        "1280x720x24",
        "+extension",
        "GLX",
        "-nolisten",
        "tcp",
    ]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as answer:
        yield f":{answer.readline().strip()}"
    server.terminate()
    server.wait()


@pytest.fixture(scope="module")
def seen(display: str, asset_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What the driver saw, see `ui_driver.py`."""
    folder = tmp_path_factory.mktemp("ui")
    (folder / "anna.jpg").touch()
    (folder / "bad.jpg").touch()
    assert run_tool("build", "--source-dir", str(REPOSITORY), "--output-dir", str(folder)).returncode == 0
    (archive,) = folder.glob("*.zip")
    install(archive, folder / "resources")
    driver = Path(__file__).with_name("ui_driver.py")
    peer = REPOSITORY / "tests" / "addon" / "peer.py"
    command = [*BLENDER, "--factory-startup", "--window-geometry", "0", "0", "1280", "720", "--python", str(driver)]
    done = subprocess.run(
        [*command, "--", str(folder), str(peer), str(asset_folder)],
        env={**os.environ, "DISPLAY": display, "BLENDER_USER_RESOURCES": str(folder / "resources")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    return json.loads((folder / "seen.json").read_text())


def test_blender_stays_usable_while_a_head_is_made(seen: dict):
    assert seen["started"] == ["RUNNING_MODAL"]
    # The peer works for half a minute; drawing in software on a busy machine may take half a second.
    assert seen["longest_pause"] < 2.0
    assert seen["fraction"] > 0.25
    assert seen["stage"] == "portrait (1/2)"
    assert seen["second_refused"]


def test_cancel_answers_within_a_second(seen: dict):
    assert seen["cancel_kind"] == "cancelled"
    assert seen["cancel_seconds"] < 1.0


def test_a_failure_says_what_to_do(seen: dict):
    assert seen["hint"] == "Choose another photo."


def test_the_head_is_one_undo_step_of_its_own(seen: dict):
    assert len(seen["made"]) == 4
    assert seen["active"] in seen["made"]
    assert seen["undone"] == ["Empty"], "what the artist did meanwhile stays"
    assert seen["redone"] == seen["made"]


def test_opening_another_file_ends_the_job_and_the_backend(seen: dict):
    assert seen["after_new_file"]["running"] is False
    assert seen["after_new_file"]["exit_status"] is not None
