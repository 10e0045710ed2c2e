"""`backend/install.py`: once in earnest, and many times with packages of a few bytes, through the same code."""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.backend.tiny_extension import INSTALLER, PATHS, PATIENCE, Extension

ROOT = Path(__file__).parents[2]

spec = importlib.util.spec_from_file_location("install", INSTALLER)
assert spec and spec.loader
install = importlib.util.module_from_spec(spec)
spec.loader.exec_module(install)

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@pytest.fixture
def new(tmp_path: Path) -> Extension:
    return Extension(tmp_path, "0.2.0")


@pytest.fixture
def old(tmp_path: Path) -> Extension:
    return Extension(tmp_path, "0.1.9")


def test_it_installs_tells_how_far_it_is_and_leaves_only_the_environment(new: Extension):
    told = new.install("--no-uv")
    steps = [line for line in told if "step" in line]
    assert list(dict.fromkeys(line["step"] for line in steps)) == [
        "check",
        "environment",
        "torch",
        "packages",
        "verify",
    ]
    assert [line["done"] for line in steps] == sorted(line["done"] for line in steps)
    assert steps[-1]["done"] == steps[-1]["total"]
    assert told[-1] == {"finished": {"folder": str(new.target), "version": "0.2.0", "device": "cpu"}}
    assert new.works()
    assert new.state["status"] == "installed"
    assert {path.name for path in new.target.iterdir()} == {"venv", "state.json", "install.log", "lock"}
    assert not list(new.script.parent.glob("**/build")), "the extension's own folder is not written to"

    assert "finished" in new.install()[-1], "once more only looks whether it works"
    (new.target / "models").mkdir()
    assert new.install("--remove")[-1]["finished"]["version"] == ""
    assert [path.name for path in new.target.iterdir()] == ["models"]


@posix
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_half_way_it_is_known_as_interrupted_and_made_good(new: Extension, number: int):
    process = new.start_slowly()
    process.send_signal(number)
    assert process.wait(timeout=10) == (-9 if number == signal.SIGKILL else install.STOPPED)
    assert new.state["status"] != "installed"
    give_up = time.monotonic() + 5
    while processes_in(new.target):
        assert time.monotonic() < give_up, "pip or uv goes on"
        time.sleep(0.1)
    assert new.install("--verify")[-1]["error"]["kind"] == "not_installed"

    told = new.install()
    assert any("interrupted" in line.get("warning", "") for line in told)
    assert new.works()
    assert new.state["status"] == "installed"


def processes_in(folder: Path) -> list[str]:
    """Command lines that name a folder; none where there is no /proc."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


def test_an_older_version_is_replaced_when_asked_and_models_are_kept(old: Extension, new: Extension):
    old.install()
    (old.target / "models").mkdir()
    (old.target / "models" / "pack.safetensors").write_bytes(b"weights")
    error = new.install()[-1]["error"]
    assert error["kind"] == "other_version"
    assert "0.1.9" in error["message"] and "--upgrade" in error["hint"]
    assert old.works()

    new.install("--upgrade")
    assert new.works()
    assert new.state["version"] == "0.2.0"
    assert (new.target / "models" / "pack.safetensors").read_bytes() == b"weights"
    assert not (new.target / "venv.old").exists()


def test_an_upgrade_that_fails_brings_the_old_version_back(old: Extension, new: Extension):
    old.install()
    (new.wheels / "tiny_part-1.0-py3-none-any.whl").rename(new.wheels / "hidden")
    told = new.install("--upgrade")
    assert told[-1]["error"]["kind"] == "package_missing"
    assert "tiny-part" in told[-1]["error"]["message"]
    assert any("0.1.9 is back" in line.get("warning", "") for line in told)
    assert old.works()
    assert old.state == {**old.state, "status": "installed", "version": "0.1.9"}

    (new.wheels / "hidden").rename(new.wheels / "tiny_part-1.0-py3-none-any.whl")
    process = new.start_slowly("--upgrade")
    process.kill()
    process.wait()
    assert new.state["status"] == "installing"
    new.install()
    assert new.works()
    assert new.state["version"] == "0.2.0"
    assert not (new.target / "venv.old").exists()


def test_what_is_broken_is_found_and_repaired(new: Extension):
    new.install()
    (part,) = new.target.glob("venv/**/tiny_part.py")
    part.write_text("BROKEN = True\n")
    error = new.install("--verify")[-1]["error"]
    assert error["kind"] == "broken"
    assert "heart: it is broken" in error["message"] and "--repair" in error["hint"]
    new.install("--repair")
    assert new.works()

    shutil.rmtree(new.target / "venv")
    assert new.install("--verify")[-1]["error"]["kind"] == "broken"


def test_a_folder_of_somebody_elses_is_left_alone(new: Extension):
    new.target.mkdir()
    (new.target / "thesis.odt").write_text("years of work")
    for action in ((), ("--upgrade",), ("--remove",)):
        error = new.install(*action)[-1]["error"]
        assert error["kind"] == "folder_taken"
        assert "thesis.odt" in error["message"]
    assert [path.name for path in new.target.iterdir()] == ["thesis.odt"]


@posix
def test_two_at_a_time_do_not_mix(new: Extension):
    first = new.start_slowly()
    assert new.install()[-1]["error"]["kind"] == "busy"
    first.terminate()
    first.wait()


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs root on Linux to mount a small disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True).returncode:
        pytest.skip("this container may not mount")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_too_small_a_disk_is_refused_in_words(new: Extension, small_disk: Path):
    new.target = small_disk / "here"
    error = new.install()[-1]["error"]
    assert error["kind"] == "disk_full"
    assert re.search(r"4 GB are needed .* 0\.0 GB free", error["message"])
    assert "another disk" in error["hint"]
    assert not (new.target / "venv").exists()


def test_a_read_only_folder_is_refused_in_words(new: Extension, small_disk: Path):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    new.target = small_disk / "here"
    error = new.install()[-1]["error"]
    assert error["kind"] == "folder_unwritable"
    assert str(small_disk) in error["message"]
    assert "--folder" in error["hint"]


def test_a_disk_that_fills_up_meanwhile_is_told():
    said = ["Installing collected packages: torch", "ERROR: Could not install: [Errno 28] No space left on device"]
    assert install.explained(said, 1, install.Place(Path("/here")), None).kind == "disk_full"


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        ("ReadTimeoutError: HTTPSConnectionPool: Read timed out.", "network", "--wheels"),
        ("error: Failed to fetch: dns error: failed to lookup address", "network", "proxy"),
        ("SSLError(SSLCertVerificationError: CERTIFICATE_VERIFY_FAILED", "network", "PIP_CERT"),
        ("ERROR: No matching distribution found for embreex==4.4.0", "package_missing", "embreex==4.4.0"),
        ("The virtual environment was not created because ensurepip is not available.", "no_python", "python3.11-venv"),
        ("Segmentation fault", "broken", "Segmentation fault"),
    ],
)
def test_what_pip_says_becomes_a_sentence(line: str, kind: str, words: str):
    error = install.explained(["noise", line], 1, install.Place(Path("/here")), None)
    assert error.kind == kind
    assert words in str(error)


@pytest.mark.parametrize(
    ("driver", "cards", "build"),
    [
        (13020, [(8, 9)], "cu130"),
        (12080, [(8, 6)], "cu126"),
        (13000, [(6, 1)], "cu126"),  # Pascal: no longer in CUDA 13
        (13000, [(5, 2), (12, 0)], "cu130"),  # the best card counts
        (12080, [(12, 0)], ""),  # Blackwell needs a newer driver
        (11080, [(8, 6)], ""),
        (0, [], ""),
    ],
)
def test_the_build_of_pytorch_follows_driver_and_card(driver: int, cards: list, build: str):
    found, reason = install.cuda_build(driver, cards)
    assert found == build
    assert bool(reason) == (not build)


def test_the_driver_is_asked_without_pytorch(tmp_path: Path):
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler on Linux to make a driver of three functions")
    source = tmp_path / "cuda.c"
    source.write_text("""
        int cuInit(unsigned flags) { return 0; }
        int cuDriverGetVersion(int *version) { *version = 12080; return 0; }
        int cuDeviceGetCount(int *count) { *count = 2; return 0; }
        int cuDeviceGetAttribute(int *value, int attribute, int card) {
            *value = attribute == 75 ? 8 : attribute == 76 ? 6 + 3 * card : -1;
            return 0;
        }
    """)
    subprocess.run([compiler, "-shared", "-o", tmp_path / "libcuda.so.1", source], check=True)
    code = f"import sys; sys.path.insert(0, {str(INSTALLER.parent)!r}); import install; print(install.nvidia_driver())"
    asked = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"LD_LIBRARY_PATH": str(tmp_path)}
    )
    assert asked.stdout.strip() == "(12080, [(8, 6), (8, 9)])", asked.stderr


def test_cuda_is_refused_in_words_where_there_is_none(new: Extension):
    try:
        ctypes.CDLL("libcuda.so.1")
        pytest.skip("this computer has NVIDIA's driver")
    except OSError:
        pass
    error = new.install("--device", "cuda")[-1]["error"]
    assert error["kind"] == "no_cuda"
    assert "NVIDIA" in error["message"]


def test_no_cuda_comes_with_the_processors_pytorch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    options = install.parser().parse_args([])
    expected = {"linux": ("whl/cpu", "whl/cu130"), "win32": ("", "whl/cu130"), "darwin": ("", "")}
    for system, (for_processor, for_cuda) in expected.items():
        monkeypatch.setattr(sys, "platform", system)
        assert install.torch_index(options, "").removeprefix("https://download.pytorch.org/") == for_processor
        assert install.torch_index(options, "cu130").removeprefix("https://download.pytorch.org/") == for_cuda
    monkeypatch.setattr(sys, "platform", "linux")
    assert (
        install.torch_index(install.parser().parse_args(["--torch-index", "https://mirror/"]), "") == "https://mirror/"
    )
    assert install.torch_index(install.parser().parse_args(["--wheels", str(tmp_path)]), "cu130") == ""


@pytest.mark.parametrize(
    ("system", "processor", "macos", "words"),
    [
        ("darwin", "x86_64", "14.1", "Intel"),
        ("darwin", "arm64", "13.6", "macOS 14"),
        ("linux", "aarch64", "", "MediaPipe"),
        ("win32", "ARM64", "", "MediaPipe"),
        ("darwin", "arm64", "15.0", ""),
        ("linux", "x86_64", "", ""),
        ("win32", "AMD64", "", ""),
    ],
)
def test_computers_without_wheels_are_told_at_once(
    monkeypatch: pytest.MonkeyPatch, system: str, processor: str, macos: str, words: str
):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(install.platform, "machine", lambda: processor)
    monkeypatch.setattr(install.platform, "mac_ver", lambda: (macos, ("", "", ""), processor))
    if not words:
        install.check_computer()
        return
    with pytest.raises(install.InstallError, match=words) as failure:
        install.check_computer()
    assert failure.value.kind == "unsupported"


def test_blenders_own_python_is_told_apart(tmp_path: Path):
    inside = tmp_path / "blender-4.5" / "4.5" / "python"
    (inside.parent / "scripts" / "startup").mkdir(parents=True)
    assert install.is_blenders(inside)
    assert not install.is_blenders(Path(sys.base_prefix))


@pytest.mark.parametrize("name", ["python3.9", "python3.10", "python3.13"])
def test_another_python_finds_a_fitting_one_or_says_which_to_get(new: Extension, name: str, tmp_path: Path):
    other = shutil.which(name)
    if other is None or subprocess.run([other, "--version"], capture_output=True).returncode:
        pytest.skip(f"{name} is not installed")
    other = subprocess.run([other, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True).stdout
    nowhere = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    asked = subprocess.run([other.strip(), *new.command()[1:]], capture_output=True, text=True, env=nowhere)
    last = json.loads(asked.stdout.splitlines()[-1])
    assert asked.stderr == ""
    if "error" in last:
        assert last["error"]["kind"] == "no_python"
        assert "Python 3.11" in last["error"]["hint"]
        assert name.removeprefix("python") in last["error"]["message"]
    else:
        assert "python3.1" in new.state["python"]


def test_a_python_that_does_not_fit_is_refused_by_name(new: Extension):
    error = new.install("--python", "/bin/sh")[-1]["error"]
    assert error["kind"] == "no_python"
    assert "/bin/sh" in error["message"]


def test_proxies_reach_pip_and_what_leads_it_astray_does_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HTTPS_PROXY", "http://from.outside")
    monkeypatch.setenv("PYTHONPATH", "/blender/modules")
    monkeypatch.setenv("PIP_USER", "1")
    environment = install.child_environment(tmp_path, "")
    assert environment["HTTPS_PROXY"] == "http://from.outside"
    assert not {"PYTHONPATH", "PIP_USER"} & set(environment)
    assert environment["PIP_CACHE_DIR"].startswith(str(tmp_path)), "downloads too stay within the folder"
    assert install.child_environment(tmp_path, "http://named")["HTTPS_PROXY"] == "http://named"


def test_every_package_of_the_project_is_pinned_within_its_range():
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = install.constraints()
    for line in [*project["dependencies"], *project["optional-dependencies"]["cuda"]]:
        wanted = Requirement(line)
        name = canonicalize_name(wanted.name)
        assert name in pinned, f"backend/constraints.txt lacks {name}"
        assert wanted.specifier.contains(pinned[name]), f"{name}: {wanted.specifier} does not allow {pinned[name]}"


def built_extension(folder: Path) -> Path:
    """The extension as Blender's own tool packs it, unpacked."""
    bpy = importlib.util.find_spec("bpy")
    if bpy is None or bpy.origin is None:
        pytest.skip("needs the bpy wheel, whose tool builds the extension")
    tool = next(Path(bpy.origin).parent.glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py"))
    command = [sys.executable, tool, "build", "--source-dir", ROOT, "--output-dir", folder]
    subprocess.run(command, check=True, capture_output=True)
    (archive,) = folder.glob("*.zip")
    with zipfile.ZipFile(archive) as zipped:
        zipped.extractall(folder / "extension")
    return folder / "extension"


def test_the_built_extension_really_installs_and_its_worker_answers(tmp_path: Path):
    wheels = os.environ.get("PORTRAIT_HEAD_WHEELS")
    if not wheels:
        pytest.skip("PORTRAIT_HEAD_WHEELS names no folder of wheels")
    extension = built_extension(tmp_path)
    target = tmp_path / "empty"
    target.mkdir()
    started = time.monotonic()
    command = [sys.executable, extension / "backend" / "install.py", "--json", "--folder", target, "--wheels", wheels]
    done = subprocess.run([*command, "--device", "cpu"], capture_output=True, text=True, timeout=PATIENCE, env=PATHS)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file() and not path.is_symlink()) / 1e9
    print(f"installed in {time.monotonic() - started:.0f} s, {size:.1f} GB")
    assert size < install.NEEDED_GB["cpu"]
    assert not list((extension / "backend").glob("*.egg-info")), "nothing is written into the extension"

    program = target / "venv" / ("Scripts/portrait-head.exe" if sys.platform == "win32" else "bin/portrait-head")
    request = b'{"jsonrpc": "2.0", "id": 1, "method": "hello", "params": {"protocol": 1}}\n'
    answer = subprocess.run([program, "worker"], input=request, capture_output=True, timeout=60)
    assert json.loads(answer.stdout)["result"]["version"] == install.own_version()
