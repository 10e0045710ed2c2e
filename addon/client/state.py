# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the backend stands, and how it gets from there to anywhere else."""

from __future__ import annotations

import enum
from collections.abc import Mapping


class State(enum.Enum):
    """Where the backend stands; the value is what the user reads."""

    NOT_INSTALLED = "not installed"
    INSTALLING = "installing"
    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    RUNNING = "running"
    ERROR = "error"


TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.NOT_INSTALLED: frozenset({State.INSTALLING, State.STOPPED}),  # STOPPED: somebody else installed it
    State.INSTALLING: frozenset({State.STOPPED, State.NOT_INSTALLED, State.ERROR}),
    State.STOPPED: frozenset({State.STARTING, State.INSTALLING, State.NOT_INSTALLED}),
    State.STARTING: frozenset({State.READY, State.STOPPED, State.ERROR}),
    State.READY: frozenset({State.RUNNING, State.STOPPED}),
    State.RUNNING: frozenset({State.READY, State.STOPPED, State.ERROR}),
    State.ERROR: frozenset({State.STARTING, State.INSTALLING, State.STOPPED, State.NOT_INSTALLED}),
}
"""The states that may follow each state."""

BUSY = frozenset({State.INSTALLING, State.STARTING, State.RUNNING})
"""The states in which a generator of `Session` is under way."""


class StateMachine:
    """One state, changed along `TRANSITIONS` only."""

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def state(self) -> State:
        """Where it stands."""
        return self._state

    def to(self, state: State) -> None:
        """Go on to `state`; staying is no step. Raises ValueError for a step that is in no table: a mistake of ours."""
        if state is self._state:
            return
        if state not in TRANSITIONS[self._state]:
            raise ValueError(f"no step leads from {self._state.value} to {state.value}")
        self._state = state
