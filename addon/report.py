# SPDX-License-Identifier: GPL-3.0-or-later
"""A failure as a text that a maintainer can work with. Needs no bpy."""

from __future__ import annotations

import platform
import re
from pathlib import Path

from .client.errors import ClientError

LOG_LINES = 40
LOG_BYTES = 64 * 1024


def failure_report(error: ClientError, blender: str, version: str, backend: str, log: Path) -> str:
    """The report that the dialog copies: what happened, where, and the end of the log, without the user's name."""
    lines = [
        f"Portrait Head {version}, Blender {blender}, Python {platform.python_version()}, {platform.platform()}",
        f"Backend: {backend}",
        "",
        f"{error.kind}: {error.message}",
        error.hint,
        "",
        f"Last lines of {log.name}:",
        *tail(log),
    ]
    return without_home("\n".join(lines))


def tail(log: Path) -> list[str]:
    """The last lines of the log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LOG_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()[-LOG_LINES:]
    except OSError:
        return ["(there is no log)"]


def without_home(text: str) -> str:
    """The text with the home folder written as ~: it bears the user's name."""
    for home in {str(Path.home()), Path.home().as_posix()}:
        if len(home) > 1:
            text = re.sub(re.escape(home) + r"(?=[\\/\s\"”]|$)", "~", text)
    return text
