"""The process that Blender talks to: JSON-RPC 2.0, one message a line, requests on stdin and answers on stdout.

The worker itself only reads, writes and watches. The work is done by an engine, a child process that stays warm
between jobs: so a cancel is answered at once whatever runs (the engine is ended, the job folder keeps its finished
stages), and nothing that a library prints can reach the protocol's stdout. When stdin ends, because Blender has, the
worker ends too.
"""

from __future__ import annotations

import functools
import json
import os
import queue
import sys
import threading
from dataclasses import dataclass
from typing import Any

import portrait_head
from portrait_head import failures
from portrait_head.engine import Engine, LookedAt, Told
from portrait_head.errors import PortraitHeadError
from portrait_head.events import Done, Event, Failed, ProgressMade
from portrait_head.line_pipes import LineWriter, read_lines
from portrait_head.machine import examine_machine
from portrait_head.photo.found_faces import FoundFaces
from portrait_head.request import HeadRequest

PROTOCOL = 1
MOST_UNREAD = 1000  # messages that wait to be handled
PARSE_ERROR, INVALID_REQUEST, UNKNOWN_METHOD, INVALID_PARAMS, INTERNAL = -32700, -32600, -32601, -32602, -32603
BUSY, OTHER_PROTOCOL, FAILED = -32000, -32001, -32002


def serve() -> int:
    """Serve until `shutdown` or the end of stdin; returns the exit status."""
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever prints from here on prints to the log
    Worker(os.dup(sys.stdin.fileno()), answers).run()
    return 0


@dataclass(frozen=True)
class _Line:
    text: bytes


@dataclass(frozen=True)
class _FromEngine:
    engine: Engine
    event: Told


@dataclass(frozen=True)
class _Question:
    """A request whose answer the engine is looking for."""

    number: str | int | None


class _EndOfRequests:
    """Nobody is there any more."""


class _Refused(Exception):
    """A request that cannot be followed."""

    def __init__(self, code: int, kind: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message, "data": {"kind": kind, "hint": hint}}


class Worker:
    """Answers requests and passes the engine's events on as notifications.

    Args:
        requests: descriptor to read from.
        answers: descriptor to write to.
    """

    def __init__(self, requests: int, answers: int) -> None:
        self._out = LineWriter(answers)
        self._inbox: queue.Queue[_Line | _FromEngine | _EndOfRequests] = queue.Queue(MOST_UNREAD)
        self._engine: Engine | None = None
        self._busy = False
        self._question: _Question | None = None
        threading.Thread(target=self._read, args=(requests,), daemon=True).start()

    def run(self) -> None:
        """Handle messages until there are no more to come."""
        serving = True
        while serving:
            match self._inbox.get():
                case _Line(text):
                    serving = self._handle_line(text)
                case _FromEngine(engine, event):
                    if engine is self._engine:
                        self._handle_event(event)
                case _EndOfRequests():
                    serving = False
        self._end_engine()
        self._out.flush()

    def _read(self, requests: int) -> None:
        for line in read_lines(requests):
            self._out.wait_for_room()
            if self._out.broken:
                break
            self._inbox.put(_Line(line))
        self._inbox.put(_EndOfRequests())

    def _hear_engine(self, engine: Engine, event: Told) -> None:
        self._out.wait_for_room()
        self._inbox.put(_FromEngine(engine, event))

    def _handle_line(self, text: bytes) -> bool:
        """Answer one request; False when it was the last."""
        if not text.strip():
            return True
        number: str | int | None = None
        try:
            message = _parse(text)
            number = _number(message)
            return self._follow(number, message["method"], message.get("params") or {})
        except _Refused as refused:
            self._refuse(number, refused)
        except Exception as error:
            failed = failures.as_event(error)
            self._refuse(number, _Refused(INTERNAL, failed.kind, failed.message, failed.hint))
        return True

    def _follow(self, number: str | int | None, method: str, params: Any) -> bool:
        if not isinstance(params, dict):
            raise _Refused(INVALID_PARAMS, "bad_request", "Parameters are given by name.", "Give an object.")
        match method:
            case "hello":
                self._answer(number, _hello(params))
            case "faces":
                self._look(number, params)
            case "generate":
                self._generate(number, params)
            case "cancel":
                self._cancel(number)
            case "shutdown":
                self._answer(number, None)
                return False
            case _:
                hint = "Install the add-on and the backend from the same release."
                raise _Refused(UNKNOWN_METHOD, "unknown_method", f"There is no method {method[:80]}.", hint)
        return True

    def _look(self, number: str | int | None, params: dict[str, Any]) -> None:
        """Ask for the faces of a photo; a job may be started meanwhile and then follows."""
        if self._busy or self._question is not None:
            doing = "A job is running" if self._busy else "Another photo is being looked at"
            raise _Refused(BUSY, "busy", f"{doing}.", "Wait for its end or cancel it.")
        photo = _path(params, "photo", "The parameter photo names the photo.", "Give the path of a file.")
        engine = self._warm_engine()
        self._question = _Question(number)
        engine.look(photo)

    def _generate(self, number: str | int | None, params: dict[str, Any]) -> None:
        if self._busy:
            raise _Refused(BUSY, "busy", "A job is running; cancel it first.", "Wait for its end or cancel it.")
        job = _path(params, "job", "The parameter job names the job folder.", "Give the path of a folder.")
        try:
            request = HeadRequest.from_dict(params.get("request"))
        except PortraitHeadError as error:
            raise _Refused(INVALID_PARAMS, error.kind, error.message, error.hint) from error
        engine = self._warm_engine()
        self._busy = True
        self._answer(number, {"job": job})
        engine.submit(request, job)

    def _cancel(self, number: str | int | None) -> None:
        under_way = self._busy or self._question is not None
        self._answer(number, {"cancelled": under_way})
        if under_way:
            hint = "Start it again to continue where it stopped."
            self._end_work(Failed("cancelled", "The job was cancelled.", hint))

    def _handle_event(self, event: Told) -> None:
        if isinstance(event, LookedAt):
            self._answer_question(event.answer)
        elif isinstance(event, Failed) and event.kind == "engine_died":
            self._end_work(event)  # idle: the next task starts another engine
        else:
            self._busy = self._busy and not isinstance(event, Done | Failed)
            self._notify(event)

    def _answer_question(self, answer: FoundFaces | Failed) -> None:
        question, self._question = self._question, None
        if question is None:
            return
        if isinstance(answer, Failed):
            self._refuse(question.number, _Refused(FAILED, answer.kind, answer.message, answer.hint))
        else:
            self._answer(question.number, answer.to_result())

    def _warm_engine(self) -> Engine:
        if self._engine is None:
            self._engine = Engine(self._hear_engine)
        return self._engine

    def _end_work(self, why: Failed) -> None:
        """End the engine, and tell whoever waits for it."""
        was_busy = self._busy
        self._end_engine()
        self._answer_question(why)
        if was_busy:
            self._notify(why)

    def _end_engine(self) -> None:
        if self._engine is not None:
            self._engine.end()
        self._engine = None
        self._busy = False

    def _refuse(self, number: str | int | None, refused: _Refused) -> None:
        self._send({"id": number, "error": refused.error})

    def _notify(self, event: Event) -> None:
        message = {"method": event.method, "params": event.to_params()}
        self._send(message, replaces=isinstance(event, ProgressMade))

    def _answer(self, number: str | int | None, result: Any) -> None:
        self._send({"id": number, "result": result})

    def _send(self, message: dict[str, Any], replaces: bool = False) -> None:
        self._out.put(json.dumps({"jsonrpc": "2.0", **message}).encode(), replaces)


def _parse(text: bytes) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        hint = "Write one JSON-RPC request a line, in UTF-8."
        raise _Refused(PARSE_ERROR, "bad_request", "This line is not JSON.", hint) from error
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        hint = "Write one request a line."
        raise _Refused(INVALID_REQUEST, "bad_request", "A request is an object with a method.", hint)
    return message


def _number(message: dict[str, Any]) -> str | int | None:
    number = message.get("id")
    if not isinstance(number, str | int | None):
        raise _Refused(
            INVALID_REQUEST, "bad_request", "The id of a request is a number or text.", "Count the requests."
        )
    return number


def _path(params: dict[str, Any], name: str, what: str, hint: str) -> str:
    value = params.get(name)
    if not isinstance(value, str) or not value or "\0" in value:
        raise _Refused(INVALID_PARAMS, "bad_request", what, hint)
    return value


def _hello(params: dict[str, Any]) -> dict[str, Any]:
    asked = params.get("protocol", PROTOCOL)
    if asked != PROTOCOL:
        raise _Refused(
            OTHER_PROTOCOL,
            "protocol",
            f"This backend (version {portrait_head.__version__}) speaks protocol {PROTOCOL}, not {str(asked)[:20]}.",
            "Install the add-on and the backend from the same release.",
        )
    return {"protocol": PROTOCOL, "version": portrait_head.__version__, **_machine()}


@functools.cache
def _machine() -> dict[str, Any]:
    """Looked at once: a worker tells the same for as long as it runs."""
    return examine_machine().to_result()
