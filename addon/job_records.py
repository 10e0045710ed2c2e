# SPDX-License-Identifier: GPL-3.0-or-later
"""What was made before, read from the job folders. Needs neither bpy nor the backend."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .client.photo_faces import FoundFace


@dataclass(frozen=True)
class JobRecord:
    """One job folder.

    Attributes:
        folder: the job folder.
        photo: path of the photo, which may be gone by now.
        preset: quick, standard or high.
        seed: of this head.
        texture_size: side of the skin texture.
        face: which face of the photo, counted from 1.
        hair: auto or none.
        tier: embedded or diffusion.
        prompt: words for the diffusion tier.
        finished: whether there is a head asset to import.
        when: seconds since 1970 of the last change.
    """

    folder: Path
    photo: Path
    preset: str
    seed: int
    texture_size: int
    face: int
    hair: str
    tier: str
    prompt: str
    finished: bool
    when: float

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


def read_faces(job: Path) -> tuple[FoundFace, ...]:
    """The faces that the portrait stage of a job found, largest first; none where it has not come so far.

    How large the photo is is not kept: the boxes are shares of the part of it that reaches to the last face.
    """
    try:
        with np.load(job / "01_portrait" / "arrays.npz", allow_pickle=False) as arrays:
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
        request: dict[str, Any] = json.loads((folder / "request.json").read_text(encoding="utf-8"))
        return JobRecord(
            folder=folder,
            photo=Path(str(request["photos"][0])),
            preset=str(request.get("preset", "standard")),
            seed=int(request.get("seed", 0)),
            texture_size=int(request.get("texture_size", 2048)),
            face=int(request.get("face") or 1),
            hair=str(request.get("hair", "auto")),
            tier=str(request.get("tier", "embedded")),
            prompt=str(request.get("prompt", "")),
            finished=(folder / "asset" / "asset.json").is_file(),
            when=(folder / "request.json").stat().st_mtime,
        )
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None
