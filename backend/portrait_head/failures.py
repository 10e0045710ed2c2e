"""Any exception as the event that a user sees."""

from __future__ import annotations

import logging

from portrait_head import system_libraries
from portrait_head.errors import PortraitHeadError
from portrait_head.events import Failed

log = logging.getLogger("portrait_head")


def as_event(error: BaseException) -> Failed:
    """The sentence and the hint for `error`; what nobody foresaw is logged with its traceback."""
    if isinstance(error, ImportError):
        error = system_libraries.explain(error) or error
    if isinstance(error, MemoryError):
        error = PortraitHeadError(
            "out_of_memory", "The computer ran out of memory.", "Close other programs or choose a smaller texture."
        )
    if isinstance(error, PortraitHeadError):
        return Failed(error.kind, error.message, error.hint)
    log.error("unexpected failure", exc_info=error)
    return Failed(
        "unexpected",
        f"Something went wrong that should not: {type(error).__name__}: {error}",
        "Please report it with the log; the job folder is kept and the job can be started again.",
    )
