"""Sessions with a real child process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from addon.client.backend import Backend
from addon.client.session import Session

PEER = Path(__file__).parents[1] / "peer.py"


@pytest.fixture
def open_session(tmp_path: Path) -> Iterator[Callable[[str], Session]]:
    """Call it with the manner of the peer."""
    sessions: list[Session] = []

    def open_one(manner: str) -> Session:
        sessions.append(Session(Backend((sys.executable, str(PEER), manner), "in the test"), tmp_path / "backend.log"))
        return sessions[-1]

    yield open_one
    for session in sessions:
        session.close()
