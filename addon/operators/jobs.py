# SPDX-License-Identifier: GPL-3.0-or-later
"""The head that is being made, and the backend that makes it: what operators and panels share while Blender runs.

One backend is kept for the whole of Blender, warm, and works on one head at a time. None of this is saved with a file.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from dataclasses import dataclass
from pathlib import Path

import bpy

from .. import ROOT_PACKAGE
from ..client.backend import VARIABLE, Backend, find_backend
from ..client.errors import ClientError
from ..client.events import Event, Finished, PreviewReady, ProgressMade, StageStarted, Warned
from ..client.installer import own_version
from ..client.machine import Machine, Refusal, machine_from
from ..client.request import HeadSettings, check_files
from ..client.session import Session
from ..client.state import State
from ..packs import VARIABLE as MODELS_VARIABLE
from ..packs import Pack, read_packs
from . import job_folders

STAGES = {
    "portrait": "Finding the face",
    "fit": "Fitting the head",
    "guide": "Looking from all sides",
    "sculpt": "Sculpting",
    "texture": "Painting the skin",
    "expressions": "Making expressions",
    "assemble": "Putting it together",
}
"""The stages in an artist's words; a stage that a newer backend adds is shown by its own name."""


@dataclass
class Status:
    """What the panel shows of the latest head."""

    running: bool = False
    cancelling: bool = False
    stage: str = ""
    preview: str = ""
    fraction: float = 0.0
    eta_s: float | None = None
    warnings: tuple[str, ...] = ()
    result: str = ""
    error: ClientError | None = None

    def listen(self, event: Event) -> None:
        """Take over what an event says."""
        match event:
            case StageStarted(name, index, count):
                self.stage = f"{STAGES.get(name, name)} ({index} of {count})"
            case ProgressMade():
                self.fraction, self.eta_s = event.fraction, event.eta_s
            case PreviewReady(path):
                self.preview = path
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
        check_files(settings)
        session = _session_for(_backend(context))
        folder = job_folders.claim(job_folders.folder_for(settings))
        self._steps = session.generate(settings.to_request(), folder)
        status = Status(running=True, stage="Starting the backend")
        job_folders.look_again()

    def step(self) -> Finished | None:
        """Go on without waiting; the result once there is one. Raises ClientError when the head fails."""
        finished: Finished | None = None
        going_on = False
        try:
            for event in next(self._steps):
                status.listen(event)
                if isinstance(event, StageStarted):
                    job_folders.look_again()
                if isinstance(event, Finished):
                    finished = event
            if finished is not None:
                next(self._steps, None)  # past its last yield the generator sets the session ready
            going_on = finished is None
        finally:
            status.running = going_on
            if not going_on:
                job_folders.look_again()
        return finished

    def abandon(self) -> None:
        """Give the head up at once, the backend with it."""
        self._steps = iter(())
        close()


def cancel() -> None:
    """Ask the backend to stop, or whoever adds its head to the scene; the next steps report it."""
    status.cancelling = True
    status.stage = "Cancelling"
    if _session is not None:
        _session.cancel()


def forget_outcome() -> None:
    """What went wrong with the latest head, or was to be said of it, is no longer of interest: the photo is another."""
    if not status.running:
        status.error, status.warnings = None, ()


def close() -> None:
    """Stop the backend."""
    global _session
    if _session is not None:
        _session.close()
        _session = None
    status.running = False


def why_not(context: bpy.types.Context) -> str:
    """Why no head can be generated now, in a few words; empty where one can."""
    if status.running:
        return "A head is already under way"
    if backend_state() is State.INSTALLING:
        return "The backend is being installed"
    settings = context.scene.portrait_head.to_head_settings()
    if not settings.photo:
        return "Choose a photo first"
    try:
        check_files(settings)
    except ClientError as error:
        return error.message
    found = find(context)
    if isinstance(found, ClientError):
        return found.message
    refused = tier_refusal(settings.tier)
    return refused.reason if refused is not None else ""


def find(context: bpy.types.Context) -> Backend | ClientError:
    """The backend that would be used, or why there is none; cheap enough for every redraw."""
    addon = context.preferences.addons.get(ROOT_PACKAGE)
    if addon is None:
        return _find("", "", "auto", "normal", "", os.environ.get(VARIABLE, ""), os.environ.get("PATH", ""))
    chosen = addon.preferences
    return _find(
        chosen.backend,
        bpy.path.abspath(chosen.install_folder) if chosen.install_folder else "",
        chosen.device,
        chosen.log_level,
        bpy.path.abspath(chosen.models_folder) if chosen.models_folder else "",
        os.environ.get(VARIABLE, ""),
        os.environ.get("PATH", ""),
    )


def find_anew() -> None:
    """Look again on the next `find`: something may have been installed."""
    _find.cache_clear()
    _packs.cache_clear()


def ask_anew() -> None:
    """Look again, and have the next job start a backend that does so too: it may find model packs, or a driver."""
    find_anew()
    if _session is not None and not _session.busy:
        _session.renew(_session.backend)


def backend_state() -> State:
    """Where the backend stands."""
    if _session is not None:
        return _session.state
    return State.NOT_INSTALLED if isinstance(find(bpy.context), ClientError) else State.STOPPED


def ready_session() -> Session | None:
    """The session whose backend runs and is free; nothing is started for it."""
    return _session if _session is not None and _session.state is State.READY else None


def machine() -> Machine | None:
    """What the backend has said of its computer; None before it has been started."""
    return machine_from(_session.hello) if _session is not None and _session.hello else None


def tier_refusal(tier: str) -> Refusal | None:
    """Why the backend cannot use a tier; None where it can, or has not been asked yet."""
    told = machine()
    return told.refusals.get(tier) if told is not None else None


def is_other_release() -> bool:
    """Whether the backend that has been started is of another version than this add-on."""
    version = _session.hello.get("version") if _session is not None else None
    return version is not None and version != own_version()


def install_log_path() -> Path:
    """The log of the latest installation."""
    return job_folders.user_folder("logs") / "install.log"


def log_path() -> Path:
    """The log of the backend."""
    return job_folders.user_folder("logs") / "backend.log"


@functools.lru_cache(maxsize=1)
def _find(
    named: str, installed: str, device: str, level: str, models: str, variable: str, path: str
) -> Backend | ClientError:
    """`variable` and `path` stand for what else is looked at, so that a change of them is seen."""
    try:
        own = Path(installed) / "venv" if installed else None
        found = find_backend(str(own) if not named.strip() and own is not None and own.is_dir() else named)
    except ClientError as error:
        return error
    command = found.command
    if level == "detailed" and command[-1] == "worker":
        command = (*command[:-1], "--verbose", "worker")
    environment = {MODELS_VARIABLE: models} if models else {}
    if device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    return dataclasses.replace(found, command=command, environment=tuple(environment.items()))


def packs(folder: Path) -> tuple[Pack, ...]:
    """The model packs, those marked as here that the backend has, or before it has been started, those in `folder`."""
    told = machine()
    if told is None or told.packs is None:
        return _packs(folder)
    return tuple(dataclasses.replace(pack, here=pack.name in told.packs) for pack in _packs(folder))


@functools.lru_cache(maxsize=1)
def _packs(folder: Path) -> tuple[Pack, ...]:
    return read_packs(folder)


def _backend(context: bpy.types.Context) -> Backend:
    found = find(context)
    if isinstance(found, ClientError):
        raise found
    return found


def session(context: bpy.types.Context) -> Session:
    """The one session, also where no backend is installed yet."""
    found = find(context)
    return _session_for(None if isinstance(found, ClientError) else found)


def _session_for(backend: Backend | None) -> Session:
    global _session
    if _session is None:
        _session = Session(backend, log_path())
    elif _session.backend != backend and not _session.busy:
        _session.renew(backend)
    return _session
