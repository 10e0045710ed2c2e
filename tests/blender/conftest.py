# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Blender tests share: a small asset, an empty file for each test, and a clean way out of the process."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

# The helpers beside the tests are imported by their own names, whatever import mode pytest runs in.
sys.path.insert(0, str(Path(__file__).parent))

from extension import PYTHONS, REAL, version_name

finished: list[int] = []


@pytest.fixture(scope="session")
def asset_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic asset, with hair."""
    from synthetic_asset import write_asset

    return write_asset(tmp_path_factory.mktemp("asset"))


@pytest.fixture(scope="module")
def real_backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """The command that reaches the real worker, which runs out here: Blender may be shut in, with another Python.

    Blender's end are two pipes in a folder, as it would be ssh for a backend on another computer.
    """
    if not REAL:
        yield ()
        return
    folder = tmp_path_factory.mktemp("pipes")
    for name in ("requests", "answers"):
        os.mkfifo(folder / name)
    worker = f"exec '{sys.executable}' -m portrait_head worker < '{folder}/requests' > '{folder}/answers'"
    process = subprocess.Popen(["sh", "-c", worker], stderr=subprocess.DEVNULL)
    relay = f"cat '{folder}/answers' & exec cat > '{folder}/requests'"
    yield (shlex.join(["sh", "-c", relay]),)
    process.kill()
    process.wait()


@pytest.fixture
def blender() -> ModuleType:
    """bpy with an empty file."""
    bpy = pytest.importorskip("bpy", reason="needs the bpy wheel")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    return bpy


@pytest.fixture(scope="session")
def exported(asset_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """head.blend, head.glb and head.fbx of the synthetic asset."""
    bpy = pytest.importorskip("bpy", reason="needs the bpy wheel")
    from addon.scene.export import export_head
    from addon.scene.importer import import_head

    bpy.ops.wm.read_factory_settings(use_empty=True)
    return export_head(import_head(asset_folder), tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="session")
def real_asset_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The asset that the backend makes of the sample portrait.

    PORTRAIT_HEAD_ASSET names one that is there already.
    """
    if named := os.environ.get("PORTRAIT_HEAD_ASSET"):
        return Path(named)
    pytest.importorskip("mediapipe", reason="needs the backend's packages")
    job = tmp_path_factory.mktemp("real") / "job"
    done = subprocess.run(
        [sys.executable, "-m", "portrait_head", "generate", "--sample", "--texture-size", "1024", "--output", str(job)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "backend")},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return job / "asset"


@pytest.fixture(scope="session", params=["synthetic", "sample portrait"])
def each_asset_folder(request: pytest.FixtureRequest) -> Path:
    """The synthetic asset, then the real one."""
    return request.getfixturevalue("asset_folder" if request.param == "synthetic" else "real_asset_folder")


@pytest.fixture(scope="session")
def each_glb(each_asset_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """head.glb of each asset."""
    bpy = pytest.importorskip("bpy", reason="needs the bpy wheel")
    from addon.scene.export import export_head
    from addon.scene.importer import import_head

    bpy.ops.wm.read_factory_settings(use_empty=True)
    return export_head(import_head(each_asset_folder), tmp_path_factory.mktemp("glb"), ("glb",))["glb"]


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension's zip."""
    from extension import REPOSITORY, run_tool

    folder = tmp_path_factory.mktemp("build")
    built = run_tool("build", "--source-dir", str(REPOSITORY), "--output-dir", str(folder))
    assert built.returncode == 0, built.stdout + built.stderr
    (archive,) = folder.glob("*.zip")
    return archive


@pytest.fixture(params=PYTHONS, ids=version_name)
def bpy_in(request: pytest.FixtureRequest, archive: Path, tmp_path: Path) -> Callable[..., str]:
    """Runs code in a bpy with the extension installed, one Blender version after the other."""
    from extension import install, run_in_bpy, skip_unnamed

    skip_unnamed(request.param)
    install(archive, tmp_path)

    def run(code: str, **environment: str) -> str:
        done = run_in_bpy(request.param, tmp_path, code, **environment)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout

    return run


@pytest.fixture(scope="session")
def peer(asset_folder: Path) -> str:
    """The command of a backend that hands out the synthetic asset."""
    return f"'{sys.executable}' '{Path(__file__).parents[1] / 'addon' / 'peer.py'}' well '{asset_folder}'"


def pytest_sessionfinish(exitstatus: int) -> None:
    finished.append(int(exitstatus))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """bpy 4.2 crashes and 4.5 may hang while Python shuts down after an export; the work is done by then."""
    if "bpy" in sys.modules and finished:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(finished[0])
