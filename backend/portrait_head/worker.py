"""The process that Blender talks to: JSON-RPC 2.0, one message a line, requests on stdin and answers on stdout.

The worker itself only reads, writes and watches. The work is done by an engine, a child process that stays warm
between jobs: so a cancel is answered at once whatever runs (the engine is ended, the job folder keeps its finished
stages), and nothing that a library prints can reach the protocol's stdout. When stdin ends, because Blender has, the
worker ends too.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
import sys
import threading
from dataclasses import dataclass
from io import RawIOBase
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TextIO

import portrait_head
from portrait_head import failures
from portrait_head.errors import PortraitHeadError
from portrait_head.events import Done, Event, Failed
from portrait_head.request import HeadRequest

PROTOCOL = 1
MAX_LINE = 1 << 20  # a request is a few hundred bytes; anything near this is not one
PARSE_ERROR, INVALID_REQUEST, UNKNOWN_METHOD, INVALID_PARAMS, BUSY = -32700, -32600, -32601, -32602, -32000


def serve() -> int:
    """Serve until `shutdown` or the end of stdin; returns the exit status."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever prints from here on prints to the log
    # Unbuffered: a reader that waits in a buffer's lock would keep the interpreter from ending.
    with os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0) as requests:
        Worker(requests, out).run()
    return 0


@dataclass(frozen=True)
class _Line:
    text: bytes  # empty at the end of stdin


@dataclass(frozen=True)
class _FromEngine:
    engine: _Engine
    event: Event | None  # None when the engine has died


class Worker:
    """Answers requests and passes the engine's events on as notifications."""

    def __init__(self, requests: RawIOBase, out: TextIO) -> None:
        self._out = out
        self._inbox: queue.Queue[_Line | _FromEngine] = queue.Queue()
        self._engine: _Engine | None = None
        self._busy = False
        threading.Thread(target=self._read, args=(requests,), daemon=True).start()

    def run(self) -> None:
        """Handle messages until there are no more to come."""
        serving = True
        while serving:
            message = self._inbox.get()
            if isinstance(message, _Line):
                serving = bool(message.text) and self._handle_line(message.text)
            elif message.engine is self._engine:
                self._handle_event(message.event)
        self._end_engine()

    def _read(self, requests: RawIOBase) -> None:
        while line := requests.readline(MAX_LINE):
            self._inbox.put(_Line(line))
        self._inbox.put(_Line(b""))

    def _handle_line(self, text: bytes) -> bool:
        """Answer one request; False when it was the last."""
        try:
            message = json.loads(text)
        except ValueError:
            self._refuse(None, PARSE_ERROR, "This line is not JSON.")
            return True
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            self._refuse(None, INVALID_REQUEST, "A request is an object with a method.")
            return True
        number, method, params = message.get("id"), message["method"], message.get("params") or {}
        if not isinstance(params, dict):
            self._refuse(number, INVALID_PARAMS, "Parameters are given by name.")
        elif method == "hello":
            self._answer(number, self._hello())
        elif method == "generate":
            self._generate(number, params)
        elif method == "cancel":
            self._cancel(number)
        elif method == "shutdown":
            self._answer(number, None)
            return False
        else:
            self._refuse(number, UNKNOWN_METHOD, f"There is no method {method}.")
        return True

    def _hello(self) -> dict[str, Any]:
        return {
            "protocol": PROTOCOL,
            "version": portrait_head.__version__,
            "device": "cpu",
            "vram_mb": 0,
            "packs": [],
        }

    def _generate(self, number: Any, params: dict[str, Any]) -> None:
        if self._busy:
            self._refuse(number, BUSY, "A job is running; cancel it first.")
            return
        if not isinstance(params.get("job"), str):
            self._refuse(number, INVALID_PARAMS, "The parameter job names the job folder.")
            return
        try:
            request = HeadRequest.from_dict(params.get("request"))
        except PortraitHeadError as error:
            self._refuse(number, INVALID_PARAMS, error.message, {"kind": error.kind, "hint": error.hint})
            return
        if self._engine is None:
            self._engine = _Engine(self._inbox)
        self._busy = True
        self._answer(number, {"job": params["job"]})
        self._engine.submit(request, params["job"])

    def _cancel(self, number: Any) -> None:
        was_busy = self._busy
        if was_busy:
            self._end_engine()
        self._answer(number, {"cancelled": was_busy})
        if was_busy:
            self._notify(Failed("cancelled", "The job was cancelled.", "Start it again to continue where it stopped."))

    def _handle_event(self, event: Event | None) -> None:
        if event is None:
            self._end_engine()
            event = Failed(
                "engine_died",
                "The process that makes the head ended unexpectedly, most often for want of memory.",
                "Close other programs, then start the job again: it continues where it stopped.",
            )
        if isinstance(event, Done | Failed):
            self._busy = False
        self._notify(event)

    def _end_engine(self) -> None:
        if self._engine is not None:
            self._engine.end()
        self._engine = None
        self._busy = False

    def _notify(self, event: Event) -> None:
        self._send({"method": event.method, "params": event.to_params()})

    def _answer(self, number: Any, result: Any) -> None:
        self._send({"id": number, "result": result})

    def _refuse(self, number: Any, code: int, message: str, data: dict[str, str] | None = None) -> None:
        error = {"code": code, "message": message}
        self._send({"id": number, "error": error if data is None else {**error, "data": data}})

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._out.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
            self._out.flush()
        except BrokenPipeError:  # nobody reads any more: stdin ends next, and that ends the worker
            self._busy = False


class _Engine:
    """The child process that runs the pipeline, one job after the other."""

    def __init__(self, inbox: queue.Queue[Any]) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._pipe: Connection = ours
        self._process: BaseProcess = context.Process(target=_work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        threading.Thread(target=self._pass_on, args=(inbox,), daemon=True).start()

    def submit(self, request: HeadRequest, folder: str) -> None:
        """Start a job."""
        self._pipe.send((request, folder))

    def end(self) -> None:
        """End the process now; finished stages stay."""
        self._process.kill()
        self._process.join()

    def _pass_on(self, inbox: queue.Queue[Any]) -> None:
        try:
            while True:
                inbox.put(_FromEngine(self, self._pipe.recv()))
        except (EOFError, OSError):
            inbox.put(_FromEngine(self, None))


def _work(pipe: Connection) -> None:
    """The engine's loop: take a job, send its events."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            request, folder = pipe.recv()
        except EOFError:
            return
        try:
            portrait_head.generate(request, Path(folder), pipe.send)
        except Exception as error:
            pipe.send(failures.as_event(error))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
