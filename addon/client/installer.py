# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls `backend/install.py`, which makes the backend's environment, and reads what it tells."""

from __future__ import annotations

import enum
import json
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .backend import SOURCES
from .errors import ClientError
from .events import Event, Failed, Installed, InstallStep, ProgressMade, Warned

SCRIPT = SOURCES / "backend" / "install.py"


class Action(enum.Enum):
    """What the installer is to do; the value is its option."""

    INSTALL = ""
    UPGRADE = "--upgrade"
    REPAIR = "--repair"
    VERIFY = "--verify"
    REMOVE = "--remove"


@dataclass(frozen=True)
class Installation:
    """One call of the installer.

    Attributes:
        folder: receives the environment; it outlives Blender's versions.
        device: `auto`, `cpu` or `cuda`.
        wheels: a folder of wheels to install from without a network; empty for the package index.
        python: what runs the installer; any Python from 3.9 on, Blender's own will do.
        script: the installer.
    """

    folder: Path
    action: Action = Action.INSTALL
    device: str = "auto"
    wheels: str = ""
    python: str = sys.executable
    script: Path = SCRIPT

    def command(self) -> tuple[str, ...]:
        """Program and arguments."""
        command = [self.python, "-I", "-X", "utf8", str(self.script), "--json"]
        command += ["--folder", str(self.folder), "--device", self.device]
        if self.action.value:
            command.append(self.action.value)
        if self.wheels:
            command += ["--wheels", self.wheels]
        return tuple(command)


def own_version() -> str:
    """The version of this extension, which is also that of the backend it brings along."""
    manifest = tomllib.loads((SOURCES / "blender_manifest.toml").read_text(encoding="utf-8"))
    return str(manifest["version"])


def events_from_line(line: bytes) -> tuple[Event, ...]:
    """The events that a line of the installer tells; none where the line is not one of its own."""
    try:
        told = json.loads(line.decode("utf-8", "replace"))
        return _events(told) if isinstance(told, dict) else ()
    except (KeyError, TypeError, ValueError, RecursionError, OverflowError):
        return ()


def _events(told: Mapping[str, Any]) -> tuple[Event, ...]:
    if isinstance(error := told.get("error"), dict):
        return (Failed(str(error["kind"]), str(error["message"]), str(error.get("hint", ""))),)
    if isinstance(finished := told.get("finished"), dict):
        return (Installed(str(finished["folder"]), str(finished["version"])),)
    if "warning" in told:
        return (Warned(str(told["warning"])),)
    progress = ProgressMade(float(told["done"]), float(told["total"]), None)
    return (InstallStep(str(told["step"]), str(told["message"])), progress)


def ended_without_word(status: int | None, log_tail: str, log: Path) -> ClientError:
    """The error for an installer that ended without saying how it went."""
    last = log_tail.splitlines()[-1] if log_tail else "it left no message"
    return ClientError(
        "install_failed",
        f"The installer stopped (status {status}): {last[:300]}",
        f"Press Install again: it continues where it stopped. The whole log is “{log}”.",
    )
