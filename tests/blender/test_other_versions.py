# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene tests in every other Blender that is at hand: PORTRAIT_HEAD_BPY_PYTHONS lists Pythons with another bpy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("bpy", reason="needs the bpy wheel")

PYTHONS = [path for path in os.environ.get("PORTRAIT_HEAD_BPY_PYTHONS", "").split(os.pathsep) if path]
TESTS = (
    *("test_asset.py", "test_import.py", "test_export.py", "test_preview.py", "test_glb_validator.py"),
    *("test_face_controls.py", "test_live_link.py", "test_engine_export.py"),
)


@pytest.mark.skipif(not PYTHONS, reason="needs PORTRAIT_HEAD_BPY_PYTHONS, Pythons with other bpy wheels and pytest")
@pytest.mark.parametrize("python", PYTHONS or [sys.executable])
def test_the_scene_tests_pass_there_too(python: str) -> None:
    folder = Path(__file__).parent
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(str(folder / name) for name in TESTS)],
        cwd=folder.parents[1],
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
