"""The one exception that reaches a user: what happened, and what to do about it."""

from __future__ import annotations


class PortraitHeadError(Exception):
    """A failure that the user can act on.

    Args:
        kind: a stable word for programs, for example ``no_face`` or ``disk_full``.
        message: one sentence: what was wrong, with the value that was wrong.
        hint: one sentence: what to do next.
    """

    def __init__(self, kind: str, message: str, hint: str) -> None:
        super().__init__(f"{message} {hint}")
        self.kind = kind
        self.message = message
        self.hint = hint
