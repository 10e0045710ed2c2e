# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user asked for, as the JSON values of the backend's HeadRequest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ClientError

PRESETS = ("quick", "standard", "high")
TEXTURE_SIZES = (1024, 2048, 4096)
SAMPLE = "sample"
"""In place of a path: the public-domain portrait that the backend brings along."""


@dataclass(frozen=True)
class HeadSettings:
    """One head: the settings that the add-on and the batch offer; the backend checks their ranges.

    Attributes:
        photo: path of the portrait, or `SAMPLE`.
        face: which face, counted from 1; None for the largest.
        delight: 0 to 1, how much of the photo's light is taken out of the skin.
        hair: `auto`, or `none` for a bare head.
        tier: `embedded` or `diffusion`.
        prompt: words for the diffusion tier.
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

    def to_request(self) -> dict[str, Any]:
        """The values that differ from the backend's defaults need no list here: every offered one is written."""
        photo = self.photo if self.photo == SAMPLE else str(Path(self.photo).expanduser().absolute())
        return {
            "photos": [photo],
            "face": self.face,
            "preset": self.preset,
            "seed": self.seed,
            "texture_size": self.texture_size,
            "delight": self.delight,
            "hair": self.hair,
            "tier": self.tier,
            "prompt": self.prompt,
        }


def check_photo(photo: str) -> None:
    """Raise ClientError `photo_missing` where `photo` is neither `SAMPLE` nor a file."""
    try:
        found = photo == SAMPLE or Path(photo).expanduser().is_file()
    except OSError:  # a name that no file can have
        found = False
    if not found:
        raise ClientError(
            "photo_missing", f"The photo “{photo}” does not exist or is no file.", "Check its name and folder."
        )
