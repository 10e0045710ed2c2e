"""An extension whose backend is a few lines, for tests that install it as `backend/install.py` installs the real one.

Its build backend comes along, so that nothing has to be downloaded to build it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

INSTALLER = Path(__file__).parents[2] / "backend" / "install.py"
PATIENCE = 300.0
# uv, where it is installed beside this Python, makes all of this several times faster.
PATHS = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])}

PYPROJECT = """
[build-system]
requires = []
build-backend = "tiny_build"
backend-path = ["backend"]
[project]
name = "portrait_head"
version = "VERSION"
dependencies = ["tiny-part==1.0"]
"""
TINY_BUILD = """
import os, sys, time
sys.path.insert(0, os.path.dirname(__file__))
from tiny_wheel import write
def build_wheel(folder, config_settings=None, metadata_directory=None):
    time.sleep(float(os.environ.get("TINY_SECONDS", "0")))
    here = os.path.join(os.path.dirname(__file__), "portrait_head")
    files = {"portrait_head/" + name: open(os.path.join(here, name)).read() for name in ("__init__.py", "cli.py")}
    return write(folder, "portrait_head", "VERSION", files, ["tiny-part==1.0"], "portrait-head=portrait_head.cli:main")
"""
TINY_WHEEL = """
import os, zipfile
def write(folder, name, version, files, needs=(), script=""):
    info = f"{name}-{version}.dist-info"
    needed = "".join(f"Requires-Dist: {need}\\n" for need in needs)
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n{needed}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: tiny\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        **({f"{info}/entry_points.txt": f"[console_scripts]\\n{script}\\n"} if script else {}),
    }
    record = "".join(f"{path},,\\n" for path in [*files, f"{info}/RECORD"])
    wheel = f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, wheel), "w") as archive:
        for path, text in [*files.items(), (f"{info}/RECORD", record)]:
            archive.writestr(path, text)
    return wheel
"""
CLI = """
import sys, tiny_part
def main():
    print("FAIL  heart: it is broken" if tiny_part.BROKEN else "ok    heart: it beats")
    return int(tiny_part.BROKEN)
"""


class Extension:
    """An unpacked extension of some version, and the folder it is installed into."""

    def __init__(self, folder: Path, version: str) -> None:
        self.version = version
        self.script = folder / version / "backend" / "install.py"
        self.target = folder / "my heads ü"
        self.wheels = folder / "wheels"
        package = self.script.parent / "portrait_head"
        package.mkdir(parents=True)
        shutil.copy(INSTALLER, self.script)
        (package / "__init__.py").write_text(f'__version__ = "{version}"\n')
        (package / "cli.py").write_text(CLI)
        (self.script.parent / "tiny_build.py").write_text(TINY_BUILD.replace("VERSION", version))
        (self.script.parent / "tiny_wheel.py").write_text(TINY_WHEEL)
        (self.script.parent / "constraints.txt").write_text("tiny-part==1.0\ntorch==2.13.0\n")
        (self.script.parents[1] / "pyproject.toml").write_text(PYPROJECT.replace("VERSION", version))
        if not self.wheels.exists():
            self.wheels.mkdir()
            write = {}
            exec(TINY_WHEEL, write)
            write["write"](self.wheels, "tiny_part", "1.0", {"tiny_part.py": "BROKEN = False\n"})
            write["write"](self.wheels, "torch", "2.13.0", {"torch.py": ""})
            write["write"](self.wheels, "setuptools", "84.0", {"setuptools.py": ""})

    def command(self, *options: str) -> list[str]:
        places = ["--folder", str(self.target), "--wheels", str(self.wheels), "--device", "cpu"]
        return [sys.executable, str(self.script), "--json", *places, *options]

    def install(self, *options: str) -> list[dict]:
        """Run it to its end; what it told."""
        done = subprocess.run(self.command(*options), capture_output=True, text=True, timeout=PATIENCE, env=PATHS)
        told = [json.loads(line) for line in done.stdout.splitlines()]
        assert not done.stderr, done.stderr
        assert (done.returncode == 0) == ("finished" in told[-1]), told[-1]
        return told

    def start_slowly(self, *options: str) -> subprocess.Popen:
        """Start it, and return when it is busy building the backend."""
        environment = {**PATHS, "TINY_SECONDS": "60"}
        process = subprocess.Popen(self.command(*options), stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stdout
        for line in process.stdout:
            if json.loads(line).get("step") == "packages":
                return process
        raise AssertionError("it never came to the packages")

    @property
    def state(self) -> dict:
        return json.loads((self.target / "state.json").read_text())

    @property
    def program(self) -> Path:
        return self.target / "venv" / ("Scripts/portrait-head.exe" if sys.platform == "win32" else "bin/portrait-head")

    def works(self) -> bool:
        told = subprocess.run([self.program, "doctor"], capture_output=True, text=True)
        return told.stdout.strip() == "ok    heart: it beats"
