# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a batch puts its results, and how they appear: all of them, whole, or none."""

from __future__ import annotations

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import ClientError
from .request import SAMPLE

PHOTO_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
"""Of the files in a folder, these are taken for photos; a file named by itself is always tried."""

REPORT = "report.json"
STAGING = ".unfinished"
NEARLY_FULL = 4 * 1024 * 1024  # bytes free; less than any head needs
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT)


def expand_photos(arguments: Iterable[str]) -> list[str]:
    """Photos of the command line, every folder replaced by the photos directly in it, in order of name.

    Raises:
        ClientError: `no_photos` for a folder without any.
    """
    photos: list[str] = []
    for argument in arguments:
        folder = Path(argument).expanduser()
        if argument == SAMPLE or not folder.is_dir():
            photos.append(argument)
            continue
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in PHOTO_ENDINGS and path.is_file())
        if not found:
            raise ClientError(
                "no_photos",
                f"The folder “{argument}” holds no photo.",
                f"Files with these endings are taken: {' '.join(PHOTO_ENDINGS)}.",
            )
        photos += [str(path) for path in found]
    return photos


def folder_names(photos: Iterable[str]) -> list[str]:
    """A folder name a photo, from its file name; repeated ones, also those that differ in case only, get a number."""
    taken: set[str] = set()
    names: list[str] = []
    for photo in photos:
        stem = SAMPLE if photo == SAMPLE else Path(photo).stem.strip(" .") or "photo"
        name, number = stem, 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}_{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def make_writable(folder: Path) -> None:
    """Make `folder` and try it. Raises ClientError `output_unwritable` or `disk_full`."""
    with told_of_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0" * 4096)


@contextlib.contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A fresh folder inside `folder` for results in the making; when the block ends well they are moved up.

    report.json goes first and comes last: where it stands, the files that it lists are whole and belong to it. When
    the block raises, nothing of it is left and an earlier result stays as it was.

    Raises:
        ClientError: `disk_full` or `output_unwritable`.
    """
    staging = folder / STAGING
    with told_of_disk(folder):
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        try:
            yield staging
            files = sorted(staging.iterdir(), key=lambda file: (file.name == REPORT, file.name))
            (folder / REPORT).unlink(missing_ok=True)
            for file in files:
                file.replace(folder / file.name)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


@contextlib.contextmanager
def told_of_disk(folder: Path) -> Iterator[None]:
    """Turn the errors of a full or forbidden disk into sentences about `folder`."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_ERRORS:
            raise disk_full(folder) from error
        raise ClientError(
            "output_unwritable",
            f"Nothing can be written to “{error.filename or folder}”: {error.strerror or error}.",
            "Choose an output folder that you may write to.",
        ) from error


def nearly_full(folder: Path) -> bool:
    """Whether the disk of `folder` has no room for a head; Blender's operators do not say why a write failed."""
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return shutil.disk_usage(existing).free < NEARLY_FULL


def disk_full(folder: Path) -> ClientError:
    """The error for a full disk."""
    return ClientError(
        "disk_full", f"The disk that holds “{folder}” is full.", "Free some space there, or choose another folder."
    )
