# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress of a batch as text: one moving line on a terminal, a line a tenth in a log file."""

from __future__ import annotations

import time
from typing import TextIO

from .events import Event, ProgressMade, StageStarted, Warned

LINE_WIDTH = 78
REDRAW_SECONDS = 0.1


class Terminal:
    """Writes the progress of one photo after the other.

    Args:
        stream: where to; a moving line is drawn only where it is a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._moving = stream.isatty()
        self._drawn = 0.0
        self._line_open = False
        self.begin("")

    def begin(self, photo: str) -> None:
        """The events that follow are about `photo`."""
        self._photo = photo
        self._stage = ""
        self._step = ""
        self._tenth = -1

    def listen(self, event: Event) -> None:
        """Show one event of the backend."""
        match event:
            case StageStarted(name, index, count):
                self._stage, self._step = name, f"{index}/{count}"
                self._tenth = -1
            case ProgressMade():
                self._show(event.fraction, event.eta_s)
            case Warned(message):
                self.say(f"warning: {message}")

    def stage(self, name: str) -> None:
        """Show that a step on this side has begun: import, export, preview."""
        self.say(name)

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self._clear()
        self._stream.write(f"{self._photo}: {text}\n" if self._photo else f"{text}\n")
        self._stream.flush()

    def _show(self, fraction: float, eta: float | None) -> None:
        remaining = "" if eta is None else f", {eta:.0f} s left"
        text = f"stage {self._step} {self._stage}, {fraction:.0%}{remaining}"
        if self._moving:
            now = time.monotonic()
            if now - self._drawn >= REDRAW_SECONDS:
                self._drawn = now
                self._stream.write("\r" + f"{self._photo}: {text}"[:LINE_WIDTH].ljust(LINE_WIDTH))
                self._stream.flush()
                self._line_open = True
        elif int(fraction * 10) != self._tenth:
            self._tenth = int(fraction * 10)
            self.say(text)

    def _clear(self) -> None:
        if self._line_open:
            self._stream.write("\r" + " " * LINE_WIDTH + "\r")
            self._line_open = False
