# SPDX-License-Identifier: GPL-3.0-or-later
"""Install, Verify and Remove in Blender, with an installer that only tells; and what the extension keeps off."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip("bpy", reason="needs the bpy wheel")

from extension import PYTHONS, REPOSITORY, install, run_in_bpy, run_tool, skip_unnamed, version_name

PEER = REPOSITORY / "tests" / "addon" / "peer.py"
SHAM = REPOSITORY / "tests" / "addon" / "sham_installer.py"
posix = pytest.mark.skipif(sys.platform == "win32", reason="the sham installer makes a POSIX program")
NOTHING_INSTALLED = {"PATH": "/nowhere", "PORTRAIT_HEAD_BACKEND": ""}
BARE = """
addon_utils.enable(NAME, default_set=True)
sys.modules[NAME + ".addon.client.backend"].PACKAGE = "a_package_that_this_python_lacks"
jobs = sys.modules[NAME + ".addon.operators.jobs"]
maintenance = sys.modules[NAME + ".addon.operators.backend"]
preferences = bpy.context.preferences.addons[NAME].preferences
def state():
    return jobs.backend_state().value
def error_of(operator):
    try:
        operator()
    except RuntimeError as error:
        return str(error)
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension's zip."""
    folder = tmp_path_factory.mktemp("build")
    built = run_tool("build", "--source-dir", str(REPOSITORY), "--output-dir", str(folder))
    assert built.returncode == 0, built.stdout + built.stderr
    (archive,) = folder.glob("*.zip")
    return archive


@pytest.fixture(params=PYTHONS, ids=version_name)
def bpy_in(request: pytest.FixtureRequest, archive: Path, tmp_path: Path):
    """Runs code in a bpy with the extension, its installer replaced by the sham one."""
    skip_unnamed(request.param)
    install(archive, tmp_path)
    shutil.copy(SHAM, tmp_path / "extensions" / "user_default" / "portrait_head" / "backend" / "install.py")

    def run(code: str) -> None:
        done = run_in_bpy(request.param, tmp_path, code, XDG_DATA_HOME=str(tmp_path / "data"), **NOTHING_INSTALLED)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]

    return run


@posix
def test_install_verify_and_remove_move_the_state_and_are_told(bpy_in, tmp_path: Path):
    bpy_in(f"""{BARE}
assert state() == "not installed", state()
bpy.context.preferences.system.use_online_access = True
preferences.install_folder = {str(tmp_path / "good")!r}
assert not bpy.ops.portrait_head.cancel_install.poll()
assert bpy.ops.portrait_head.install_backend() == {{"FINISHED"}}
assert state() == "stopped", state()
assert maintenance.status.warnings == ("this Python is Blender's own",)
assert maintenance.status.error is None
assert bpy.ops.portrait_head.verify_backend() == {{"FINISHED"}}
assert bpy.ops.portrait_head.remove_backend() == {{"FINISHED"}}
assert state() == "not installed", state()

preferences.install_folder = {str(tmp_path / "bad")!r}
assert "The disk is full. Free some space." in error_of(bpy.ops.portrait_head.install_backend)
assert state() == "error", state()
assert maintenance.status.error.kind == "disk_full"
assert not maintenance.status.running
assert bpy.ops.portrait_head.repair_backend.poll(), "it can be tried again"
assert bpy.ops.portrait_head.copy_report(installation=True) == {{"FINISHED"}}
assert bpy.ops.portrait_head.find_backend() == {{"FINISHED"}}
assert maintenance.status.error is None and state() == "not installed", "somebody may have made it good"
""")


@posix
def test_nothing_is_downloaded_while_blender_may_not_go_online(bpy_in, tmp_path: Path):
    (tmp_path / "wheels").mkdir()
    bpy_in(f"""{BARE}
bpy.context.preferences.system.use_online_access = False
assert not bpy.app.online_access
preferences.install_folder = {str(tmp_path / "good")!r}
for name in ("install", "upgrade", "repair"):
    assert "may not go online" in error_of(getattr(bpy.ops.portrait_head, name + "_backend"))
assert bpy.ops.portrait_head.remove_backend.poll(), "that needs no network"
assert not os.path.exists(preferences.install_folder)
preferences.wheels_folder = {str(tmp_path / "wheels")!r}
assert bpy.ops.portrait_head.install_backend() == {{"FINISHED"}}
assert state() == "stopped", state()
""")


def test_a_backend_out_of_its_mind_leaves_the_scene_alone(bpy_in, tmp_path: Path):
    (tmp_path / "anna.jpg").touch()
    babbler = REPOSITORY / "tests" / "addon" / "babbler.py"
    bpy_in(f"""{BARE}
bpy.context.scene.portrait_head.photo = {str(tmp_path / "anna.jpg")!r}
def scene():
    kinds = (bpy.data.objects, bpy.data.meshes, bpy.data.images, bpy.data.materials, bpy.data.armatures,
             bpy.data.collections)
    return [sorted(item.name for item in kind) for kind in kinds]
before, errors = scene(), set()
for seed in range(20):
    preferences.backend = f"'{sys.executable}' '{babbler}' {{seed}}"
    errors.add(error_of(bpy.ops.portrait_head.generate))
    assert scene() == before
    assert not jobs.status.running
assert None not in errors and len(errors) > 1, errors
""")


WATCH = """
import _thread, pathlib, socket, threading
seen = []
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "shutil.rmtree",
    "shutil.copyfile", "shutil.move", "shutil.make_archive",
}
def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)) and (arguments[2] or 0) & WRITING:
        seen.append(("write", os.fsdecode(arguments[0])))
    elif event in CHANGES:
        paths = [path for path in arguments[:2] if isinstance(path, (str, bytes, os.PathLike))]
        seen.extend(("write", os.fsdecode(path)) for path in paths)
    elif event == "subprocess.Popen":
        seen.append(("start", " ".join(map(os.fsdecode, arguments[1]))))
    elif event.startswith(("socket.", "urllib.Request", "os.system", "os.fork", "os.exec")):
        seen.append((event, repr(arguments)))
def watched(start):
    def told(*arguments, **named):
        seen.append(("thread", repr(arguments)))
        return start(*arguments, **named)
    return told
_thread.start_new_thread = watched(_thread.start_new_thread)  # not every Python's audit hook hears of threads
threading.Thread.start = watched(threading.Thread.start)
sys.dont_write_bytecode = True
sys.addaudithook(watch)
"""


@posix
def test_it_starts_no_thread_opens_no_socket_and_writes_only_where_it_may(bpy_in, asset_folder: Path, tmp_path: Path):
    (tmp_path / "anna.jpg").touch()
    (tmp_path / "bad.jpg").touch()
    own = tmp_path / "extensions" / ".user" / "user_default" / "portrait_head"
    peer = f"'{sys.executable}' '{PEER}' well '{asset_folder}'"
    bpy_in(f"""{WATCH}{BARE}
bpy.context.preferences.system.use_online_access = True
preferences.install_folder = {str(tmp_path / "good")!r}
bpy.ops.portrait_head.install_backend()
bpy.ops.portrait_head.remove_backend()
preferences.backend = {peer!r}
settings = bpy.context.scene.portrait_head
for photo in ("anna", "bad"):
    settings.photo = os.path.join({str(tmp_path)!r}, photo + ".jpg")
    print(photo, error_of(bpy.ops.portrait_head.generate))
addon_utils.disable(NAME, default_set=True)

kinds = {{kind for kind, _ in seen}}
assert {{"write", "start"}} == kinds, [entry for entry in seen if entry[0] not in ("write", "start")]
started = [what for kind, what in seen if kind == "start"]
assert len(started) == 3, started
assert all("install.py" in what for what in started[:2]) and "peer.py" in started[2], started
assert not {{"pip", "ensurepip"}} & set(sys.modules)
assert threading.enumerate() == [threading.main_thread()]

# Blender itself keeps a note of the extensions it has enabled, and makes the folders above the one it hands out.
allowed = ({str(own)!r}, {str(tmp_path / "good")!r}, bpy.app.tempdir, "/dev/null", {str(own.parents[2] / ".cache")!r})
strays = {{what for kind, what in seen if kind == "write" and not what.startswith(allowed)}}
assert strays <= {{str(folder) for folder in pathlib.Path({str(own)!r}).parents}}, strays
assert any(what.startswith({str(own)!r}) for kind, what in seen if kind == "write")

# The watch sees what it is there to see.
socket.socket().close()
threading.Thread(target=print).start()
pathlib.Path({str(tmp_path / "stray")!r}).touch()
assert {{"socket.__new__", "thread"}} <= {{kind for kind, _ in seen}}
assert ("write", {str(tmp_path / "stray")!r}) in seen
""")
