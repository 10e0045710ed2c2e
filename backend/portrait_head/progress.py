"""What a stage tells while it works."""

from __future__ import annotations

from collections.abc import Callable


class Progress:
    """Passed to every stage; `fraction` runs from 0 to 1 within the stage."""

    def __init__(self, listener: Callable[[float], None] = lambda fraction: None) -> None:
        self._listener = listener

    def __call__(self, fraction: float) -> None:
        """Say that `fraction` of this stage is done."""
        self._listener(fraction)
