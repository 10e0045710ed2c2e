# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the extension with Blender's own tool, and runs code in a bpy that has it installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
OTHERS = "others"
REAL = all(importlib.util.find_spec(name) for name in ("portrait_head", "mediapipe", "cv2"))
"""Whether the backend's packages are here."""
PYTHONS = [sys.executable, *(os.environ.get("PORTRAIT_HEAD_BPY_PYTHONS") or OTHERS).split(os.pathsep)]
"""Pythons with the Blender versions to test: this one, and those that the environment names."""
MODULE = "bl_ext.user_default.portrait_head"
PREAMBLE = f"""
import os, sys
import bpy, addon_utils  # in this order: bpy brings the other along
NAME = {MODULE!r}
def leave():
    sys.stdout.flush(); sys.stderr.flush(); os._exit(0)
def fail(kind, value, trace):
    import traceback
    traceback.print_exception(kind, value, trace); sys.stderr.flush(); os._exit(1)
sys.excepthook = fail  # bpy may hang at the end of the process, after a failure too
"""

SCENE = f"""
    import pathlib, time
    sys.path.insert(0, {str(Path(__file__).parent)!r})
    from scene_state import describe, make_busy_scene
    addon_utils.enable(NAME, default_set=True)
    def module(name):
        return sys.modules[NAME + ".addon." + name]
    op, heads, report = bpy.ops.portrait_head, module("scene.heads"), module("report")
    jobs, job_folders, looking = (module("operators." + each) for each in ("jobs", "job_folders", "looking"))
    settings, preferences = bpy.context.scene.portrait_head, bpy.context.preferences.addons[NAME].preferences
    def refused(operator, **settings):
        try:
            assert operator(**settings) == {{"CANCELLED"}}
        except RuntimeError as error:
            return str(error)
        raise AssertionError("it should have been refused")
    def texture(material):
        nodes = bpy.data.materials[material].node_tree.nodes
        return next(node.image for node in nodes if node.type == "TEX_IMAGE")
    def weights():
        return {{key.name: round(key.value, 4) for key in head().head.data.shape_keys.key_blocks if key.value}}
    def head():
        return heads.active_head(bpy.context)
"""
"""What code for `run_in_bpy` begins with where it plays the artist: the extension is on, its parts have names."""


def scene(backend: str, photo: str | Path = "") -> str:
    """`SCENE` with the command of a backend in the preferences and a photo in the panel."""
    return (
        SCENE
        + f"""
    preferences.backend = {backend!r}
    settings.photo = {str(photo)!r}
"""
    )


def version_name(python: str) -> str:
    """The folder of a virtual environment tells the tests apart."""
    return python if python == OTHERS else Path(python).parents[1].name


def skip_unnamed(python: str) -> None:
    """Skip the test that stands for the Blender versions nobody has named."""
    if python == OTHERS:
        pytest.skip("PORTRAIT_HEAD_BPY_PYTHONS names no Python with another bpy")


def tool() -> Path:
    """blender_ext.py of the bpy wheel in this Python."""
    spec = importlib.util.find_spec("bpy")
    assert spec is not None and spec.origin is not None
    return next(Path(spec.origin).parent.glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py"))


def run_tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Call blender_ext.py as one calls `blender --command extension`."""
    return subprocess.run([sys.executable, str(tool()), *arguments], capture_output=True, text=True, timeout=60)


def install(archive: Path, resources: Path) -> None:
    """Unpack the built extension where Blender looks for the user's own."""
    with zipfile.ZipFile(archive) as zipped:
        zipped.extractall(resources / "extensions" / "user_default" / "portrait_head")


def run_in_bpy(python: str, resources: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a bpy whose user folder is `resources`; it finds `bpy`, `addon_utils` and the module's NAME."""
    return subprocess.run(
        [python, "-c", PREAMBLE + textwrap.dedent(code) + "\nleave()\n"],
        env={**os.environ, "BLENDER_USER_RESOURCES": str(resources), "PYTHONPATH": "", **environment},
        cwd=resources,
        capture_output=True,
        text=True,
        timeout=100,
    )
