# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension as Blender takes it: built, validated, enabled, used. In every Blender that is there."""

from __future__ import annotations

import tomllib
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("bpy", reason="needs the bpy wheel")

from extension import REPOSITORY, run_tool


def test_blender_validates_sources_and_archive(archive: Path):
    for target in (REPOSITORY, archive):
        validated = run_tool("validate", str(target))
        assert validated.returncode == 0, validated.stdout + validated.stderr


def test_the_archive_holds_what_a_user_needs_and_nothing_else(archive: Path):
    with zipfile.ZipFile(archive) as zipped:
        names = zipped.namelist()
        project = tomllib.loads(zipped.read("pyproject.toml").decode())["project"]
    assert {project["readme"], *project["license-files"]} <= set(names), "pip refuses to install without them"
    assert {"__init__.py", "blender_manifest.toml", "addon/__init__.py", "pyproject.toml", "LICENSE"} <= set(names)
    assert any(name.startswith("backend/portrait_head/") for name in names), "pip installs the backend from here"
    tops = {name.split("/")[0] for name in names}
    allowed = {"__init__.py", "blender_manifest.toml", "addon", "backend", "pyproject.toml", "LICENSE", "README.md"}
    assert tops <= allowed | {"CHANGELOG.md"}
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".zip"))]
    assert archive.stat().st_size < 20_000_000


def test_it_comes_and_goes_twice_and_leaves_nothing(bpy_in):
    bpy_in("""
        def present():
            return (
                hasattr(bpy.types.Scene, "portrait_head"),
                hasattr(bpy.types, "PORTRAITHEAD_PT_main"),
                "generate" in dir(bpy.ops.portrait_head),
            )
        assert present() == (False, False, False)
        for _ in range(2):
            assert addon_utils.enable(NAME, default_set=True)
            assert present() == (True, True, True)
            assert bpy.context.preferences.addons[NAME].preferences.backend == ""
            addon_utils.disable(NAME, default_set=True)
            assert present() == (False, False, False)
        """)


def test_enabling_loads_no_heavy_or_foreign_module_and_no_path(bpy_in):
    bpy_in("""
        before = list(sys.path)
        addon_utils.enable(NAME)
        assert sys.path == before
        assert not {"addon", "portrait_head", "torch"} & set(sys.modules)
        assert NAME + ".addon.batch" not in sys.modules
        """)


def test_generate_is_off_until_there_is_a_photo_and_a_backend(bpy_in, tmp_path: Path):
    (tmp_path / "anna.jpg").touch()
    bpy_in(
        f"""
        addon_utils.enable(NAME, default_set=True)
        sys.modules[NAME + ".addon.client.backend"].PACKAGE = "a_package_that_this_python_lacks"
        settings = bpy.context.scene.portrait_head
        def reason():
            try:
                bpy.ops.portrait_head.generate()
            except RuntimeError as error:
                return str(error)
        assert "Choose a photo first" in reason(), reason()
        settings.photo = "/no/such/photo.jpg"
        assert "does not exist" in reason(), reason()
        settings.photo = {str(tmp_path / "anna.jpg")!r}
        assert "No Portrait Head backend was found" in reason(), reason()
        preferences = bpy.context.preferences.addons[NAME].preferences
        preferences.backend = sys.executable
        assert bpy.ops.portrait_head.generate.poll()
        preferences.backend = "/no/such/program"
        assert "cannot be run" in reason(), reason()
        """,
        PATH="/nowhere",
        PORTRAIT_HEAD_BACKEND="",
        XDG_DATA_HOME=str(tmp_path),
    )


def test_a_head_comes_into_the_scene(bpy_in, tmp_path: Path, peer: str):
    (tmp_path / "anna.jpg").touch()
    bpy_in(f"""
        addon_utils.enable(NAME, default_set=True)
        bpy.context.preferences.addons[NAME].preferences.backend = {peer!r}
        settings = bpy.context.scene.portrait_head
        settings.photo, settings.seed = {str(tmp_path / "anna.jpg")!r}, 5
        before = set(bpy.data.objects)
        assert bpy.ops.portrait_head.generate() == {{"FINISHED"}}
        made = set(bpy.data.objects) - before
        assert {{item.type for item in made}} == {{"MESH", "ARMATURE"}}
        (head,) = [item for item in made if item.type == "MESH" and item.data.shape_keys]
        assert len(head.data.shape_keys.key_blocks) == 53
        assert not any(key.value for key in head.data.shape_keys.key_blocks)
        assert set(bpy.data.objects) >= before, "the artist's own objects stay"
        # Once more: the backend is warm and the second head stands beside the first.
        assert bpy.ops.portrait_head.generate() == {{"FINISHED"}}
        assert len(set(bpy.data.objects) - before) == 2 * len(made)
        addon_utils.disable(NAME)
        """)
    own = tmp_path / "extensions" / ".user" / "user_default" / "portrait_head"
    assert (own / "logs" / "backend.log").is_file()
    (job,) = (own / "jobs").iterdir()
    assert job.name.startswith("anna-"), "one job folder a photo, so that the second run continues the first"


def test_what_goes_wrong_is_reported_and_the_scene_is_unharmed(bpy_in, tmp_path: Path, peer: str):
    (tmp_path / "bad.jpg").touch()
    bpy_in(f"""
        addon_utils.enable(NAME, default_set=True)
        bpy.context.preferences.addons[NAME].preferences.backend = {peer!r}
        bpy.context.scene.portrait_head.photo = {str(tmp_path / "bad.jpg")!r}
        before = len(bpy.data.objects), len(bpy.data.meshes), len(bpy.data.images)
        try:
            bpy.ops.portrait_head.generate()
        except RuntimeError as error:
            assert "No face was found. Choose another photo." in str(error)
        else:
            raise AssertionError("an error report raises in Python")
        assert (len(bpy.data.objects), len(bpy.data.meshes), len(bpy.data.images)) == before
        jobs = sys.modules[NAME + ".addon.operators.jobs"]
        assert jobs.status.error.hint == "Choose another photo."
        assert bpy.ops.portrait_head.generate.poll(), "it can be tried again"
        """)


def test_no_backend_stays_behind(bpy_in, tmp_path: Path, peer: str):
    (tmp_path / "anna.jpg").touch()
    bpy_in(f"""
        addon_utils.enable(NAME, default_set=True)
        bpy.context.preferences.addons[NAME].preferences.backend = {peer!r}
        bpy.context.scene.portrait_head.photo = {str(tmp_path / "anna.jpg")!r}
        bpy.ops.portrait_head.generate()
        session = sys.modules[NAME + ".addon.operators.jobs"]._session
        process = session._process
        assert process.exit_status is None, "warm for the next head"
        addon_utils.disable(NAME, default_set=True)
        assert process.exit_status == 0
        """)
