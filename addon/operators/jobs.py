# SPDX-License-Identifier: GPL-3.0-or-later
"""The head that is being made, and the backend that makes it: what operators and panels share while Blender runs.

One backend is kept for the whole of Blender, warm, and works on one head at a time. None of this is saved with a file.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import bpy

from .. import ROOT_PACKAGE
from ..client.backend import VARIABLE, Backend, find_backend
from ..client.errors import ClientError
from ..client.events import Event, Finished, ProgressMade, StageStarted, Warned
from ..client.request import HeadSettings, check_photo
from ..client.session import Session, State

JOBS_KEPT = 20  # the latest job folders; each lets a photo be made again with other settings without starting over


@dataclass
class Status:
    """What the panel shows of the latest head."""

    running: bool = False
    stage: str = ""
    fraction: float = 0.0
    eta_s: float | None = None
    warnings: tuple[str, ...] = ()
    error: ClientError | None = None

    def listen(self, event: Event) -> None:
        """Take over what an event says."""
        match event:
            case StageStarted(name, index, count):
                self.stage = f"{name} ({index}/{count})"
            case ProgressMade():
                self.fraction, self.eta_s = event.fraction, event.eta_s
            case Warned(message):
                self.warnings += (message,)


status = Status()
_session: Session | None = None


class HeadJob:
    """One head under way, advanced by `step`."""

    def __init__(self, context: bpy.types.Context, settings: HeadSettings) -> None:
        """Raises ClientError where the photo or the backend is missing, or another head is under way."""
        global status
        if status.running:
            raise ClientError("busy", "A head is already under way.", "Wait for it or cancel it first.")
        check_photo(settings.photo)
        session = _session_for(_backend(context))
        self._steps = session.generate(settings.to_request(), _job_folder(settings.photo))
        status = Status(running=True, stage="starting the backend")

    def step(self) -> Finished | None:
        """Go on without waiting; the result once there is one. Raises ClientError when the head fails."""
        finished: Finished | None = None
        going_on = False
        try:
            for event in next(self._steps):
                status.listen(event)
                if isinstance(event, Finished):
                    finished = event
            if finished is not None:
                next(self._steps, None)  # past its last yield the generator sets the session ready
            going_on = finished is None
        finally:
            status.running = going_on
        return finished

    def abandon(self) -> None:
        """Give the head up at once, the backend with it."""
        self._steps = iter(())
        close()


def cancel() -> None:
    """Ask the backend to stop; the job's next steps report it."""
    if _session is not None:
        _session.cancel()
        status.stage = "cancelling"


def close() -> None:
    """Stop the backend."""
    global _session
    if _session is not None:
        _session.close()
        _session = None
    status.running = False


def find(context: bpy.types.Context) -> Backend | ClientError:
    """The backend that would be used, or why there is none; cheap enough for every redraw."""
    addon = context.preferences.addons.get(ROOT_PACKAGE)
    named = addon.preferences.backend if addon else ""
    return _find(named, os.environ.get(VARIABLE, ""), os.environ.get("PATH", ""))


def find_anew() -> None:
    """Look again on the next `find`: something may have been installed."""
    _find.cache_clear()


def backend_state() -> State:
    """Whether the backend runs."""
    return _session.state if _session is not None else State.STOPPED


def device() -> str:
    """What the running backend computes on; empty before it has said so."""
    return str(_session.hello.get("device", "")) if _session is not None else ""


def log_path() -> Path:
    """The log of the backend."""
    return _user_folder("logs") / "backend.log"


@functools.lru_cache(maxsize=1)
def _find(named: str, variable: str, path: str) -> Backend | ClientError:
    try:
        return find_backend(named)
    except ClientError as error:
        return error


def _backend(context: bpy.types.Context) -> Backend:
    found = find(context)
    if isinstance(found, ClientError):
        raise found
    return found


def _session_for(backend: Backend) -> Session:
    global _session
    if _session is None or _session.backend != backend:
        close()
        _session = Session(backend, log_path())
    return _session


def _job_folder(photo: str) -> Path:
    """One folder a photo: other settings for the same photo then redo only the stages that read them."""
    digest = hashlib.sha256(os.fsencode(Path(photo).resolve())).hexdigest()[:8]
    jobs = _user_folder("jobs")
    folder = jobs / f"{Path(photo).stem}-{digest}"
    folder.mkdir(exist_ok=True)
    os.utime(folder)
    latest = sorted((path for path in jobs.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for old in latest[:-JOBS_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def _user_folder(name: str) -> Path:
    return Path(bpy.utils.extension_path_user(ROOT_PACKAGE, path=name, create=True))
