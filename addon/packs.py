# SPDX-License-Identifier: GPL-3.0-or-later
"""The model packs of the diffusion method: what there is, under which licence, and what is here. Needs no bpy.

The catalogue comes with the backend's sources, which this extension brings along; packs are downloaded outside Blender.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .client.backend import SOURCES, data_folder

CATALOGUE = SOURCES / "backend" / "portrait_head" / "models" / "catalogue.toml"
RECORD = "pack.json"  # lies in the folder of every pack that is whole
VARIABLE = "PORTRAIT_HEAD_MODELS"


@dataclass(frozen=True)
class Pack:
    """One model pack.

    Attributes:
        name: what the command line calls it.
        title: in words.
        purpose: what it is for.
        licence: title of its licence.
        url: where the licence can be read.
        asks: what the licence asks of the user, in a sentence.
        commercial: whether commercial use is allowed.
        gigabytes: to download.
        here: whether it is on this computer.
    """

    name: str
    title: str
    purpose: str
    licence: str
    url: str
    asks: str
    commercial: bool
    gigabytes: float
    here: bool


def default_folder() -> Path:
    """Where the backend keeps its packs unless told otherwise."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else data_folder() / "models"


def read_packs(folder: Path, catalogue: Path = CATALOGUE) -> tuple[Pack, ...]:
    """The packs of the catalogue, those in `folder` marked as here; none where there is no catalogue to read."""
    try:
        told = tomllib.loads(catalogue.read_text(encoding="utf-8"))
        return tuple(_pack(name, values, told["licences"], folder) for name, values in told["packs"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()


def _pack(name: str, values: dict[str, Any], licences: dict[str, dict[str, Any]], folder: Path) -> Pack:
    licence = licences[values["licence"]]
    return Pack(
        name=name,
        title=str(values["title"]),
        purpose=str(values["purpose"]),
        licence=str(licence["title"]),
        url=str(licence["url"]),
        asks=str(licence["asks"]),
        commercial=bool(licence["commercial_use"]) and bool(values.get("commercial_use", True)),
        gigabytes=float(values["size_mb"]) / 1000,
        here=(folder / name / RECORD).is_file(),
    )
