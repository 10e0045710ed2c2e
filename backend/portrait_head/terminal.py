"""Events as a person reads them."""

from __future__ import annotations

import time
from typing import TextIO

from portrait_head.events import Done, Event, Failed, ProgressMade, StageStarted, Warned

BAR_WIDTH = 24


class Terminal:
    """Shows events as a line that is drawn over on a terminal, and as a line a stage in a file."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._live = out.isatty()
        self._stage = ""
        self._started = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, StageStarted):
            self._stage = f"{event.index}/{event.count} {event.name}"
            if not self._live:
                self._line(self._stage)
        elif isinstance(event, ProgressMade) and self._live:
            filled = round(event.done / event.total * BAR_WIDTH)
            bar = "#" * filled + "." * (BAR_WIDTH - filled)
            self._out.write(f"\r\033[K{bar} {event.done / event.total:4.0%}  {self._stage}, {event.eta_s:.0f} s left")
            self._out.flush()
        elif isinstance(event, Warned):
            self._line(f"Note: {event.message}")
        elif isinstance(event, Failed):
            self._line(f"{event.message} {event.hint}")
        elif isinstance(event, Done):
            self._line(f"Done in {time.monotonic() - self._started:.0f} s: {event.asset}")

    def _line(self, text: str) -> None:
        start = "\r\033[K" if self._live else ""
        self._out.write(f"{start}{text}\n")
        self._out.flush()
