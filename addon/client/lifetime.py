# SPDX-License-Identifier: GPL-3.0-or-later
"""Ties the life of the worker to ours, as far as each system allows.

On every system the worker ends by itself when its stdin closes. Linux (a death signal) and Windows (a job object) end
it even where it is too busy to notice.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, TypedDict

JOB_OBJECT_EXTENDED_LIMIT_INFORMATION = 9  # winnt.h, JOBOBJECTINFOCLASS
JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE = 0x2000  # winnt.h
KILL_ON_CLOSE_OFFSET = 16  # of LimitFlags in JOBOBJECT_EXTENDED_LIMIT_INFORMATION, after two 64-bit times


class PopenOptions(TypedDict, total=False):
    """Those arguments of `subprocess.Popen` that differ by system."""

    creationflags: int
    start_new_session: bool


def popen_options() -> PopenOptions:
    """Arguments for `subprocess.Popen` that keep the terminal's Ctrl-C to us, who then tell the worker."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def tied(command: Sequence[str]) -> list[str]:
    """The command, on Linux so that it is killed when we end.

    util-linux' setpriv asks for the death signal and then becomes the command. Doing the same between fork and exec
    (`preexec_fn`) is not safe in a program with as many threads as Blender.
    """
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else list(command)


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Ask a process that was started with `popen_options` to stop in good order."""
    if sys.platform == "win32":
        process.send_signal(signal.CTRL_BREAK_EVENT)  # the only signal that reaches another process group
    else:
        process.terminate()


def kill(process: subprocess.Popen[bytes], tie: Any) -> None:
    """End a process that was started with `popen_options`, and with it every process that it has started.

    Args:
        process: it has not been waited for yet, so that its number is still its own.
        tie: what `adopt` returned.
    """
    if sys.platform == "win32":
        ctypes.windll.kernel32.TerminateJobObject(tie, 1)
        process.kill()
        return
    with contextlib.suppress(ProcessLookupError):  # the whole group has just ended
        os.killpg(process.pid, signal.SIGKILL)


def adopt(process: subprocess.Popen[bytes]) -> Any:
    """Bind a started process to ours; keep the returned handle for as long as the process may live.

    Only Windows has something to do here: a job object whose last handle, closed with our process, ends its members.
    """
    if sys.platform != "win32":
        return None
    kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel32.CreateJobObjectW.restype = ctypes.c_void_p
    job = ctypes.c_void_p(kernel32.CreateJobObjectW(None, None))
    limits = (ctypes.c_byte * (144 if sys.maxsize > 2**32 else 112))()
    ctypes.c_uint32.from_buffer(limits, KILL_ON_CLOSE_OFFSET).value = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
    kernel32.SetInformationJobObject(job, JOB_OBJECT_EXTENDED_LIMIT_INFORMATION, limits, ctypes.sizeof(limits))
    kernel32.AssignProcessToJobObject(job, ctypes.c_void_p(int(process._handle)))  # pyright: ignore
    return job
