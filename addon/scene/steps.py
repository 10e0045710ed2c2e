# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in short steps, for a window that must not freeze. Needs no bpy."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

Result = TypeVar("Result")

Steps = Generator[None, None, Result]
"""Work that pauses every few milliseconds; its result comes with the last step."""


def finish(steps: Steps[Result]) -> Result:
    """Take all steps at once, where nobody looks at a window."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
