# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns the last words of a dead backend into a sentence and a remedy."""

from __future__ import annotations

import re
from pathlib import Path

from .backend import SOURCES
from .errors import ClientError

LIBRARY_PACKAGES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libSM.so.6": "libsm6",
    "libX11.so.6": "libx11-6",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libXrender.so.1": "libxrender1",
    "libXxf86vm.so.1": "libxxf86vm1",
    "libgomp.so.1": "libgomp1",
    "libxkbcommon.so.0": "libxkbcommon0",
}
"""Debian packages of the shared libraries that Blender and the backend's wheels expect of the system."""


def death(status: int | None, log_tail: str, log: Path) -> ClientError:
    """The error for a worker that ended by itself.

    Args:
        status: its exit status, negative for a signal.
        log_tail: the end of its stderr.
        log: the file that holds all of it.
    """
    see = f"The whole log is “{log}”."
    if "No module named" in log_tail and "portrait_head" in log_tail:
        return ClientError(
            "backend_missing",
            "The Python that was named for the backend has no portrait_head in it.",
            f"Install it there with “pip install {SOURCES}”, or press Install in the panel.",
        )
    if missing := _missing_library(log_tail):
        return missing
    if "No space left on device" in log_tail:
        return ClientError("disk_full", "The disk is full.", f"Free some space and generate again. {see}")
    if status == -9 or "MemoryError" in log_tail:
        return ClientError(
            "backend_died",
            "The backend was stopped by the system, most often because memory ran out.",
            f"Close other programs or choose a smaller preset and texture, then generate again. {see}",
        )
    last = log_tail.splitlines()[-1] if log_tail else "it left no message"
    return ClientError(
        "backend_died", f"The backend stopped (status {status}): {last[:300]}", f"Generate again to continue. {see}"
    )


def missing_blender(error: ImportError) -> ClientError:
    """The error for a Python that cannot import bpy, or another module of the Blender side."""
    if missing := _missing_library(str(error)):
        return missing
    if error.name == "bpy":
        return ClientError(
            "blender_missing",
            "This Python has no bpy module.",
            f"Run “pip install '{SOURCES}[blender]'”, or run this file with “blender --background --python”.",
        )
    return ClientError("blender_missing", f"The Blender side cannot be loaded: {error}.", "Install Portrait Head anew.")


def _missing_library(text: str) -> ClientError | None:
    found = re.search(r"(lib[\w.+-]+\.so[\w.]*): cannot open shared object file", text)
    if found is None:
        return None
    library = found.group(1)
    package = LIBRARY_PACKAGES.get(library)
    return ClientError(
        "library_missing",
        f"The system library {library} is missing.",
        f"On Debian and Ubuntu: “sudo apt-get install {package}”." if package else "Install the package that holds it.",
    )
