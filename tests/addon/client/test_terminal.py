from __future__ import annotations

import io

from addon.client.events import ProgressMade, StageStarted, Warned
from addon.client.terminal import Terminal


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def tell(terminal: Terminal) -> None:
    terminal.begin("anna")
    terminal.listen(StageStarted("fit", 2, 7))
    for step in range(101):
        terminal.listen(ProgressMade(step, 100, 12.4))
    terminal.listen(Warned("the chin is in shadow"))
    terminal.stage("export")


def test_a_log_gets_a_line_a_tenth():
    stream = io.StringIO()
    tell(Terminal(stream))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "anna: stage 2/7 fit, 0%, 12 s left"
    assert lines[5] == "anna: stage 2/7 fit, 50%, 12 s left"
    assert lines[-2:] == ["anna: warning: the chin is in shadow", "anna: export"]
    assert len(lines) == 13


def test_a_terminal_gets_one_moving_line_that_leaves_no_trace():
    stream = Screen()
    tell(Terminal(stream))
    text = stream.getvalue()
    assert "\r" in text
    rows = [row.rsplit("\r", 1)[-1] for row in text.rstrip("\n").split("\n")]
    assert rows == ["anna: warning: the chin is in shadow", "anna: export"]
