"""NVIDIA Warp made ready: quiet, and with a place for compiled kernels even where the home folder is read-only."""

from __future__ import annotations

import logging
import tempfile
from functools import cache

import warp as wp

_log = logging.getLogger(__name__)


@cache
def start() -> tempfile.TemporaryDirectory | None:
    """Initialise Warp once in this process; returns the temporary cache folder if one was needed.

    Kernels are compiled on their first use, without network, and kept in Warp's own cache folder (`WARP_CACHE_PATH`,
    else the user's cache folder). Where that cannot be written they go to a temporary folder of this process, which
    costs a compilation for every process.
    """
    wp.config.log_level = wp.LOG_WARNING  # the greeting goes to stdout, which belongs to the worker's protocol
    try:
        wp.init()
        with tempfile.TemporaryFile(dir=wp.config.kernel_cache_dir):
            return None
    except OSError as error:
        folder = tempfile.TemporaryDirectory(prefix="portrait-head-warp-", ignore_cleanup_errors=True)
        _log.warning("compiled kernels are kept in %s for this process only: %s", folder.name, error)
        wp.config.kernel_cache_dir = folder.name
        wp.init()
        return folder
