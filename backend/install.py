#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs Portrait Head's backend into an environment of its own, outside Blender.

    python backend/install.py                     install, or continue an installation that was interrupted
    python backend/install.py --upgrade           replace another version; model packs stay
    python backend/install.py --repair            make the environment anew
    python backend/install.py --verify            look whether everything works
    python backend/install.py --remove            take everything away but model packs

It has to work where nothing is installed yet, so only the standard library is used, any Python from 3.9 on can run it,
and it is one file: the add-on runs it with `python -I`, under which nothing that lies beside it can be imported. The
environment itself is made with a Python 3.11 or 3.12, which is looked for. From top to bottom: what is told (Report),
where (Place) and with what (Tools) it is installed; `main` and what each of its options does; the computer, its
graphics cards and its Pythons; what went wrong in words; small helpers. Everything that is written lies in one folder:

    venv/        the environment          cache/, source/   while installing; finished downloads outlive an interruption
    state.json   what is installed        install.log       what pip or uv said
    venv.old/    while upgrading: the version before, which comes back if the new one cannot be installed

With --json every line on stdout is a JSON object: {"step", "done", "total", "message"}, {"warning"}, and as the last
one {"finished": {"folder", "version", "device"}} or {"error": {"kind", "message", "hint"}}.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[1]
CONSTRAINTS = SOURCES / "backend" / "constraints.txt"
INGREDIENTS = ("pyproject.toml", "README.md", "LICENSE", "backend")  # what pip needs of SOURCES

PYTHONS = ((3, 11), (3, 12))  # those for which every package has wheels
PYTHON_FOLDERS = (  # a program that was started from a desktop does not know the shell's PATH
    "/opt/homebrew/bin",
    "/usr/local/bin",
    "/Library/Frameworks/Python.framework/Versions/3.11/bin",
    "/Library/Frameworks/Python.framework/Versions/3.12/bin",
)

TORCH_INDEX = "https://download.pytorch.org/whl/"  # PyTorch's public wheels, a folder a build
CUDA_BUILDS = (  # pytorch/pytorch, RELEASE.md, CUDA support of 2.13: build, least driver, compute capabilities
    ("cu130", 13000, (7, 5), (12, 1)),
    ("cu126", 12060, (5, 0), (9, 0)),
)
COMPUTE_CAPABILITY = (75, 76)  # cuda.h, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR

NEEDED_GB = {"cpu": 4.0, "cuda": 14.0}  # environment and downloads together: 2.9 GB were measured; CUDA's from sizes
STEPS = (("check", 2), ("environment", 6), ("torch", 32), ("packages", 50), ("verify", 10))  # usual shares of the time

INSTALLING, INTERRUPTED, INSTALLED = "installing", "interrupted", "installed"
OURS = ("venv", "venv.old", "cache", "source", "python", "state.json", "install.log", "lock")
GIGABYTE = 10**9

FAILED, STOPPED = 1, 130
ERROR_DISK_FULL = 112  # winerror.h
STOP_SIGNALS = [name for name in ("SIGTERM", "SIGINT", "SIGBREAK") if hasattr(signal, name)]


class InstallError(Exception):
    """What went wrong, and what to do about it."""

    def __init__(self, kind: str, message: str, hint: str) -> None:
        super().__init__(f"{message} {hint}")
        self.kind, self.message, self.hint = kind, message, hint


class Stopped(BaseException):
    """Somebody has asked this process to end."""


class Report:
    """Tells how far it is: JSON lines for a program, plain ones for a person."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def step(self, name: str, message: str, fraction: float = 0.0) -> None:
        """Step `name` is done to `fraction`, from 0 to 1."""
        place = [step for step, _ in STEPS].index(name)
        done = sum(share for _, share in STEPS[:place]) + fraction * STEPS[place][1]
        total = sum(share for _, share in STEPS)
        fields = {"step": name, "done": round(done, 1), "total": total, "message": message}
        self._tell(fields, f"[{done / total:4.0%}] {message}")

    def warn(self, message: str) -> None:
        """Something to know; it goes on."""
        self._tell({"warning": message}, f"warning: {message}")

    def finish(self, folder: Path, version: str, device: str, message: str) -> None:
        """It is done; the last line."""
        self._tell({"finished": {"folder": str(folder), "version": version, "device": device}}, message)

    def fail(self, error: InstallError) -> None:
        """It could not be done; the last line."""
        fields = {"error": {"kind": error.kind, "message": error.message, "hint": error.hint}}
        self._tell(fields, f"error: {error.message}\n{error.hint}")

    def _tell(self, fields: dict, text: str) -> None:
        try:
            sys.stdout.write((json.dumps(fields) if self._as_json else text) + "\n")
            sys.stdout.flush()
        except BrokenPipeError as error:
            sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  until the end of this process
            raise Stopped from error  # whoever wanted this is gone


class Place:
    """The folder that everything is installed into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.venv = folder / "venv"
        self.old = folder / "venv.old"
        self.cache = folder / "cache"
        self.log = folder / "install.log"
        self.python = self.venv / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        self.program = self.python.with_name("portrait-head.exe" if sys.platform == "win32" else "portrait-head")
        self._state = folder / "state.json"
        self._lock = None

    @property
    def state(self) -> dict:
        """What state.json says; empty where nothing was ever installed."""
        try:
            state = json.loads(self._state.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError):  # cut off by a power failure: as good as an interrupted installation
            return {"status": INTERRUPTED}
        return state if isinstance(state, dict) else {"status": INTERRUPTED}

    def write_state(self, state: dict) -> None:
        """Write state.json, whole or not at all."""
        part = self._state.with_name("state.json.part")
        part.write_text(json.dumps(state, indent=1), encoding="utf-8")
        part.replace(self._state)

    def occupy(self) -> None:
        """Make the folder, try to write to it, and keep other installers out for as long as this process lives."""
        try:
            if self.folder.is_dir() and not self.state:
                foreign = sorted(entry.name for entry in self.folder.iterdir() if entry.name not in (*OURS, "models"))
                if foreign:
                    raise InstallError(
                        "folder_taken",
                        f"The folder “{self.folder}” holds other things ({', '.join(foreign[:3])}).",
                        "Choose an empty folder, or one that does not exist yet.",
                    )
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=str(self.folder)):
                pass
            self._lock = (self.folder / "lock").open("a")
        except OSError as error:
            raise unwritable(self.folder, error) from error
        if not locked(self._lock):
            raise InstallError(
                "busy", f"Another installation into “{self.folder}” is under way.", "Wait until it has ended."
            )

    def set_aside(self) -> None:
        """Keep what works until something better stands in its place, and clear what was left half done."""
        state = self.state
        if state.get("status") == INSTALLED and self.venv.is_dir():
            remove(self.old)
            self.write_state({"status": INSTALLING, "previous": state})
            try:
                self.venv.rename(self.old)
            except OSError as error:
                self.write_state(state)
                raise InstallError(
                    "in_use", f"“{self.venv}” is in use ({error.strerror}).", "Close Blender and try again."
                ) from error
        else:
            self.write_state({"status": INSTALLING, "previous": state.get("previous", {})})
            remove(self.venv)

    def bring_back(self) -> bool:
        """After a failure: the version before, if there was one; whether there was."""
        previous = self.state.get("previous", {})
        if self.old.is_dir() and previous:
            remove(self.venv)
            self.old.rename(self.venv)
            self.write_state(previous)
            return True
        self.write_state({**self.state, "status": INTERRUPTED})
        return False

    def settle(self, version: str, device: str, python: str) -> None:
        """Everything stands: say so, and clear away what was needed only on the way."""
        self.write_state({"status": INSTALLED, "version": version, "device": device, "python": python})
        for leftover in (self.old, self.cache, self.folder / "source"):
            remove(leftover)

    def clear(self) -> None:
        """Take away everything that an installation put here; model packs and strangers' files stay."""
        if self._lock is not None:
            self._lock.close()
        for name in OURS:
            remove(self.folder / name)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


class Tools:
    """Runs Python, pip and uv for one place, and writes down what they say.

    Args:
        uv: the uv program; empty to work with venv and pip.
        wheels: a folder to install from without a network; None for the package index.
        proxy: address of a proxy; empty for what the environment says.
    """

    def __init__(self, place: Place, uv: str, wheels: Path | None, proxy: str) -> None:
        self.uv = uv
        self._place = place
        self._source = ["--no-index", "--find-links", str(wheels)] if wheels else []
        self._wheels = wheels
        self._environment = child_environment(place.folder, proxy)
        if wheels:  # these and no others, whatever this computer's pip is set up for
            self._environment.pop("PIP_FIND_LINKS", None)
            self._environment["PIP_CONFIG_FILE"] = os.devnull
        self._child: subprocess.Popen | None = None

    def make_environment(self, python: str) -> None:
        """An empty environment."""
        if self.uv:
            self.run([self.uv, "venv", "--no-config", "--no-project", "--python", python, str(self._place.venv)])
        else:
            self.run([python, "-I", "-m", "venv", str(self._place.venv)])

    def install(self, report: Report, step: str, packages: list[str], options: list[str], expected: int) -> None:
        """Install packages into the environment, telling of each; `expected` is about how many there will be."""
        quiet = ["--no-input", "--disable-pip-version-check", "--no-warn-script-location", "--progress-bar", "off"]
        python = str(self._place.python)
        if self.uv:
            command = [self.uv, "pip", "install", "--no-config", "--python", python]
        else:
            command = [python, "-I", "-m", "pip", "install", *quiet]
        seen = 0
        for line in self.lines([*command, *self._source, *options, *packages]):
            if line.startswith(("Collecting ", "Processing ", "Downloading ", "Installing ", "Resolved ", "Prepared ")):
                seen += line.startswith(("Collecting ", "Processing "))
                report.step(step, shortened(line), min(0.8 * seen / expected, 0.8))

    def run(self, command: list[str]) -> str:
        """Run a command to its end and return what it said."""
        return "\n".join(self.lines(command))

    def lines(self, command: list[str]) -> Iterator[str]:
        """The lines of a command as they come. Raises InstallError when it fails."""
        said: list[str] = []
        with self._place.log.open("a", encoding="utf-8") as log:
            log.write(f"> {' '.join(command)}\n")
            try:
                self._child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    cwd=str(self._place.folder),
                    encoding="utf-8",
                    errors="replace",
                    # Safe here: this process has one thread.
                    preexec_fn=end_with_parent if sys.platform == "linux" else None,
                )
            except OSError as error:
                message = f"“{command[0]}” cannot be run: {error.strerror}."
                raise InstallError("broken", message, "Run this again with --repair.") from error
            assert self._child.stdout
            for line in self._child.stdout:
                log.write(line)
                log.flush()
                said.append(line.rstrip())
                yield said[-1]
            status = self._child.wait()
            self._child = None
        if status != 0:
            raise explained(said, status, self._place, self._wheels)

    def stop(self) -> None:
        """End the command that runs."""
        if self._child is not None:
            self._child.terminate()
            try:
                self._child.wait(timeout=3)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks for; returns the exit status."""
    options = parser().parse_args(arguments)
    report = Report(options.json)
    for name in STOP_SIGNALS:
        signal.signal(getattr(signal, name), stop)
    place = Place(options.folder.expanduser().absolute())
    try:
        if options.remove:
            take_away(place, report)
        elif options.verify:
            look(place, report)
        else:
            install(place, options, report)
    except InstallError as error:
        report.fail(error)
        return FAILED
    except OSError as error:
        report.fail(unwritable(place.folder, error))
        return FAILED
    except Stopped:
        report.fail(InstallError("cancelled", "The installation was stopped.", "Run it again: it goes on from there."))
        return STOPPED
    return 0


def install(place: Place, options: argparse.Namespace, report: Report) -> None:
    """Install, continue, upgrade or repair."""
    version = own_version()
    report.step("check", f"Checking what Portrait Head {version} needs")
    place.occupy()
    check_computer()
    state = place.state
    if state.get("status") == INSTALLED and not options.repair and not options.upgrade:
        if state.get("version") != version:
            raise InstallError(
                "other_version",
                f"Version {state.get('version')} is installed in “{place.folder}”; this is {version}.",
                "Run this with --upgrade to replace it; model packs stay.",
            )
        look(place, report)
        return
    if state.get("status") in (INSTALLING, INTERRUPTED):
        report.warn("An earlier installation was interrupted; it is made good now.")
    device, build = choose_device(options.device, report)
    check_space(place.folder, device)
    uv = "" if options.no_uv else shutil.which("uv") or ""
    python = find_python(options.python, uv, report)
    tools = Tools(place, uv, options.wheels, options.proxy)

    place.set_aside()
    try:
        place.write_state({**place.state, "version": version, "device": device})
        build_environment(place, tools, report, python, device, torch_index(options, build))
        check_installation(place, tools, report, version)
    except BaseException:
        tools.stop()
        if place.bring_back():
            report.warn(f"Version {place.state.get('version')} is back as it was.")
        raise
    place.settle(version, device, python)
    report.step("verify", "Everything works", 1.0)
    hint = "" if place.folder == data_folder() else "\nName this folder in the add-on's preferences as the backend."
    report.finish(place.folder, version, device, f"Portrait Head {version} is installed in {place.folder}.{hint}")


def build_environment(place: Place, tools: Tools, report: Report, python: str, device: str, index: str) -> None:
    """An environment with PyTorch's right build, the pinned packages and this version of the backend."""
    report.step("environment", f"Making an environment with {python}")
    tools.make_environment(python)

    pinned = constraints()
    report.step("torch", f"Fetching PyTorch for {'NVIDIA graphics' if device == 'cuda' else 'the processor'}")
    # Alone, so that no other package comes from PyTorch's index; what it needs comes with the other packages.
    if "torch" in pinned:
        options = ["--no-deps", *(["--index-url", index] if index else [])]
        tools.install(report, "torch", [f"torch=={pinned['torch']}"], options, 2)

    report.step("packages", "Fetching the other packages")
    limits = ["-c", str(CONSTRAINTS)]
    tools.install(report, "packages", ["setuptools"], limits, len(pinned))
    source = copy_source(place.folder / "source")
    extra = "[cuda]" if device == "cuda" else ""
    tools.install(report, "packages", [f"{source}{extra}"], [*limits, "--no-build-isolation"], len(pinned))
    remove(source)


def check_installation(place: Place, tools: Tools, report: Report, version: str) -> None:
    """Import what was installed and let it examine itself. Raises InstallError `broken`."""
    report.step("verify", "Checking the installation")
    found = tools.run([str(place.python), "-I", "-c", "import portrait_head; print(portrait_head.__version__)"])
    if found.split()[-1:] != [version]:
        message = f"Version {found.strip()} was found in “{place.folder}” instead of {version}."
        raise InstallError("broken", message, "Run this again with --repair.")
    report.step("verify", "Trying every part of it", 0.3)
    tools.run([str(place.program), "doctor"])


def look(place: Place, report: Report) -> None:
    """Check what is installed."""
    state = place.state
    if state.get("status") != INSTALLED:
        what = "was interrupted" if state else "has not been made"
        raise InstallError("not_installed", f"The installation in “{place.folder}” {what}.", "Run this to install.")
    check_installation(place, Tools(place, "", None, ""), report, str(state.get("version")))
    report.step("verify", "Everything works", 1.0)
    version, device = str(state.get("version")), str(state.get("device"))
    report.finish(place.folder, version, device, f"Portrait Head {version} in {place.folder} works.")


def take_away(place: Place, report: Report) -> None:
    """Remove the installation; model packs stay."""
    if place.folder.is_dir():
        place.occupy()
        report.step("check", f"Removing what was installed in {place.folder}")
        place.clear()
    kept = f"; what else lay there stays in {place.folder}" if place.folder.is_dir() else ""
    report.finish(place.folder, "", "", f"Portrait Head's backend is removed{kept}.")


def choose_device(wanted: str, report: Report) -> tuple[str, str]:
    """`cpu` or `cuda`, and which of PyTorch's CUDA builds.

    Raises:
        InstallError: `no_cuda` where CUDA was asked for and this computer cannot have it.
    """
    if wanted == "cpu":
        return "cpu", ""
    build, reason = cuda_build(*nvidia_driver())
    if build:
        return "cuda", build
    if wanted == "cuda":
        raise InstallError("no_cuda", reason, "Update NVIDIA's driver, or choose the device cpu.")
    report.step("check", f"{reason} The processor will do the work.", 0.5)
    return "cpu", ""


def check_computer() -> None:
    """Raises InstallError `unsupported` where PyTorch 2.13 or MediaPipe 0.10.21 has no wheel."""
    processor = platform.machine().lower()
    reason = ""
    if sys.platform == "darwin" and processor == "x86_64":
        reason = "PyTorch is no longer made for Macs with Intel processors."
    elif sys.platform == "darwin" and int(platform.mac_ver()[0].split(".")[0] or 0) < 14:
        reason = f"PyTorch needs macOS 14 or newer; this is {platform.mac_ver()[0]}."
    elif sys.platform != "darwin" and processor not in ("x86_64", "amd64"):
        reason = f"MediaPipe, which finds the faces, is not made for the processor {platform.machine()}."
    if reason:
        raise InstallError("unsupported", reason, "Use a backend on another computer: name its ssh command in Blender.")


def cuda_build(driver: int, capabilities: list[tuple[int, int]]) -> tuple[str, str]:
    """PyTorch's build for a driver (13000 for CUDA 13.0) and its graphics cards; or "" and why there is none."""
    if not driver or not capabilities:
        return "", "No NVIDIA graphics card with a working driver was found."
    best = max(capabilities)
    for build, least, lowest, highest in CUDA_BUILDS:
        if driver >= least and lowest <= best <= highest:
            return build, ""
    card = f"compute capability {best[0]}.{best[1]}"
    return "", f"PyTorch has no build for NVIDIA's driver for CUDA {driver // 1000}.{driver % 1000 // 10} and {card}."


def nvidia_driver() -> tuple[int, list[tuple[int, int]]]:
    """The CUDA version that NVIDIA's driver knows, and the compute capability of each card; (0, []) without one."""
    if sys.platform == "darwin":
        return 0, []
    try:
        library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
        cuda = ctypes.CDLL(library)
    except OSError:  # no driver
        return 0, []
    version, count, value = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDriverGetVersion(ctypes.byref(version)) or cuda.cuDeviceGetCount(ctypes.byref(count)):
        return 0, []
    cards = []
    for card in range(count.value):
        capability = []
        for attribute in COMPUTE_CAPABILITY:
            cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, card)
            capability.append(value.value)
        cards.append((capability[0], capability[1]))
    return version.value, cards


def torch_index(options: argparse.Namespace, build: str) -> str:
    """Where PyTorch comes from; empty for the package index that everything comes from.

    Linux' package on the ordinary index carries CUDA, gigabytes that a processor has no use for; Windows' carries none.
    """
    if options.wheels is not None or sys.platform == "darwin":
        return ""
    if options.torch_index is not None:
        return options.torch_index
    if build:
        return TORCH_INDEX + build
    return TORCH_INDEX + "cpu" if sys.platform.startswith("linux") else ""


def find_python(named: str, uv: str, report: Report) -> str:
    """A Python 3.11 or 3.12 to make the environment with.

    Raises:
        InstallError: `no_python`.
    """
    if named:
        if not suits(named):
            message = f"“{named}” is no Python 3.11 or 3.12 that can make environments."
            raise InstallError("no_python", message, "Name another --python.")
        return named
    blenders = is_blenders(Path(sys.base_prefix))
    if sys.version_info[:2] in PYTHONS and not blenders and suits(sys.executable):
        return sys.executable
    for candidate in installed_pythons():
        if suits(candidate):
            return candidate
    if uv:
        return "3.11"  # uv finds one, or brings it
    if sys.version_info[:2] in PYTHONS and suits(sys.executable):
        report.warn("Blender's own Python is used; after Blender is updated or removed, run --repair.")
        return sys.executable
    running = f"This is Python {platform.python_version()}"
    packaged = "On Debian and Ubuntu: sudo apt-get install python3.11-venv" if sys.platform == "linux" else ""
    raise InstallError(
        "no_python",
        f"No Python 3.11 or 3.12 was found. {running}.",
        f"Install Python 3.11 from python.org, then run this again. {packaged}".strip(),
    )


def installed_pythons() -> Iterator[str]:
    """Where Pythons usually are."""
    for major, minor in PYTHONS:
        if sys.platform == "win32" and shutil.which("py"):
            asked = subprocess.run(
                ["py", f"-{major}.{minor}", "-c", "import sys; print(sys.executable)"], capture_output=True, text=True
            )
            if asked.returncode == 0:
                yield asked.stdout.strip()
        for folder in (None, *PYTHON_FOLDERS):
            found = shutil.which(f"python{major}.{minor}", path=folder)
            if found:
                yield found


def suits(python: str) -> bool:
    """Whether a program is a Python of the right version, for this processor, that can make environments."""
    code = "import ensurepip, venv, sys; print(*sys.version_info[:2], sys.maxsize > 2**32)"
    try:
        asked = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0 and asked.stdout.split() in [[str(a), str(b), "True"] for a, b in PYTHONS]


def is_blenders(prefix: Path) -> bool:
    """Whether a Python's folder is that inside Blender, which goes away with Blender."""
    return prefix.name == "python" and (prefix.parent / "scripts" / "startup").is_dir()


def check_space(folder: Path, device: str) -> None:
    """Raises InstallError `disk_full` where there is too little room."""
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free, needed = shutil.disk_usage(str(existing)).free / GIGABYTE, NEEDED_GB[device]
    if free < needed:
        raise InstallError(
            "disk_full",
            f"{needed:.0f} GB are needed for the installation, and the disk of “{folder}” has {free:.1f} GB free.",
            "Free some space, or choose a folder on another disk.",
        )


def explained(said: list[str], status: int, place: Place, wheels: Path | None) -> InstallError:
    """The error for a command that failed, from what it said."""
    text = "\n".join(said[-200:])
    see = f"All that was said is in “{place.log}”."
    if "No space left on device" in text or "os error 28" in text:
        return InstallError("disk_full", f"The disk of “{place.folder}” is full.", "Free some space and run it again.")
    if "ensurepip is not available" in text:
        hint = "On Debian and Ubuntu: sudo apt-get install python3.11-venv"
        return InstallError("no_python", "This Python cannot make environments.", hint)
    if re.search(r"CERTIFICATE_VERIFY_FAILED|invalid peer certificate", text):
        return InstallError(
            "network",
            "The package index did not show a certificate that this computer trusts.",
            "Behind a company's proxy, name its certificates in the variables PIP_CERT and SSL_CERT_FILE.",
        )
    if re.search(r"ConnectionError|ProxyError|name resolution|timed out|error sending request|dns error", text):
        return InstallError(
            "network",
            "The package index cannot be reached.",
            "Check the network and the proxy, or install from a folder with --wheels; then run it again.",
        )
    missing = re.search(r"(?:No matching distribution found for|Because) ([\w.\[\]-]+(?: ?==? ?[\w.+]+)?)", text)
    if missing:
        where = f"the folder “{wheels}”" if wheels else "the package index"
        return InstallError(
            "package_missing", f"The package {missing.group(1)} is not in {where} for this computer.", see
        )
    last = [line for line in said if line.strip()]
    failed = [line[4:].strip() for line in last if line.startswith("FAIL")] or last[-1:] or [f"status {status}"]
    return InstallError("broken", f"It failed with: {'; '.join(failed)[:500]}", f"Run this with --repair. {see}")


def unwritable(folder: Path, error: OSError) -> InstallError:
    """The error for a folder that cannot be written to."""
    if error.errno == errno.ENOSPC or getattr(error, "winerror", None) == ERROR_DISK_FULL:
        return InstallError("disk_full", f"The disk of “{folder}” is full.", "Free some space and run it again.")
    what = error.strerror or str(error)
    return InstallError(
        "folder_unwritable",
        f"Nothing can be written to “{error.filename or folder}”: {what}.",
        "Choose a folder that you may write to with --folder.",
    )


def own_version() -> str:
    """The version that lies beside this file."""
    text = (SOURCES / "backend" / "portrait_head" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"', text, re.MULTILINE)
    assert found
    return found.group(1)


def constraints() -> dict[str, str]:
    """Every pinned package and its version."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pins = (line.split("#")[0].strip().partition("==") for line in lines)
    return {name: version for name, _, version in pins if version}


def copy_source(target: Path) -> Path:
    """A copy of what pip builds from: it writes beside it, and the extension's folder is not ours to write to."""
    remove(target)
    target.mkdir()
    leave_out = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    for name in INGREDIENTS:
        ingredient = SOURCES / name
        if ingredient.is_dir():
            shutil.copytree(str(ingredient), str(target / name), ignore=leave_out)
        elif ingredient.exists():
            shutil.copyfile(str(ingredient), str(target / name))
    return target


def child_environment(folder: Path, proxy: str) -> dict:
    """Ours, less what would lead pip astray, with its caches in `folder`."""
    astray = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_USER")
    environment = {name: value for name, value in os.environ.items() if name not in astray}
    environment.update(
        PIP_CACHE_DIR=str(folder / "cache" / "pip"),
        UV_CACHE_DIR=str(folder / "cache" / "uv"),
        UV_PYTHON_INSTALL_DIR=str(folder / "python"),
        PYTHONUNBUFFERED="1",
        PYTHONUTF8="1",
        PYTHONNOUSERSITE="1",
    )
    if "PIP_INDEX_URL" in environment:
        environment.setdefault("UV_DEFAULT_INDEX", environment["PIP_INDEX_URL"])
    if proxy:
        environment.update(HTTP_PROXY=proxy, HTTPS_PROXY=proxy, http_proxy=proxy, https_proxy=proxy)
    return environment


def data_folder() -> Path:
    """The per-user folder of programs' data; the add-on looks here."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "portrait-head"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "portrait-head"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "portrait-head"


def locked(file) -> bool:
    """Lock a file against other processes; whether that went. The system unlocks it when this process ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # somebody else has it
        return False
    return True


def end_with_parent() -> None:
    """Have Linux end this process when its parent ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # prctl(2), PR_SET_PDEATHSIG


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(str(path))
    elif path.exists() or path.is_symlink():
        path.unlink()


def shortened(line: str) -> str:
    """A line of pip's without folders, addresses and file names' tails."""
    line = re.sub(r" /\S*/| [A-Z]:\\\S*\\", " ", line)
    line = re.sub(r"-(?:cp|py)\d.*?\.whl|\.metadata| \(from .*| from .*", "", line)
    return "Unpacking all of them" if line.startswith("Installing collected") and line.count(",") > 1 else line[:100]


def stop(number: int, frame: object) -> None:
    """The handler of the signals in STOP_SIGNALS; what follows, the tidying up, is not interrupted by another one."""
    for name in STOP_SIGNALS:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    raise Stopped


def parser() -> argparse.ArgumentParser:
    """The command line."""
    one = argparse.ArgumentParser(description="Install Portrait Head's backend into an environment of its own.")
    what = one.add_mutually_exclusive_group()
    what.add_argument("--upgrade", action="store_true", help="replace another version; model packs stay")
    what.add_argument("--repair", action="store_true", help="make the environment anew")
    what.add_argument("--verify", action="store_true", help="look whether everything works")
    what.add_argument("--remove", action="store_true", help="remove everything but model packs")
    one.add_argument("--folder", type=Path, default=data_folder(), help="where to (default: %(default)s)")
    one.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="what shall compute")
    one.add_argument("--wheels", type=Path, help="install from this folder of wheels, without a network")
    one.add_argument("--python", default="", help="a Python 3.11 or 3.12 to use")
    one.add_argument("--torch-index", help="another index for PyTorch; empty for the ordinary package index")
    one.add_argument("--proxy", default="", help="a proxy's address (default: as the environment says)")
    one.add_argument("--no-uv", action="store_true", help="use venv and pip even where uv is installed")
    one.add_argument("--json", action="store_true", help="tell how far it is as JSON lines")
    return one


if __name__ == "__main__":
    sys.exit(main())
