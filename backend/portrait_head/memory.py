"""How much memory this process takes."""

from __future__ import annotations

import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # proc(5): resets VmHWM


def reset_peak() -> None:
    """Forget the peak so far, where the system can (Linux); elsewhere peaks are those since the start."""
    if _CLEAR.exists():
        _CLEAR.write_text(RESET_PEAK)


def peak_mb() -> float:
    """The largest resident size since `reset_peak`, in MB."""
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return float(line.split()[1]) / 1024
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
