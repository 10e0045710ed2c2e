# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes all steps of a `Session`'s generator, where no timer of a window takes them one by one."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import TypeVar

from .events import Event, Finished, Installed
from .session import Steps

STEP_SECONDS = 0.05
"""Between two steps that brought nothing."""

Last = TypeVar("Last", bound=Event)


def drain(steps: Steps, listen: Callable[[Event], None], cancel: Callable[[], None]) -> Finished:
    """Run a `Session.generate` to its end, telling `listen` every event; Ctrl-C calls `cancel` and drains on.

    Raises:
        ClientError: as the generator does.
    """
    return _drain(steps, listen, cancel, Finished)


def drain_installation(steps: Steps, listen: Callable[[Event], None], cancel: Callable[[], None]) -> Installed:
    """The same for a `Session.install`."""
    return _drain(steps, listen, cancel, Installed)


def _drain(steps: Steps, listen: Callable[[Event], None], cancel: Callable[[], None], kind: type[Last]) -> Last:
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
    assert isinstance(last, kind), f"the generator ends with {kind.__name__} or raises"
    return last
