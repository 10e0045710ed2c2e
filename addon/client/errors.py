# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception of the client: what happened, and what to do about it."""

from __future__ import annotations


class ClientError(Exception):
    """A failure that the user can act on.

    Args:
        kind: a stable word for programs, for example ``backend_missing`` or ``cancelled``; the backend's own kinds
            (``no_face``, ``disk_full``) arrive unchanged.
        message: one sentence: what was wrong, with the value that was wrong.
        hint: one sentence: what to do next; may be empty.
    """

    def __init__(self, kind: str, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.kind = kind
        self.message = message
        self.hint = hint
