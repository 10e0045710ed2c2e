"""Thousands of lines that no worker should write, over real pipes into a session."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from addon.client import session as session_module
from addon.client.backend import Backend
from addon.client.errors import ClientError
from addon.client.events import Event, Finished
from addon.client.protocol import Message, decode
from addon.client.session import Session
from addon.client.state import State

BABBLER = Path(__file__).parents[1] / "babbler.py"
SEEDS = 40  # each is one worker that writes 150 lines


def outcome(seed: int, folder: Path) -> tuple[State, str]:
    """The state after a babbling worker, and the kind of its error; empty where it got to say that a head is done."""
    session = Session(Backend((sys.executable, str(BABBLER), str(seed)), "in the test"), folder / "backend.log")
    events: list[Event] = []
    kind = ""
    try:
        for told in session.generate({"photos": ["portrait.jpg"]}, folder / "job"):
            events += told
            time.sleep(0.001)
        assert isinstance(events[-1], Finished)
    except ClientError as error:
        kind = error.kind
        assert error.message
    finally:
        session.close()
    return session.state, kind


def test_no_babble_hangs_or_crashes_the_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    read: list[bytes] = []

    def decode_and_count(line: bytes) -> Message:
        read.append(line)
        return decode(line)

    monkeypatch.setattr(session_module, "decode", decode_and_count)
    started = time.monotonic()
    ends = [outcome(seed, tmp_path / str(seed)) for seed in range(SEEDS)]
    assert time.monotonic() - started < 30
    assert len(read) >= 2000
    assert {state for state, _ in ends} == {State.STOPPED}
    assert "" in {kind for _, kind in ends}, "some said hello and done in this order among all the noise"
    assert len({kind for _, kind in ends}) > 1, "and some did not"
    written = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"backend.log"}
