"""Any exception as the event that a user sees."""

from __future__ import annotations

import errno
import logging
import re

from portrait_head import system_libraries
from portrait_head.errors import PortraitHeadError
from portrait_head.events import Failed

_SHORTAGE = re.compile(
    r"failed to map segment|cannot allocate memory|insufficient memory|not enough memory|out of memory|bad_alloc", re.I
)
"""How the dynamic linker, OpenCV, PyTorch and C++ say in their own exceptions that memory ran out."""

UNEXPECTED = "unexpected"

log = logging.getLogger("portrait_head")


def as_event(error: BaseException) -> Failed:
    """The sentence and the hint for `error`; what nobody foresaw is logged with its traceback."""
    told = described(error)
    if told.kind == UNEXPECTED:
        log.error("unexpected failure", exc_info=error)
    return told


def described(error: BaseException) -> Failed:
    """The sentence and the hint for `error`."""
    if isinstance(error, ImportError):
        error = system_libraries.explain(error) or error
    if not isinstance(error, PortraitHeadError) and _is_shortage(error):
        error = PortraitHeadError(
            "out_of_memory", "The computer ran out of memory.", "Close other programs or choose a smaller texture."
        )
    if isinstance(error, PortraitHeadError):
        return Failed(error.kind, error.message, error.hint)
    return Failed(
        UNEXPECTED,
        f"Something went wrong that should not: {type(error).__name__}: {error}",
        "Please report it with the log; the job folder is kept and the job can be started again.",
    )


def _is_shortage(error: BaseException) -> bool:
    ran_out = isinstance(error, OSError) and error.errno == errno.ENOMEM
    return ran_out or isinstance(error, MemoryError) or bool(_SHORTAGE.search(str(error)))
