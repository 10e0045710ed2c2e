"""The process that makes heads for the worker, one after the other, with its imports and models kept warm."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import portrait_head
from portrait_head import failures
from portrait_head.events import Event, Failed
from portrait_head.photo.found_faces import FoundFaces
from portrait_head.request import HeadRequest

PR_SET_PDEATHSIG = 1  # prctl(2)
DEATH_SECONDS = 5.0  # from the end of the pipe to the exit status


@dataclass(frozen=True)
class LookedAt:
    """The answer to `Engine.look`: the faces, or why there are none to tell of."""

    answer: FoundFaces | Failed


Told = Event | LookedAt


@dataclass(frozen=True)
class _Head:
    request: HeadRequest
    folder: str


@dataclass(frozen=True)
class _Look:
    photo: str


class Engine:
    """A child process that runs the pipeline and looks at photos, one after the other.

    Args:
        tell: called from a thread with every event and answer, at last with a `Failed` of kind `engine_died` when the
            process has ended.
    """

    def __init__(self, tell: Callable[[Engine, Told], None]) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._pipe: Connection = ours
        self._process: BaseProcess = context.Process(target=_work, args=(theirs, os.getpid()), daemon=True)
        self._process.start()
        theirs.close()
        threading.Thread(target=self._pass_on, args=(tell,), daemon=True).start()

    def submit(self, request: HeadRequest, folder: str) -> None:
        """Start a job."""
        self._send(_Head(request, folder))

    def look(self, photo: str) -> None:
        """Look for the faces in a photo."""
        self._send(_Look(photo))

    def end(self) -> None:
        """End the process now; finished stages stay."""
        self._process.kill()
        self._process.join()

    def _send(self, task: _Head | _Look) -> None:
        try:
            self._pipe.send(task)
        except OSError:  # it has died while idle; the thread that reads its events says so
            return

    def _pass_on(self, tell: Callable[[Engine, Told], None]) -> None:
        try:
            while True:
                tell(self, self._pipe.recv())
        except (EOFError, OSError):
            self._process.join(DEATH_SECONDS)
            tell(self, _death(self._process.exitcode))


def _death(status: int | None) -> Failed:
    """What a user should know of an engine that ended by itself with `status`, negative for a signal."""
    if status is not None and -status == getattr(signal, "SIGKILL", None):
        message = "The system ended the process that makes the head, most often because memory ran out."
    else:
        how = "for an unknown reason" if status is None else _signal_name(-status) if status < 0 else f"status {status}"
        message = f"The process that makes the head ended unexpectedly ({how}), most often for want of memory."
    return Failed(
        "engine_died",
        message,
        "Close other programs or choose a smaller texture, then start the job again: it continues where it stopped.",
    )


def _signal_name(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


def _work(pipe: Connection, worker: int) -> None:
    """The engine's loop: take a task, send what there is to tell of it."""
    _end_with(worker)
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        if isinstance(task, _Look):
            pipe.send(LookedAt(_look(task.photo)))
        else:
            _make(task, pipe)


def _make(head: _Head, pipe: Connection) -> None:
    try:
        portrait_head.generate(head.request, Path(head.folder), pipe.send)
    except Exception as error:  # noqa: BLE001  the net under the engine
        pipe.send(failures.as_event(error))


def _look(photo: str) -> FoundFaces | Failed:
    try:
        from portrait_head.photo.survey import survey  # the imports of the face networks, which then stay warm

        return survey(photo)
    except Exception as error:  # noqa: BLE001  the net under the engine
        return failures.as_event(error)


def _end_with(worker: int) -> None:
    """End this process when the worker has ended, on Linux also in the middle of a library's long call."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != worker:  # it ended before the line above
            os._exit(1)
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    """On Unix the parent's end closes a pipe, on Windows it signals a handle; `multiprocessing` waits for either."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
