# SPDX-License-Identifier: GPL-3.0-or-later
"""The batch as a user runs it: a process of its own, with a backend that is another one."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs the bpy wheel")

from extension import PYTHONS, REAL, REPOSITORY, skip_unnamed, version_name

BATCH = REPOSITORY / "addon" / "batch.py"
PEER = REPOSITORY / "tests" / "addon" / "peer.py"
FILES = {"head.blend", "head.glb", "head.fbx", "report.json"}
Batch = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def peer(asset_folder: Path) -> Callable[[str], str]:
    """The command of a backend with the given manners, as one writes it after --backend."""
    return lambda manner: f"'{sys.executable}' '{PEER}' {manner} '{asset_folder}'"


@pytest.fixture
def batch(tmp_path: Path, peer: Callable[[str], str]) -> Batch:
    """Runs the batch with the wheel in `tmp_path`, which has three photos."""
    for name in ("anna.jpg", "bad.jpg", "père noël.png"):
        (tmp_path / name).write_bytes(b"the peer does not look at it")

    def run(*arguments: str, backend: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(BATCH), "--backend", backend or peer("well"), *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)

    return run


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file()}


def test_one_photo_gives_its_files_and_a_report_of_every_stage(batch: Batch, tmp_path: Path):
    done = batch("--sample", "--output", "out", "--no-preview")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "out" / "sample"
    assert files_in(folder) == FILES
    assert (folder / "job" / "report.json").is_file()
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["tier"] == "embedded"
    assert [stage["name"] for stage in report["stages"]] == ["portrait", "fit", "import", "export"]
    assert all(stage["seconds"] > 0 and stage["peak_memory_mb"] > 0 for stage in report["stages"])
    assert report["total_seconds"] >= sum(stage["seconds"] for stage in report["stages"][2:])
    assert set(report["files"]) == FILES
    assert "stage 2/2 fit, 100%" in done.stdout
    assert {line.split(":")[0] for line in done.stdout.splitlines()} == {"sample"}
    assert not done.stderr, "Blender's own words belong in the log"


@pytest.mark.parametrize("python", PYTHONS[1:], ids=version_name)
def test_it_runs_in_the_other_blenders(python: str, peer: Callable[[str], str], tmp_path: Path):
    skip_unnamed(python)
    command = [python, str(BATCH), "--sample", "--no-preview", "--output", str(tmp_path), "--backend", peer("well")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    assert files_in(tmp_path / "sample") == FILES


def test_a_failing_photo_does_not_stop_the_others(batch: Batch, tmp_path: Path):
    done = batch("anna.jpg", "bad.jpg", "missing.jpg", "père noël.png", "--output", "all of them", "--no-preview")
    assert done.returncode == 1
    out = tmp_path / "all of them"
    assert files_in(out / "anna") == files_in(out / "père noël") == FILES
    assert files_in(out / "bad") == set()
    assert "bad: error: No face was found. Choose another photo." in done.stdout
    assert "missing: error: The photo “missing.jpg” does not exist" in done.stdout
    assert "2 of 4 heads made, 2 failed" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_folder_of_photos_and_repeated_names(batch: Batch, tmp_path: Path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("b.jpg", "a.png", "a.jpg"):
        (folder / name).touch()
    done = batch("--output", "out", "--no-preview", "--kinds", "glb", "photos")
    assert done.returncode == 0, done.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir()) == ["a", "a_2", "b"]
    assert files_in(tmp_path / "out" / "a_2") == {"head.glb", "report.json"}


def test_settings_reach_the_backend(batch: Batch, tmp_path: Path):
    arguments = ("--face", "3", "--preset", "high", "--seed", "7", "--texture-size", "4096", "--kinds", "glb")
    arguments += (
        "--tier",
        "diffusion",
        "--prompt",
        "grey beard",
        "--style",
        "marble",
        "--initial-mesh",
        "père noël.png",
    )
    done = batch("--no-preview", *arguments, "--hair", "none", "--delight", "0.5", "--", "anna.jpg")
    assert done.returncode == 0, done.stdout
    request = json.loads((tmp_path / "out" / "anna" / "report.json").read_text())["request"]
    mesh = str(tmp_path / "père noël.png")
    chosen = {"face": 3, "preset": "high", "seed": 7, "texture_size": 4096, "hair": "none", "delight": 0.5}
    words = {"tier": "diffusion", "prompt": "grey beard", "style": "marble", "initial_mesh": mesh}
    assert request == {"photos": [str(tmp_path / "anna.jpg")], **chosen, **words}


def test_a_mesh_that_is_not_there_is_named(batch: Batch, tmp_path: Path):
    done = batch("anna.jpg", "--initial-mesh", "mine.ply")
    assert done.returncode == 1
    assert "The mesh “mine.ply” does not exist" in done.stdout


def test_an_earlier_result_survives_a_failure(batch: Batch, peer: Callable[[str], str], tmp_path: Path):
    assert batch("--sample", "--no-preview", "--kinds", "glb").returncode == 0
    folder = tmp_path / "out" / "sample"
    before = {name: (folder / name).read_bytes() for name in files_in(folder)}
    done = batch("--sample", "--no-preview", "--kinds", "glb", backend=peer("crash"))
    assert done.returncode == 1
    assert "it all went wrong here" in done.stdout
    assert {name: (folder / name).read_bytes() for name in files_in(folder)} == before


def test_the_exported_head_is_named_after_its_photo(batch: Batch, tmp_path: Path):
    assert batch("père noël.png", "--no-preview", "--kinds", "glb").returncode == 0
    data = (tmp_path / "out" / "père noël" / "head.glb").read_bytes()
    (length,) = struct.unpack_from("<I", data, 12)
    assert "père noël" in {mesh["name"] for mesh in json.loads(data[20 : 20 + length])["meshes"]}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "No photo was named"),
        (("--face", "0", "a.jpg"), "not a number from 1 on"),
        (("--preset", "best", "a.jpg"), "invalid choice"),
        (("--kinds", "obj", "a.jpg"), "not a list of blend, glb, fbx"),
        (("--sample", "--output", "anna.jpg/out"), "Choose an output folder that you may write to"),
        (("--sample", "--backend", "/no/such/backend"), "does not exist or cannot be run"),
    ],
)
def test_a_command_that_cannot_be_followed_is_explained(batch: Batch, arguments: tuple[str, ...], words: str):
    done = batch(*arguments)
    assert done.returncode == 2
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_ends_it_with_its_own_status(batch: Batch, peer: Callable[[str], str], tmp_path: Path):
    command = [sys.executable, str(BATCH), "--backend", peer("slow"), "anna.jpg", "bad.jpg", "--output", "out"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while "stage 1/2" not in process.stdout.readline():
        assert process.poll() is None
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - started < 5
    assert "cancelled" in rest
    assert files_in(tmp_path / "out" / "anna") == set()


def test_the_sample_portrait_with_the_real_backend(tmp_path: Path):
    if importlib.util.find_spec("portrait_head") is None:
        pytest.skip("the backend is not installed in this Python")

    def run(*more: str) -> dict:
        command = [sys.executable, str(BATCH), "--sample", "--output", str(tmp_path / "out"), *more]
        done = subprocess.run(command, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads((tmp_path / "out" / "sample" / "report.json").read_text(encoding="utf-8"))

    report = run()
    assert files_in(tmp_path / "out" / "sample") == FILES | {"preview.png"}
    assert report["tier"] == "embedded"
    assert report["device"] == "cpu"
    assert report["total_seconds"] > 0
    assert {"portrait", "fit", "texture", "expressions", "assemble", "import", "export", "preview"} <= {
        stage["name"] for stage in report["stages"]
    }
    assert max(stage["peak_memory_mb"] for stage in report["stages"]) < 3000
    assert 0 < report["fit"]["nme_after"] <= report["fit"]["nme_before"]
    assert isinstance(report["warnings"], list)
    again = run("--kinds", "glb", "--no-preview")
    assert again["total_seconds"] < report["total_seconds"] / 2, "the finished job is not done over"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that has room for the job but not for the exports."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs root on Linux to mount a small disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", disk], capture_output=True).returncode:
        pytest.skip("this container may not mount")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_is_told_and_leaves_no_result(batch: Batch, small_disk: Path):
    done = batch("--sample", "--no-preview", "--output", str(small_disk))
    assert done.returncode == 1
    assert "is full" in done.stdout
    assert "Traceback" not in done.stdout
    assert files_in(small_disk / "sample") == set()


BLENDER = shlex.split(os.environ.get("PORTRAIT_HEAD_BLENDER", ""))


def arrays_in(blend: Path) -> dict[str, np.ndarray]:
    """Everything that is numbers in the only head of a Blender file."""
    import bpy

    from addon.scene.heads import heads

    def read(items: Any, name: str, width: int) -> np.ndarray:
        values = np.empty(len(items) * width, dtype=np.float32)
        items.foreach_get(name, values)
        return values

    bpy.ops.wm.open_mainfile(filepath=str(blend))
    (head,) = heads(bpy.context.scene)
    assert head.hair is not None
    found = {}
    for part, item in (("head", head.head), ("hair", head.hair)):
        mesh = item.data
        found[f"{part} vertices"] = read(mesh.vertices, "co", 3)
        found[f"{part} corners"] = read(mesh.loops, "vertex_index", 1)
        found[f"{part} faces"] = read(mesh.polygons, "loop_total", 1)
        found[f"{part} materials"] = read(mesh.polygons, "material_index", 1)
        found[f"{part} uvs"] = read(mesh.uv_layers[0].uv, "vector", 2)
        weights = np.zeros((len(mesh.vertices), len(item.vertex_groups)))
        for vertex in mesh.vertices:
            for group in vertex.groups:
                weights[vertex.index, group.group] = group.weight
        found[f"{part} weights"] = weights
    for key in head.head.data.shape_keys.key_blocks:
        found[f"key {key.name}"] = read(key.data, "co", 3)
    for bone in head.armature.data.bones:
        found[f"bone {bone.name}"] = np.array(bone.matrix_local)
    return found


@pytest.mark.skipif(not BLENDER, reason="PORTRAIT_HEAD_BLENDER names no Blender program")
def test_the_same_in_blender_itself(tmp_path: Path, asset_folder: Path, exported: dict[str, Path]):
    for name in ("anna.jpg", "bad.jpg"):
        (tmp_path / name).touch()
    command = [*BLENDER, "--background", "--factory-startup", "--python-exit-code", "9", "--python", str(BATCH), "--"]
    options = [
        "--output",
        str(tmp_path / "out"),
        "--no-preview",
        "--backend",
        f"python3 '{PEER}' well '{asset_folder}'",
    ]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *options, *arguments], capture_output=True, text=True, timeout=100)

    done = run(str(tmp_path / "anna.jpg"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert files_in(tmp_path / "out" / "anna") == FILES
    given, wheel = arrays_in(tmp_path / "out" / "anna" / "head.blend"), arrays_in(exported["blend"])
    assert given.keys() == wheel.keys()
    for name in wheel:
        np.testing.assert_array_equal(given[name], wheel[name], err_msg=name)
    assert run(str(tmp_path / "bad.jpg")).returncode == 1
    assert run("--preset", "best").returncode == 2


@pytest.mark.skipif(not BLENDER, reason="PORTRAIT_HEAD_BLENDER names no Blender program")
@pytest.mark.skipif(not REAL, reason="needs the backend's packages")
def test_the_sample_portrait_gives_the_same_head_in_blender_itself(tmp_path: Path, real_backend: tuple[str, ...]):
    from portrait_head.photo.sample import photo_path

    photo = shutil.copy(photo_path("sample"), tmp_path / "portrait.png")
    blender = [*BLENDER, "--background", "--factory-startup", "--python-exit-code", "9", "--python", str(BATCH), "--"]
    programs = {
        "wheel": ([sys.executable, str(BATCH)], f"'{sys.executable}' -m portrait_head worker"),
        "blender": (blender, *real_backend),
    }
    found = {}
    for name, (program, backend) in programs.items():
        output = tmp_path / name
        options = ["--output", str(output), "--no-preview", "--preset", "quick", "--backend", backend]
        done = subprocess.run([*program, str(photo), *options], capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stdout + done.stderr
        found[name] = arrays_in(output / "portrait" / "head.blend")
    assert found["blender"].keys() == found["wheel"].keys()
    for name, array in found["wheel"].items():
        # Two versions of NumPy may round the last bit of a metre differently, and each Blender turns bones by itself.
        same = 1e-6 if name.startswith("bone") else 1e-9
        np.testing.assert_allclose(found["blender"][name], array, rtol=0, atol=same, err_msg=name)
