# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user asked for, as the JSON values of the backend's HeadRequest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from .errors import ClientError

PRESETS = ("quick", "standard", "high")
TIERS = ("embedded", "diffusion")
HAIR = ("auto", "none")
TEXTURE_SIZES = (1024, 2048, 4096)
SAMPLE = "sample"
"""In place of a path: the public-domain portrait that the backend brings along."""
SKIN = ("texture_size", "delight", "style")
"""The settings that only concern how the skin is painted: with another of these it is the same head."""


@dataclass(frozen=True)
class HeadSettings:
    """One head: the settings that the add-on and the batch offer; the backend checks their ranges.

    Attributes:
        photo: path of the portrait, or `SAMPLE`.
        face: which face, counted from 1; None for the largest.
        delight: 0 to 1, how much of the photo's light is taken out of the skin.
        hair: `auto`, or `none` for a bare head.
        tier: `embedded` or `diffusion`.
        prompt: words for the diffusion tier: what the person looks like.
        style: words for the diffusion tier: a look for all of the skin.
        initial_mesh: path of the mesh that sculpting begins with; empty for the head that was fitted.
    """

    photo: str
    face: int | None = None
    preset: str = "standard"
    seed: int = 0
    texture_size: int = 2048
    delight: float = 0.7
    hair: str = "auto"
    tier: str = "embedded"
    prompt: str = ""
    style: str = ""
    initial_mesh: str = ""

    def to_request(self) -> dict[str, Any]:
        """The request as JSON values, every path an absolute one."""
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "photo"}
        photo = self.photo if self.photo == SAMPLE else _absolute(self.photo)
        return {**values, "photos": [photo], "initial_mesh": _absolute(self.initial_mesh)}

    @classmethod
    def from_request(cls, request: Mapping[str, Any]) -> HeadSettings:
        """The settings of an earlier request; one that it lacks, having been written by an older release, is as usual.

        Raises KeyError, IndexError, TypeError or ValueError where it is no request.
        """
        usual = cls(str(request["photos"][0]), int(request.get("face") or 1))
        names = [each.name for each in fields(cls) if each.name not in ("photo", "face") and each.name in request]
        return replace(usual, **{name: type(getattr(usual, name))(request[name]) for name in names})


def check_files(settings: HeadSettings) -> None:
    """Raise ClientError `photo_missing` or `mesh_missing` where a file that is named is not there."""
    check_photo(settings.photo)
    if settings.initial_mesh and not _is_there(settings.initial_mesh):
        raise ClientError(
            "mesh_missing", f"The mesh “{settings.initial_mesh}” does not exist.", "Check its name and folder."
        )


def check_photo(photo: str) -> None:
    """Raise ClientError `photo_missing` where `photo` is neither `SAMPLE` nor a file."""
    if photo != SAMPLE and not _is_there(photo, folders=False):
        raise ClientError(
            "photo_missing", f"The photo “{photo}” does not exist or is no file.", "Check its name and folder."
        )


def _is_there(path: str, folders: bool = True) -> bool:
    try:
        found = Path(path).expanduser()
        return found.is_file() or (folders and found.is_dir())
    except (OSError, ValueError):  # a name that no file can have
        return False


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute()) if path else ""
