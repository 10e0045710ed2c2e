# SPDX-License-Identifier: GPL-3.0-or-later
"""Which command starts the backend's worker."""

from __future__ import annotations

import importlib.util
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
SOURCES = Path(__file__).resolve().parents[2]  # the clone or the installed extension: pip installs the backend from it


@dataclass(frozen=True)
class Backend:
    """A worker that can be started: its command, and in words where it was found."""

    command: tuple[str, ...]
    found: str


def data_folder() -> Path:
    """The per-user folder of things that outlive a Blender version: the backend's environment, model packs."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / PROGRAM
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / PROGRAM
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / PROGRAM


def find_backend(named: str = "") -> Backend:
    """The first backend of: `named`, the running interpreter, $PORTRAIT_HEAD_BACKEND, PATH, the user's folder.

    Args:
        named: what the user wrote as `--backend` or in the preferences: a command line (``ssh box portrait-head
            worker``), or the path of a virtual environment, of its Python, or of the `portrait-head` program.

    Raises:
        ClientError: `backend_missing`, with the commands that install one.
    """
    if named.strip():
        return Backend(_command(named.strip()), "named by you")
    if _has_package():
        return Backend((sys.executable, "-m", PACKAGE, "worker"), "in this Python")
    if os.environ.get(VARIABLE, "").strip():
        return Backend(_command(os.environ[VARIABLE].strip()), f"named by ${VARIABLE}")
    if program := shutil.which(PROGRAM):
        return Backend((program, "worker"), "on the PATH")
    environment = data_folder() / "venv"
    if program := _program_in(environment):
        return Backend((program, "worker"), "in your user folder")
    raise ClientError("backend_missing", "No Portrait Head backend was found.", installation_hint())


def installation_hint() -> str:
    """What to type in a terminal to get a backend where `find_backend` looks last."""
    environment = data_folder() / "venv"
    pip = environment / ("Scripts/pip.exe" if sys.platform == "win32" else "bin/pip")
    python = "py -3.11" if sys.platform == "win32" else "python3.11"
    return (
        f"Install it with Python 3.11: run “{python} -m venv {_quoted(environment)}” and then "
        f"“{_quoted(pip)} install {_quoted(SOURCES)}” in a terminal, or name an installed one "
        "in the add-on's preferences (in batch: --backend)."
    )


def _has_package() -> bool:
    spec = importlib.util.find_spec(PACKAGE)
    return spec is not None and spec.origin is not None


def _command(named: str) -> tuple[str, ...]:
    path = Path(named).expanduser()
    if path.is_dir():
        if program := _program_in(path):
            return (program, "worker")
        raise ClientError(
            "backend_missing",
            f"The folder “{named}” holds no Portrait Head backend.",
            f"Name a virtual environment in which `pip install {_quoted(SOURCES)}` was run.",
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
    folder = environment / ("Scripts" if sys.platform == "win32" else "bin")
    return shutil.which(PROGRAM, path=str(folder))


def _quoted(path: Path) -> str:
    return f'"{path}"' if " " in str(path) else str(path)
