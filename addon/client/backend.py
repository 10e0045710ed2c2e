# SPDX-License-Identifier: GPL-3.0-or-later
"""Which command starts the backend's worker."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from .errors import ClientError

PACKAGE = "portrait_head"
PROGRAM = "portrait-head"
VARIABLE = "PORTRAIT_HEAD_BACKEND"
ENVIRONMENT, STATE_FILE = "venv", "state.json"  # in an installation's folder, see backend/install.py
SOURCES = Path(__file__).resolve().parents[2]  # the clone or the installed extension: pip installs the backend from it


@dataclass(frozen=True)
class Backend:
    """A worker that can be started: its command, in words where it was found, and what its environment adds to ours."""

    command: tuple[str, ...]
    found: str
    environment: tuple[tuple[str, str], ...] = ()


def data_folder() -> Path:
    """The per-user folder of things that outlive a Blender version: the backend's environment, model packs."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / PROGRAM
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / PROGRAM
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / PROGRAM


def find_backend(named: str = "", folder: str = "") -> Backend:
    """The first backend of: `named`, the running interpreter, $PORTRAIT_HEAD_BACKEND, PATH, the installation folder.

    Args:
        named: what the user wrote as `--backend` or in the preferences: a command line (``ssh box portrait-head
            worker``), or the path of an installation, of a virtual environment, of its Python, or of the
            `portrait-head` program.
        folder: where `backend/install.py` installs to; empty for `data_folder()`.

    Raises:
        ClientError: `backend_missing` or `install_interrupted`, with what to do.
    """
    if named.strip():
        return Backend(_command(named.strip()), "named by you")
    if _has_package():
        return Backend((sys.executable, "-m", PACKAGE, "worker"), "in this Python")
    if os.environ.get(VARIABLE, "").strip():
        return Backend(_command(os.environ[VARIABLE].strip()), f"named by ${VARIABLE}")
    if program := shutil.which(PROGRAM):
        return Backend((program, "worker"), "on the PATH")
    installation = Path(folder).expanduser() if folder.strip() else data_folder()
    if program := _program_in(installation / ENVIRONMENT):
        return Backend((program, "worker"), "in your user folder" if not folder.strip() else f"in “{installation}”")
    raise ClientError("backend_missing", "No Portrait Head backend was found.", installation_hint())


def installation_hint() -> str:
    """How to get a backend where `find_backend` looks last."""
    python = "py -3.11" if sys.platform == "win32" else "python3.11"
    return (
        "Press Install in the panel; or run "
        f"“{python} {_quoted(SOURCES / 'backend' / 'install.py')}” in a terminal, or name an installed one "
        "in the add-on's preferences (in batch: --backend)."
    )


def _has_package() -> bool:
    spec = importlib.util.find_spec(PACKAGE)
    return spec is not None and spec.origin is not None


def _command(named: str) -> tuple[str, ...]:
    path = Path(named).expanduser()
    if path.is_dir():
        if program := _program_in(path) or _program_in(path / ENVIRONMENT):
            return (program, "worker")
        raise ClientError(
            "backend_missing",
            f"The folder “{named}” holds no Portrait Head backend.",
            f"Install one there: “{_quoted(SOURCES / 'backend' / 'install.py')} --folder {_quoted(path)}”.",
        )
    if path.is_file():
        if path.name.lower().startswith("python"):
            return (str(path), "-m", PACKAGE, "worker")
        return (str(path), "worker") if path.stem == PROGRAM else (str(path),)
    try:
        words = shlex.split(named, posix=sys.platform != "win32")
    except ValueError as error:
        raise ClientError(
            "backend_missing",
            f"“{named}” is not a command: {error}.",
            "Write it as in a terminal, or name the folder of a virtual environment.",
        ) from error
    words = [word.strip('"') for word in words] if sys.platform == "win32" else words
    if shutil.which(words[0]) is None:
        raise ClientError(
            "backend_missing",
            f"The backend “{words[0]}” does not exist or cannot be run.",
            f"Check the command in the add-on's preferences, after --backend, or in {VARIABLE}.",
        )
    return tuple(words)


def _program_in(environment: Path) -> str | None:
    """The program of a virtual environment. Raises ClientError where its installation was interrupted."""
    _check_installation(environment.parent)
    folder = environment / ("Scripts" if sys.platform == "win32" else "bin")
    return shutil.which(PROGRAM, path=str(folder))


def _check_installation(folder: Path) -> None:
    try:
        state = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
    except OSError:  # nothing was installed here, or by hand
        return
    except ValueError:
        state = {}
    if not isinstance(state, dict) or state.get("status") != "installed":
        raise ClientError(
            "install_interrupted",
            f"The installation of the backend in “{folder}” was interrupted.",
            "Press Install: it is made good and continues.",
        )


def _quoted(path: Path) -> str:
    return f'"{path}"' if " " in str(path) else str(path)
