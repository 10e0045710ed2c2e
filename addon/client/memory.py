# SPDX-License-Identifier: GPL-3.0-or-later
"""The largest memory this process took, for the report; the backend, another process, measures its own."""

from __future__ import annotations

import sys
from pathlib import Path

STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # proc(5): resets VmHWM


def reset_peak() -> None:
    """Start anew where the system can (Linux); elsewhere the peak is that since the process began."""
    if CLEAR.exists():
        CLEAR.write_text(RESET_PEAK)


def peak_mb() -> float | None:
    """Resident megabytes at the peak; None on Windows, whose answer needs a package that Blender lacks."""
    if STATUS.exists():
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return round(float(line.split()[1]) / 1024, 1)
    if sys.platform == "win32":
        return None
    import resource

    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 1)
