# SPDX-License-Identifier: GPL-3.0-or-later
"""What the backend tells while it works, as typed values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .photo_faces import FoundFace


@dataclass(frozen=True)
class StageStarted:
    """Stage `name` begins; it is number `index`, from 1, of `count`."""

    name: str
    index: int
    count: int


@dataclass(frozen=True)
class ProgressMade:
    """`done` of `total` units of the whole job are finished; `eta_s` seconds remain, None while unknown."""

    done: float
    total: float
    eta_s: float | None

    @property
    def fraction(self) -> float:
        """The finished share, 0 to 1."""
        if not (math.isfinite(self.done) and math.isfinite(self.total) and self.total > 0):
            return 0.0
        return min(max(self.done / self.total, 0.0), 1.0)


@dataclass(frozen=True)
class PreviewReady:
    """A picture of the unfinished head lies at `path`."""

    path: str


@dataclass(frozen=True)
class Warned:
    """The backend goes on, but the user should know `message`."""

    message: str


@dataclass(frozen=True)
class Failed:
    """The job is over without a result."""

    kind: str
    message: str
    hint: str


@dataclass(frozen=True)
class Finished:
    """The job is over: `asset` is the folder of the head asset, `report` the path of report.json."""

    asset: str
    report: str


@dataclass(frozen=True)
class InstallStep:
    """The installer is at `step` (``environment``, ``packages``, ...) and says in a sentence what it does."""

    step: str
    message: str


@dataclass(frozen=True)
class Installed:
    """The installer is through: what stands in `folder` now is `version`, empty after a removal."""

    folder: str
    version: str


@dataclass(frozen=True)
class FacesFound:
    """The faces of a photo, the largest first, which is the one taken unasked."""

    faces: tuple[FoundFace, ...]


Event = StageStarted | ProgressMade | PreviewReady | Warned | Failed | Finished | InstallStep | Installed | FacesFound


def event_from(method: str, params: Mapping[str, Any]) -> Event | None:
    """The event that a notification carries; None where the method is unknown or a field is missing or of a wrong type.

    A newer backend may tell more than this client knows, so what is not understood is not an error.
    """
    try:
        match method:
            case "stage":
                return StageStarted(str(params["name"]), int(params["index"]), int(params["count"]))
            case "progress":
                eta = params.get("eta_s")
                return ProgressMade(float(params["done"]), float(params["total"]), None if eta is None else float(eta))
            case "preview":
                return PreviewReady(str(params["path"]))
            case "warning":
                return Warned(str(params["message"]))
            case "error":
                return Failed(str(params["kind"]), str(params["message"]), str(params.get("hint", "")))
            case "done":
                return Finished(str(params["asset"]), str(params["report"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return None
