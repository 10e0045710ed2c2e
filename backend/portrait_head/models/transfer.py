"""One file over HTTP, continued where it stopped.

All hosts share it: `huggingface_hub` (2.4) throws a half-downloaded file away when its process ends, and InsightFace's
own loader starts anew as well, which is hard on packs of gigabytes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import requests

from portrait_head.errors import PortraitHeadError
from portrait_head.models.disk import as_size

PART = ".part"
CHUNK = 1 << 16  # bytes; at most so many are fetched twice when a connection breaks
_LOST = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_OK, _PARTIAL, _NO_SUCH_RANGE, _TOO_MANY, _SERVER = 200, 206, 416, 429, 500
_REFUSED, _GONE = (401, 403), (404, 410)


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be downloaded.

    Attributes:
        path: its path in the source, with `/`.
        size: bytes, if the host tells.
        sha256: checksum, if the host tells.
        version: changes when the file does; halves of different versions are never joined.
        headers: sent with the request (they may carry the user's token for this host).
    """

    path: str
    url: str
    size: int | None = None
    sha256: str | None = None
    version: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Patience:
    """How long a connection is waited for."""

    timeout_s: float = 30.0
    attempts: int = 6  # in a row without a byte
    first_wait_s: float = 1.0  # doubles with each attempt


def fetch(remote: RemoteFile, target: Path, listen: Callable[[int], None], patience: Patience) -> None:
    """Download `remote` to `target`, starting from what an earlier call left beside it.

    Args:
        listen: told how many bytes of this file are here, whenever that changes.

    Raises:
        PortraitHeadError: `no_network`, `download_refused`, `download_gone`, `download_failed`.
        OSError: the disk is full or cannot be written.
    """
    part = part_of(remote, target)
    part.parent.mkdir(parents=True, exist_ok=True)
    failures = 0
    while True:
        before = _size(part)
        listen(before)
        try:
            if remote.size is None or before != remote.size:
                _continue(remote, part, before, listen, patience)
            break
        except _LOST as error:
            failures = 1 if _size(part) > before else failures + 1
            if failures >= patience.attempts:
                raise _lost(remote, part, error) from error
            time.sleep(patience.first_wait_s * 2 ** (failures - 1))
    if remote.size is not None and _size(part) != remote.size:
        found = _size(part)
        part.unlink()
        raise PortraitHeadError(
            "download_failed",
            f"{remote.path} arrived with {found} bytes instead of {remote.size}.",
            "Start the same command again; this file is fetched anew.",
        )
    part.replace(target)


def part_of(remote: RemoteFile, target: Path) -> Path:
    """Where the beginning of a file waits for its rest; another version has another name."""
    version = hashlib.sha256(f"{remote.url} {remote.size} {remote.sha256} {remote.version}".encode()).hexdigest()
    return target.with_name(f"{target.name}.{version[:12]}{PART}")


def _continue(remote: RemoteFile, part: Path, done: int, listen: Callable[[int], None], patience: Patience) -> None:
    headers = {**remote.headers, "Accept-Encoding": "identity"}  # sizes and ranges count bytes of the file itself
    if done:
        headers["Range"] = f"bytes={done}-"
    with requests.get(remote.url, headers=headers, stream=True, timeout=patience.timeout_s) as answer:
        if done and answer.status_code == _NO_SUCH_RANGE:  # all of it is here, or more; without a size nobody knows
            part.unlink()
            _continue(remote, part, 0, listen, patience)
            return
        _check_status(remote, answer)
        resumed = answer.status_code == _PARTIAL and answer.headers.get("Content-Range", "").startswith(
            f"bytes {done}-"
        )
        if not resumed:
            done = 0
        with part.open("ab" if resumed else "wb") as stream:
            for chunk in answer.iter_content(CHUNK):
                stream.write(chunk)
                done += len(chunk)
                listen(done)


def _check_status(remote: RemoteFile, answer: requests.Response) -> None:
    host = urlsplit(remote.url).hostname
    if answer.status_code in (_OK, _PARTIAL):
        return
    if answer.status_code == _TOO_MANY or answer.status_code >= _SERVER:
        raise requests.ConnectionError(f"{host} answered {answer.status_code} {answer.reason}")
    if answer.status_code in _REFUSED:
        raise PortraitHeadError(
            "download_refused",
            f"{host} does not hand out {remote.path} ({answer.status_code} {answer.reason}).",
            "Accept the terms on the model's page if it has any, and set HF_TOKEN to your access token.",
        )
    if answer.status_code in _GONE:
        raise gone(str(host), f"{remote.path} ({answer.status_code} {answer.reason})")
    raise PortraitHeadError(
        "download_failed",
        f"{host} answered {answer.status_code} {answer.reason} for {remote.path}.",
        "Start the same command again later.",
    )


def _lost(remote: RemoteFile, part: Path, error: Exception) -> PortraitHeadError:
    host = urlsplit(remote.url).hostname
    if not _size(part):
        return unreachable(str(host), error)
    of = f" of {as_size(remote.size)}" if remote.size else ""
    return PortraitHeadError(
        "download_failed",
        f"The connection to {host} broke after {as_size(_size(part))}{of} of {remote.path}.",
        "Start the same command again; it continues where it stopped.",
    )


def gone(host: str, what: str) -> PortraitHeadError:
    """The error for something that its host no longer has."""
    return PortraitHeadError(
        "download_gone",
        f"{host} has no {what}.",
        "The source may have moved: get the files elsewhere and use --from FOLDER, or update Portrait Head.",
    )


def unreachable(host: str, error: Exception) -> PortraitHeadError:
    """The error for a host that does not answer."""
    return PortraitHeadError(
        "no_network",
        f"{host} cannot be reached ({type(error).__name__}).",
        "Check the connection, or bring the files from another computer: "
        "portrait-head models download NAME --from FOLDER",
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
