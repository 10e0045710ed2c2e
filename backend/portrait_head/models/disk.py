"""Hashes, free space, and what the operating system says when a disk does not do as asked."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from portrait_head.errors import PortraitHeadError

FULL = (errno.ENOSPC, errno.EDQUOT)
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.EIO)
CHUNK = 1 << 20
RESERVE = 64 * CHUNK  # bytes left free on the disk, for whatever else runs
ELSEWHERE = "set PORTRAIT_HEAD_MODELS to a folder on another disk"


def sha256_of(path: Path, listen: Callable[[int], None] = lambda count: None) -> str:
    """The SHA-256 of a file in hexadecimal; `listen` is told of every few bytes that were read."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            listen(len(chunk))
    return digest.hexdigest()


def need_space(folder: Path, wanted: int, name: str) -> None:
    """Make sure that `wanted` bytes fit. Raises PortraitHeadError `disk_full` with both figures."""
    free = shutil.disk_usage(folder).free
    if wanted + RESERVE > free:
        raise PortraitHeadError(
            "disk_full",
            f"The model pack {name} still needs {as_size(wanted)}, and {folder} has {as_size(free)} free.",
            f"Free some space, or {ELSEWHERE}.",
        )


@contextlib.contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn a disk that is full, forbidden or gone into a sentence about the models folder."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise PortraitHeadError(
                "disk_full",
                f"The disk that holds {folder} is full.",
                f"Free some space and start the same command again, or {ELSEWHERE}.",
            ) from error
        if error.errno in REFUSED:
            raise PortraitHeadError(
                "models_unwritable",
                f"The models folder {folder} cannot be written: {error.strerror}.",
                f"Make it writable, or {ELSEWHERE}.",
            ) from error
        raise


def as_size(count: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
