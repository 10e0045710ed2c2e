# SPDX-License-Identifier: GPL-3.0-or-later
"""What was made before, read from the job folders. Needs neither bpy nor the backend."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .client.photo_faces import FoundFace
from .client.request import HeadSettings


@dataclass(frozen=True)
class JobRecord:
    """One job folder.

    Attributes:
        folder: the job folder.
        settings: what was asked for; the files that it names may be gone by now.
        finished: whether there is a head asset to import.
        when: seconds since 1970 of the last change.
    """

    folder: Path
    settings: HeadSettings
    finished: bool
    when: float

    @property
    def photo(self) -> Path:
        """The photo."""
        return Path(self.settings.photo)

    @property
    def asset(self) -> Path:
        """The folder of the head asset."""
        return self.folder / "asset"


def read_records(folder: Path) -> tuple[JobRecord, ...]:
    """The jobs in `folder`, the latest first; folders that are no jobs are passed over."""
    try:
        found = [_record(each) for each in folder.iterdir() if each.is_dir()]
    except OSError:
        return ()
    return tuple(sorted((each for each in found if each is not None), key=lambda each: -each.when))


def folder_name(settings: HeadSettings) -> str:
    """The name of the job folder of a head: another one for whatever makes another head, the same for another skin."""
    shape = [settings.face or 1, settings.preset, settings.seed, settings.hair, settings.tier, settings.prompt]
    if settings.initial_mesh:  # only then, so that heads from before there was a choice keep their folders
        shape.append(str(Path(settings.initial_mesh).resolve()))
    told = os.fsencode(Path(settings.photo).resolve()) + json.dumps(shape).encode()
    return f"{Path(settings.photo).stem}-{hashlib.sha256(told).hexdigest()[:8]}"


def read_faces(job: Path, photo: Path) -> tuple[FoundFace, ...]:
    """The faces that the portrait stage of a job found in its photo, largest first.

    None where it has not come so far, and where the photo has been changed since. How large the photo is is not kept:
    the boxes are shares of the part of it that reaches to the last face.
    """
    found = job / "01_portrait" / "arrays.npz"
    try:
        if photo.stat().st_mtime > found.stat().st_mtime:
            return ()
        with np.load(found, allow_pickle=False) as arrays:
            boxes = np.asarray(arrays["faces"], dtype=np.float64).reshape(-1, 4)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        return ()
    if not len(boxes) or not np.isfinite(boxes).all():
        return ()
    shares = boxes / np.maximum(np.tile(boxes[:, 2:].max(axis=0), 2), 1e-6)
    sizes = np.sqrt(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0).prod(axis=1))
    return tuple(
        FoundFace((float(left), float(top), float(right), float(bottom)), round(float(size)))
        for (left, top, right, bottom), size in zip(shares, sizes, strict=True)
    )


def _record(folder: Path) -> JobRecord | None:
    try:
        request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
        return JobRecord(
            folder=folder,
            settings=HeadSettings.from_request(request),
            finished=(folder / "asset" / "asset.json").is_file(),
            when=(folder / "request.json").stat().st_mtime,
        )
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None
