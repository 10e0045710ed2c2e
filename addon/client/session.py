# SPDX-License-Identifier: GPL-3.0-or-later
"""One backend and the jobs given to it, advanced by whoever has time: a modal timer in the UI, a loop in batch."""

from __future__ import annotations

import enum
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from . import diagnose
from .backend import Backend
from .errors import ClientError
from .events import Event, Failed, Finished, event_from
from .process import WorkerProcess
from .protocol import PROTOCOL, Message, Notification, Refusal, Reply, decode, encode

HELLO_SECONDS = 120.0  # a cold disk, or another machine behind ssh
CANCEL_SECONDS = 5.0  # the worker answers within one; after this it is ended
SHUTDOWN_SECONDS = 2.0
STEP_SECONDS = 0.05  # between two steps of a drained generator


class State(enum.Enum):
    """Where the backend stands."""

    STOPPED = "not started"
    STARTING = "starting"
    READY = "ready"
    WORKING = "working"
    CANCELLING = "cancelling"
    FAILED = "failed"


Steps = Iterator[tuple[Event, ...]]


class Session:
    """Starts the worker when it is first needed and keeps it, with its warm models, for the jobs that follow.

    Args:
        backend: what to start.
        log: file for the worker's stderr.
    """

    def __init__(self, backend: Backend, log: Path) -> None:
        self.backend = backend
        self.log = log
        self.state = State.STOPPED
        self.hello: Mapping[str, Any] = {}
        self._process: WorkerProcess | None = None
        self._identifier = 0
        self._cancel_wanted = False

    @property
    def busy(self) -> bool:
        """Whether a job is under way."""
        return self.state in (State.STARTING, State.WORKING, State.CANCELLING)

    def generate(self, request: Mapping[str, Any], job: Path) -> Steps:
        """Make one head; every step returns at once with the events that arrived since the last one.

        Args:
            request: the HeadRequest as JSON values.
            job: the job folder; the same folder continues a broken job.

        Yields:
            Events, the last of them `Finished`.

        Raises:
            ClientError: what the backend reported, that it died or is missing, or kind `cancelled`.
        """
        if self.busy:
            raise ClientError("busy", "The backend is already working on a head.", "Wait for it or cancel it first.")
        self._cancel_wanted = False
        self.state = State.STARTING
        try:
            yield from self._start()
            self.state = State.WORKING
            yield from self._work(request, job)
            self.state = State.READY
        except ClientError:
            self.state = State.READY if self._alive() else State.FAILED
            raise
        finally:
            if self.busy:  # the generator was dropped half way
                self.close()

    def cancel(self) -> None:
        """Ask for the end of the job under way; its generator then raises ClientError `cancelled`."""
        self._cancel_wanted = self.busy

    def close(self) -> None:
        """Stop the worker; the next job starts a new one."""
        if self._process is not None:
            self._send("shutdown", {})
            self._process.close(SHUTDOWN_SECONDS)
            self._process = None
        self.state = State.STOPPED

    def _alive(self) -> bool:
        return self._process is not None and self._process.exit_status is None

    def _start(self) -> Steps:
        if self._alive():
            return
        if self._process is not None:
            self._process.close()
        self._process = WorkerProcess(self.backend.command, self.log)
        greeting = self._send("hello", {"protocol": PROTOCOL})
        deadline = time.monotonic() + HELLO_SECONDS
        while True:
            for message in self._receive():
                if isinstance(message, Refusal) and message.id == greeting:
                    self._drop()
                    raise ClientError(message.kind, message.message, message.hint)
                if isinstance(message, Reply) and message.id == greeting:
                    self._check_protocol(message.result)
                    self.hello = message.result
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

    def _check_protocol(self, hello: Mapping[str, Any]) -> None:
        if hello.get("protocol") != PROTOCOL:
            self._drop()
            raise ClientError(
                "protocol",
                f"The backend (version {hello.get('version', 'unknown')}) speaks protocol {hello.get('protocol')}, "
                f"this add-on speaks {PROTOCOL}.",
                "Install the backend and the add-on from the same release.",
            )

    def _work(self, request: Mapping[str, Any], job: Path) -> Steps:
        asked = self._send("generate", {"request": dict(request), "job": str(job)})
        cancel_deadline: float | None = None
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
            if self._cancel_wanted and cancel_deadline is None:
                self.state = State.CANCELLING
                self._send("cancel", {})
                cancel_deadline = time.monotonic() + CANCEL_SECONDS
            if cancel_deadline is not None and time.monotonic() > cancel_deadline:
                self._drop()
                raise _cancelled()
            yield tuple(events)

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
        """Be rid of a worker that is not to be used again."""
        if self._process is not None:
            self._process.close(grace=0.0)
            self._process = None


def drain(steps: Steps, listen: Callable[[Event], None], cancel: Callable[[], None]) -> Finished:
    """Run a `Session.generate` to its end, telling `listen` every event; Ctrl-C calls `cancel` and drains on.

    Raises:
        ClientError: as the generator does.
    """
    # A KeyboardInterrupt would be thrown into the middle of the generator and end it before it has told the worker.
    previous = signal.signal(signal.SIGINT, lambda number, frame: cancel())
    try:
        last: Event | None = None
        for events in steps:
            for last in events:
                listen(last)
            if not events:
                time.sleep(STEP_SECONDS)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if previous is None else previous)
    assert isinstance(last, Finished), "generate ends with Finished or raises"
    return last


def _cancelled() -> ClientError:
    return ClientError("cancelled", "The head was cancelled.", "Generate it again to continue where it stopped.")
