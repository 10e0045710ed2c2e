# SPDX-License-Identifier: GPL-3.0-or-later
"""A child process that is read and written without ever waiting for it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from . import lifetime
from .errors import ClientError
from .protocol import LineBuffer

CHUNK = 65536
# A call, so that a flood of output cannot hold up Blender's window; a worker at work says about ten things a second.
READ_AT_MOST = 1024 * 1024  # bytes
LINES_AT_MOST = 200
LOG_LIMIT = 10 * 1024 * 1024  # bytes, then the log starts anew and the old one is kept once
TAIL = 4096  # bytes of the log that are looked at for the reason of a death


class WorkerProcess:
    """The running worker: lines out, lines in, stderr into a log file.

    Args:
        command: program and arguments.
        log: file that stderr is appended to; its folder is made.
        environment: variables that it gets beside ours.

    Raises:
        ClientError: `backend_missing` where the command cannot be started, `log_unwritable` where the log cannot be.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Sequence[tuple[str, str]] = ()) -> None:
        self.log = log
        self._lines = LineBuffer()
        self._arrived: deque[bytes] = deque()
        self._unsent = bytearray()
        self._ended = False
        if shutil.which(command[0]) is None:
            raise _cannot_start(command, "there is no such program")
        with _open_log(log) as stderr:
            self._log_start = stderr.tell()
            try:
                self._process = subprocess.Popen(
                    lifetime.tied(command),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    bufsize=0,
                    env={**_environment(), **dict(environment)},
                    **lifetime.popen_options(),
                )
            except (OSError, ValueError) as error:
                raise _cannot_start(command, str(error)) from error
        self._tie = lifetime.adopt(self._process)
        assert self._process.stdin and self._process.stdout
        self._input, self._output = self._process.stdin, self._process.stdout
        if sys.platform != "win32":
            os.set_blocking(self._input.fileno(), False)
            os.set_blocking(self._output.fileno(), False)

    @property
    def exit_status(self) -> int | None:
        """The exit status; None while the process runs."""
        return self._process.poll()

    @property
    def ended(self) -> bool:
        """Whether the process is over and everything it wrote has been received."""
        return self._ended and not self._arrived and self._process.poll() is not None

    def send(self, line: bytes) -> None:
        """Queue a line; it goes out at once where the pipe has room, else with the next `receive`."""
        self._unsent += line
        self._flush()

    def receive(self) -> list[bytes]:
        """Whole lines that have arrived, at most `LINES_AT_MOST` of them; returns at once."""
        self._flush()
        received = 0
        while received < READ_AT_MOST and len(self._arrived) < LINES_AT_MOST and not self._ended:
            data = _read_available(self._output)
            if data is None:
                break
            if not data:
                self._ended = True
                self._arrived += self._lines.feed(b"\n")
            received += len(data)
            self._arrived += self._lines.feed(data)
        return [self._arrived.popleft() for _ in range(min(LINES_AT_MOST, len(self._arrived)))]

    def note(self, text: str) -> None:
        """Append a line to the log beside what the worker itself writes there."""
        with contextlib.suppress(OSError), self.log.open("ab") as log:  # a full disk: the job itself says so better
            log.write(text.encode("utf-8", "replace") + b"\n")

    def log_tail(self) -> str:
        """The end of what this process (no earlier one) left in the log."""
        if not self.log.exists():  # somebody has tidied up
            return ""
        with self.log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end - TAIL))
            return log.read().decode("utf-8", "replace").strip()

    def close(self, grace: float = 1.0) -> None:
        """End the process: its stdin is closed, and after `grace` seconds it is killed. Returns when it is gone."""
        self.hang_up()
        deadline = time.monotonic() + grace
        while self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        self.kill()
        self._output.close()

    def hang_up(self) -> None:
        """Close its stdin, at which the worker ends by itself; returns at once."""
        self._unsent.clear()
        self._input.close()

    def interrupt(self) -> None:
        """Ask the process to stop in good order."""
        if self._process.poll() is None:
            lifetime.interrupt(self._process)

    def strike(self) -> None:
        """Have the process and its children ended; returns before they are gone."""
        if self._process.poll() is None:
            lifetime.kill(self._process, self._tie)

    def kill(self) -> None:
        """End the process and its children now."""
        self.strike()
        self._process.wait()

    def _flush(self) -> None:
        if not self._unsent or self._input.closed:
            return
        try:
            written = _write_quietly(self._input, bytes(self._unsent[:CHUNK]))
        except BlockingIOError:
            return
        except OSError:  # the reader is gone; that shows as the end of its output, with the reason in its log
            self._unsent.clear()
            return
        del self._unsent[:written]


def _environment() -> dict[str, str]:
    """Ours, less what is meant for Blender's own Python."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}


def _cannot_start(command: Sequence[str], reason: str) -> ClientError:
    return ClientError(
        "backend_missing",
        f"The backend could not be started with “{' '.join(command)}”: {reason}.",
        "Check the command in the add-on's preferences or after --backend.",
    )


def _write_quietly(pipe: IO[bytes], data: bytes) -> int:
    """Write what fits; a closed pipe raises BrokenPipeError even where the host program lets SIGPIPE kill it."""
    if sys.platform == "win32":
        return pipe.write(data)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
    try:
        return os.write(pipe.fileno(), data)
    except BrokenPipeError:
        if signal.SIGPIPE in signal.sigpending():
            signal.sigwait({signal.SIGPIPE})
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _read_available(pipe: IO[bytes]) -> bytes | None:
    """Bytes that are there now; None where there are none yet; empty at the end."""
    if sys.platform != "win32":
        return pipe.read(CHUNK)
    import ctypes
    import msvcrt

    available = ctypes.c_uint32(0)
    handle = ctypes.c_void_p(msvcrt.get_osfhandle(pipe.fileno()))
    if not ctypes.windll.kernel32.PeekNamedPipe(handle, None, 0, None, ctypes.byref(available), None):
        return b""
    return pipe.read(min(available.value, CHUNK)) if available.value else None


def _open_log(log: Path) -> IO[bytes]:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_name(log.name + ".1"))
        stream = log.open("ab")
        stream.seek(0, os.SEEK_END)
        return stream
    except OSError as error:
        raise ClientError(
            "log_unwritable",
            f"The log file “{log}” cannot be written: {error.strerror}.",
            "Choose an output folder that you may write to.",
        ) from error
