"""Lines in and lines out of a process, whatever the other end does: floods, half lines, a reader that has stopped."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator

CHUNK = 1 << 16
LONGEST_LINE = 1 << 20  # bytes; a request is a few hundred, anything near this is not one
MOST_WAITING = 1000  # lines for a reader who does not read; beyond, nothing new is accepted
LAST_WORDS_SECONDS = 2.0  # what is left to write at the end of the process


def read_lines(descriptor: int) -> Iterator[bytes]:
    """The whole lines of a pipe, without their ends, as they arrive; ends with the pipe.

    Of a line longer than `LONGEST_LINE` only its beginning is handed out. A last line without an end is none.
    """
    rest = bytearray()
    cut = False
    while data := os.read(descriptor, CHUNK):
        *lines, tail = data.split(b"\n")
        for line in lines:
            whole = bytes(rest + line)[:LONGEST_LINE]
            rest.clear()
            cut = False
            yield whole
        if not cut:
            rest += tail
            cut = len(rest) > LONGEST_LINE


class LineWriter:
    """Writes lines from a thread of its own, so that a slow reader holds nobody up.

    A line that replaces its like (progress) takes the place of one still waiting; all others are kept in order. When
    `MOST_WAITING` lines wait, `wait_for_room` holds those up that would bring more.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._change = threading.Condition()
        self._waiting: deque[tuple[bytes, bool]] = deque()
        self._writing = False
        self._broken = False
        threading.Thread(target=self._write, daemon=True).start()

    @property
    def broken(self) -> bool:
        """Whether nobody can read any more."""
        return self._broken

    def put(self, line: bytes, replaces: bool = False) -> None:
        """Queue a line; with `replaces`, instead of the last waiting one if that was of this sort too."""
        with self._change:
            if replaces and self._waiting and self._waiting[-1][1]:
                self._waiting.pop()
            self._waiting.append((line, replaces))
            self._change.notify_all()

    def wait_for_room(self) -> None:
        """Return when there is room for more, or nobody reads any more."""
        with self._change:
            self._change.wait_for(lambda: self._broken or len(self._waiting) < MOST_WAITING)

    def flush(self) -> None:
        """Return when everything is written, or after `LAST_WORDS_SECONDS`."""
        with self._change:
            self._change.wait_for(
                lambda: self._broken or not (self._waiting or self._writing), timeout=LAST_WORDS_SECONDS
            )

    def _write(self) -> None:
        while not self._broken:
            with self._change:
                self._change.wait_for(lambda: self._waiting)
                line, _ = self._waiting.popleft()
                self._writing = True
                self._change.notify_all()
            broken = not self._write_whole(line + b"\n")
            with self._change:
                self._writing = False
                self._broken = broken
                self._change.notify_all()

    def _write_whole(self, data: bytes) -> bool:
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:  # closed by the reader; the end of its requests tells the rest
            return False
        return True
