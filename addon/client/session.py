# SPDX-License-Identifier: GPL-3.0-or-later
"""One backend, its installation and the jobs given to it, advanced by a modal timer or by the loop of a batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from . import diagnose
from .backend import Backend
from .errors import ClientError
from .events import Event, FacesFound, Failed, Finished, Installed, Warned, event_from
from .installer import Installation, ended_without_word, events_from_line, own_version
from .photo_faces import FoundFace, faces_from
from .process import WorkerProcess
from .protocol import PROTOCOL, Message, Notification, Refusal, Reply, decode, encode
from .state import BUSY, State, StateMachine

HELLO_SECONDS = 120.0  # a cold disk, or another machine behind ssh
CANCEL_SECONDS = 5.0  # worker and installer answer within one; after this they are ended
SHUTDOWN_SECONDS = 2.0
SAME_RELEASE = "Install the backend and the add-on from the same release."

Steps = Generator[tuple[Event, ...], None, None]


class Session:
    """Installs the backend, starts it when it is first needed and keeps it, with its warm models, for later jobs.

    Its `state` moves as `TRANSITIONS` in `state.py` says. `generate`, `look` and `install` are generators: every step
    returns at once, with the events that arrived since the last one. In Blender's window a timer takes the steps, in
    background mode `drain` in `draining.py` does.

    Args:
        backend: what to start; None where nothing is installed.
        log: file for the worker's stderr; what the installer says goes to `install.log` beside it.
    """

    def __init__(self, backend: Backend | None, log: Path) -> None:
        self.backend = backend
        self.log = log
        self.install_log = log.with_name("install.log")
        self.hello: Mapping[str, Any] = {}
        self.error: ClientError | None = None
        self._machine = StateMachine(State.STOPPED if backend else State.NOT_INSTALLED)
        self._process: WorkerProcess | None = None
        self._leaving: list[tuple[WorkerProcess, float]] = []  # told to end, and until when they may take
        self._identifier = 0
        self._looking: int | None = None  # the number of the request for faces that is under way
        self._cancel_wanted = False
        self._cancel_deadline: float | None = None

    @property
    def state(self) -> State:
        """Where the backend stands; a worker that has ended while nobody needed it is noticed here."""
        self._see_off()
        if self._machine.state is State.READY and not self._alive():
            self._machine.to(State.STOPPED)
        return self._machine.state

    @property
    def busy(self) -> bool:
        """Whether a job or an installation is under way."""
        return self.state in BUSY

    @property
    def cancelling(self) -> bool:
        """Whether what is under way has been cancelled and is about to end."""
        return self.busy and self._cancel_wanted

    def generate(self, request: Mapping[str, Any], job: Path) -> Steps:
        """Make one head.

        Args:
            request: the HeadRequest as JSON values.
            job: the job folder; the same folder continues a broken job.

        Yields:
            Events, the last of them `Finished`.

        Raises:
            ClientError: what the backend reported, that it died or is missing, or kind `cancelled`.
        """
        self._begin()
        if self.backend is None:
            raise ClientError("backend_missing", "The backend is not installed.", "Press Install first.")
        try:
            if self.state is not State.READY:
                self._machine.to(State.STARTING)
                yield from self._start(self.backend)
                self._machine.to(State.READY)
            self._machine.to(State.RUNNING)
            yield from self._work(request, job)
            self._machine.to(State.READY)
        except ClientError as error:
            self._settle(error)
            raise
        finally:
            if self.busy:  # the generator was dropped half way
                self.close()

    def look(self, photo: str) -> Steps:
        """Look for the faces in a photo, with a backend that is ready; a job or an installation ends the looking.

        Args:
            photo: path of the photo, or `SAMPLE`.

        Yields:
            Events, the last of them `FacesFound`.

        Raises:
            ClientError: what is wrong with the photo, that the backend is not ready or has died, or kind `cancelled`.
        """
        if self.state is not State.READY or self._looking is not None:
            raise ClientError("busy", "The backend is not free to look at the photo.", "Generate the head.")
        asked = self._looking = self._send("faces", {"photo": photo})
        try:
            while self._looking == asked:
                for message in self._receive():
                    if isinstance(message, Refusal) and message.id in (asked, None):
                        raise ClientError(message.kind, message.message, message.hint)
                    if isinstance(message, Reply) and message.id == asked:
                        yield (FacesFound(_understood(message)),)
                        return
                yield ()
            raise _cancelled("look at the photo")
        finally:
            if self._looking == asked:
                self._looking = None

    def install(self, installation: Installation, find: Callable[[], Backend]) -> Steps:
        """Install, upgrade, repair, verify or remove the backend.

        Args:
            installation: what to do and where.
            find: finds the backend afterwards; raises ClientError where there is none.

        Yields:
            Events, the last of them `Installed`.

        Raises:
            ClientError: what the installer reported, that it died, or kind `cancelled`.
        """
        self._begin()
        self._let_go()
        self._machine.to(State.STOPPED if self.backend else State.NOT_INSTALLED)
        self._machine.to(State.INSTALLING)
        failure: ClientError | None = None
        try:
            while self._leaving:  # a worker must not lose its packages under its feet
                self._see_off()
                if self._cancel_wanted:
                    raise _cancelled("installation")
                yield ()
            self._process = WorkerProcess(installation.command(), self.install_log)
            yield from self._follow(self._process)
        except ClientError as error:
            failure = error
            raise
        finally:
            self._drop()
            self._find_again(find)
            if failure is not None and failure.kind != "cancelled":
                self.error = failure
                self._machine.to(State.ERROR)
            else:
                self._machine.to(State.STOPPED if self.backend else State.NOT_INSTALLED)

    def cancel(self) -> None:
        """Ask for the end of what is under way; its generator then raises ClientError `cancelled`."""
        self._cancel_wanted = self.busy

    def renew(self, backend: Backend | None) -> None:
        """Have the next job start a new worker, of `backend`; the one that runs is told to end and not waited for."""
        self._let_go()
        self._machine.to(State.STOPPED)
        self.backend = backend
        if backend is None:
            self._machine.to(State.NOT_INSTALLED)

    def close(self) -> None:
        """Stop the worker and wait for its end, a second or two; the next job starts a new one."""
        self._looking = None
        self.hello = {}
        if self._process is not None:
            if self._machine.state is State.INSTALLING:
                self._process.interrupt()
            else:
                self._send("shutdown", {})
            self._process.close(SHUTDOWN_SECONDS)
            self._process = None
        for process, _ in self._leaving:
            process.close(grace=0.0)
        self._leaving.clear()
        self._machine.to(State.STOPPED if self.backend else State.NOT_INSTALLED)

    def _begin(self) -> None:
        if self.busy:
            doing = "being installed" if self.state is State.INSTALLING else "already working on a head"
            raise ClientError("busy", f"The backend is {doing}.", "Wait for it or cancel it first.")
        self._looking = None
        self._cancel_wanted = False
        self._cancel_deadline = None
        self.error = None

    def _settle(self, error: ClientError) -> None:
        """The state after a job that brought no head: the worker lives on, was ended by us, or died."""
        if self._alive():
            self._machine.to(State.READY)
        elif error.kind == "cancelled":
            self._machine.to(State.STOPPED)
        else:
            self.error = error
            self._machine.to(State.ERROR)

    def _alive(self) -> bool:
        return self._process is not None and self._process.exit_status is None

    def _start(self, backend: Backend) -> Steps:
        self._drop()
        self._process = WorkerProcess(backend.command, self.log, backend.environment)
        greeting = self._send("hello", {"protocol": PROTOCOL})
        deadline = time.monotonic() + HELLO_SECONDS
        while True:
            for message in self._receive():
                if isinstance(message, Refusal) and message.id in (greeting, None):
                    self._drop()
                    raise ClientError(message.kind, message.message, message.hint)
                if isinstance(message, Reply) and message.id == greeting:
                    self.hello = message.result
                    yield self._check_release(message.result)
                    return
            if self._cancel_wanted:
                self._drop()
                raise _cancelled()
            if time.monotonic() > deadline:
                self._drop()
                raise ClientError(
                    "backend_silent",
                    f"The backend did not answer within {HELLO_SECONDS:.0f} seconds.",
                    f"See the log “{self.log}”.",
                )
            yield ()

    def _check_release(self, hello: Mapping[str, Any]) -> tuple[Event, ...]:
        """Nothing, or a warning about a backend of another release; with another protocol it is of no use."""
        version = hello.get("version", "unknown")
        if hello.get("protocol") != PROTOCOL:
            self._drop()
            raise ClientError(
                "protocol",
                f"The backend (version {version}) speaks protocol {hello.get('protocol')}, "
                f"this add-on speaks {PROTOCOL}.",
                SAME_RELEASE,
            )
        if version != own_version():
            return (Warned(f"The backend is version {version}, the add-on {own_version()}. {SAME_RELEASE}"),)
        return ()

    def _work(self, request: Mapping[str, Any], job: Path) -> Steps:
        asked = self._send("generate", {"request": dict(request), "job": str(job)})
        while True:
            events: list[Event] = []
            for message in self._receive():
                if isinstance(message, Refusal) and message.id in (asked, None):
                    raise ClientError(message.kind, message.message, message.hint)
                event = event_from(message.method, message.params) if isinstance(message, Notification) else None
                if isinstance(event, Failed):
                    raise ClientError(event.kind, event.message, event.hint)
                if event is not None:
                    events.append(event)
                if isinstance(event, Finished):
                    yield tuple(events)
                    return
            if self._cancel_due(lambda: self._send("cancel", {})):
                self._drop()
                raise _cancelled()
            yield tuple(events)

    def _follow(self, process: WorkerProcess) -> Steps:
        while True:
            lines = process.receive()
            events = [event for line in lines for event in events_from_line(line)]
            for event in events:
                if isinstance(event, Failed):
                    raise ClientError(event.kind, event.message, event.hint)
            yield tuple(events)
            if any(isinstance(event, Installed) for event in events):
                return
            if not lines and process.ended:
                if self._cancel_wanted:
                    raise _cancelled("installation")
                raise ended_without_word(process.exit_status, process.log_tail(), self.install_log)
            if self._cancel_due(process.interrupt):
                raise _cancelled("installation")

    def _cancel_due(self, ask: Callable[[], object]) -> bool:
        """Once a cancel is wanted `ask` for the end; whether that has been to no avail for too long."""
        if not self._cancel_wanted:
            return False
        if self._cancel_deadline is None:
            ask()
            self._cancel_deadline = time.monotonic() + CANCEL_SECONDS
        return time.monotonic() > self._cancel_deadline

    def _find_again(self, find: Callable[[], Backend]) -> None:
        try:
            self.backend = find()
        except ClientError:
            self.backend = None

    def _send(self, method: str, params: Mapping[str, Any]) -> int:
        assert self._process is not None
        self._identifier += 1
        self._process.send(encode(self._identifier, method, params))
        return self._identifier

    def _receive(self) -> list[Message]:
        """What has arrived. Raises ClientError where the worker is gone and nothing is left to read."""
        process = self._process
        assert process is not None
        messages = [decode(line) for line in process.receive()]
        for message in messages:
            if not isinstance(message, (Reply, Refusal, Notification)):
                process.note(message.text)
        if not messages and process.ended:
            status = process.exit_status
            reason = process.log_tail()
            self._drop()
            raise _cancelled() if self._cancel_wanted else diagnose.death(status, reason, self.log)
        return messages

    def _drop(self) -> None:
        """Be rid of a process that is not to be used again; nobody waits for its end."""
        if self._process is not None:
            self._process.strike()
            self._leave(self._process)

    def _let_go(self) -> None:
        """Tell the worker to end in good order, without waiting for it."""
        self._looking = None
        self.hello = {}
        if self._process is not None:
            self._send("shutdown", {})
            self._leave(self._process)

    def _leave(self, process: WorkerProcess) -> None:
        process.hang_up()
        self._leaving.append((process, time.monotonic() + SHUTDOWN_SECONDS))
        self._process = None

    def _see_off(self) -> None:
        """Forget those that have ended; end those that should have."""
        now, leaving = time.monotonic(), self._leaving
        self._leaving = []
        for process, deadline in leaving:
            if process.exit_status is None and now < deadline:
                self._leaving.append((process, deadline))
            else:
                process.close(grace=0.0)


def _understood(answer: Reply) -> tuple[FoundFace, ...]:
    try:
        return faces_from(answer.result)
    except ValueError as error:
        raise ClientError("bad_answer", f"The backend's answer was not understood: {error}.", SAME_RELEASE) from error


def _cancelled(what: str = "head") -> ClientError:
    return ClientError("cancelled", f"The {what} was cancelled.", "Start it again to continue where it stopped.")
