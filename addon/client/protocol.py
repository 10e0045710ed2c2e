# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the worker protocol: JSON-RPC 2.0, one message a line of UTF-8."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PROTOCOL = 1
"""The protocol integer of `hello`; both sides must say the same."""

LONGEST_LINE = 4 * 1024 * 1024
"""Bytes of one line beyond which it is no message of ours: a program that writes without line ends fills no memory."""


@dataclass(frozen=True)
class Reply:
    """The answer to request `id`."""

    id: int
    result: Mapping[str, Any]


@dataclass(frozen=True)
class Refusal:
    """The error answer to request `id` (None where the worker could not read the request)."""

    id: int | None
    kind: str
    message: str
    hint: str


@dataclass(frozen=True)
class Notification:
    """Something the worker tells without being asked."""

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Garbage:
    """A line that is no message; worth keeping in the log because it often says what went wrong."""

    text: str


Message = Reply | Refusal | Notification | Garbage


def encode(identifier: int, method: str, params: Mapping[str, Any]) -> bytes:
    """One request as the line that goes over the pipe."""
    message = {"jsonrpc": "2.0", "id": identifier, "method": method, "params": dict(params)}
    return json.dumps(message, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass") + b"\n"


def decode(line: bytes) -> Message:
    """What a line says; never raises, whatever the line holds."""
    text = line.decode("utf-8", "replace")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return Garbage(text)
    if not isinstance(message, dict):
        return Garbage(text)
    params = message.get("params", {})
    if isinstance(message.get("method"), str) and isinstance(params, dict):
        return Notification(message["method"], params)
    identifier = message.get("id")
    error = message.get("error")
    if isinstance(error, dict) and (identifier is None or type(identifier) is int):
        data = error.get("data")
        data = data if isinstance(data, dict) else {}
        return Refusal(
            identifier,
            str(data.get("kind", "refused")),
            str(data.get("message", error.get("message", "The backend refused the request."))),
            str(data.get("hint", "")),
        )
    if type(identifier) is int and isinstance(message.get("result", False), dict | None):
        return Reply(identifier, message["result"] or {})
    return Garbage(text)


class LineBuffer:
    """Cuts a stream of bytes, arriving in any pieces, into lines."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their ends and without empty ones.

        A line longer than `LONGEST_LINE` is handed out in pieces, which then decode as `Garbage`.
        """
        self._rest += data
        *lines, rest = self._rest.split(b"\n")
        while len(rest) > LONGEST_LINE:
            lines.append(rest[:LONGEST_LINE])
            rest = rest[LONGEST_LINE:]
        self._rest = bytearray(rest)
        return [bytes(line) for line in (part.strip(b"\r") for part in lines) if line]
