"""What a running job tells: the same events go to the terminal, to `events.jsonl` and over the worker's pipe."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Event:
    """Base of all events; `method` is the name of its JSON-RPC notification."""

    method: ClassVar[str]

    def to_params(self) -> dict[str, Any]:
        """The event's fields, ready for JSON."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class StageStarted(Event):
    """A stage begins; `index` counts from 1 to `count`."""

    method: ClassVar[str] = "stage"
    name: str
    index: int
    count: int


@dataclass(frozen=True)
class ProgressMade(Event):
    """`done` of `total` of the whole job; `eta_s` seconds are left, as far as one can tell."""

    method: ClassVar[str] = "progress"
    done: float
    total: float
    eta_s: float


@dataclass(frozen=True)
class PreviewReady(Event):
    """A picture of the unfinished head lies at `path`; the next one takes its place."""

    method: ClassVar[str] = "preview"
    path: str


@dataclass(frozen=True)
class Warned(Event):
    """Something the user should know; the job goes on."""

    method: ClassVar[str] = "warning"
    message: str


@dataclass(frozen=True)
class Failed(Event):
    """The job ended without a head: what happened, and what to do next."""

    method: ClassVar[str] = "error"
    kind: str
    message: str
    hint: str


@dataclass(frozen=True)
class Done(Event):
    """The head is there: folders of the asset and of the report."""

    method: ClassVar[str] = "done"
    asset: str
    report: str
