# SPDX-License-Identifier: GPL-3.0-or-later
"""Where heads are made: a folder for each head of each photo, so that earlier ones stay and broken ones continue.

Settings that only concern the skin do not make another head: its folder then keeps the finished shape, and only the
textures are made anew.
"""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path

import bpy

from .. import ROOT_PACKAGE
from ..client.outputs import told_of_disk
from ..client.photo_faces import FoundFace
from ..client.request import HeadSettings
from ..job_records import JobRecord, folder_name, read_faces, read_records

KEPT = 20  # folders, of 90 MB each


def records() -> tuple[JobRecord, ...]:
    """What was made before, the latest first."""
    return _records(str(user_folder("jobs")))


def faces(photo: str, changed: int) -> tuple[FoundFace, ...]:
    """The faces in the photo, the largest first, as an earlier run found them; none before the first.

    `changed` says when the photo was; its faces are looked up anew when that is another time.
    """
    return _faces(photo, changed)


def look_again() -> None:
    """Read records and faces anew when they are asked for next: a job has begun or ended."""
    _records.cache_clear()
    _faces.cache_clear()


def folder_for(settings: HeadSettings) -> Path:
    """The folder in which this head is made."""
    return user_folder("jobs") / folder_name(settings)


def claim(folder: Path) -> Path:
    """Make the folder if need be and count it as the latest; the oldest ones go. Raises ClientError."""
    with told_of_disk(folder):
        folder.mkdir(exist_ok=True)
        os.utime(folder)
        folders = [path for path in folder.parent.iterdir() if path.is_dir()]
        latest = sorted(folders, key=lambda path: path.stat().st_mtime)
    for old in latest[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def user_folder(name: str) -> Path:
    """A folder of the extension that outlives its updates."""
    return Path(bpy.utils.extension_path_user(ROOT_PACKAGE, path=name, create=True))


@functools.lru_cache(maxsize=1)
def _records(folder: str) -> tuple[JobRecord, ...]:
    return read_records(Path(folder))


@functools.lru_cache(maxsize=8)
def _faces(photo: str, changed: int) -> tuple[FoundFace, ...]:
    of_photo = (record for record in records() if record.photo == Path(photo).absolute())
    return next((found for record in of_photo if (found := read_faces(record.folder, record.photo))), ())
