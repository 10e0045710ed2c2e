# SPDX-License-Identifier: GPL-3.0-or-later
"""One photo to one folder of files, in an empty scene of its own. The work of `batch.py`."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import bpy

from .client import memory
from .client.draining import drain
from .client.errors import ClientError
from .client.outputs import REPORT, disk_full, nearly_full, staged
from .client.request import HeadSettings
from .client.session import Session
from .client.terminal import Terminal
from .scene.asset import AssetError, read_asset
from .scene.export import export_head
from .scene.importer import import_head
from .scene.preview import contact_sheet

PREVIEW = "preview.png"
JOB = "job"


def make_head(
    session: Session,
    settings: HeadSettings,
    folder: Path,
    kinds: Sequence[str],
    preview: bool,
    terminal: Terminal,
) -> float:
    """Make the head of one photo and put its files into `folder`; returns the seconds it took.

    Args:
        session: the backend.
        settings: what to make.
        folder: receives head.blend, head.glb, head.fbx (those of `kinds`), preview.png, report.json and `job/`.
        preview: whether to render the contact sheet.
        terminal: told of every step.

    Raises:
        ClientError: with what went wrong; `folder` then holds no new result, but its job can be continued.
    """
    started = time.monotonic()
    costs: list[dict[str, object]] = []
    with staged(folder) as staging:
        steps = session.generate(settings.to_request(), folder.absolute() / JOB)
        finished = drain(steps, terminal.listen, session.cancel)
        report = _read_report(Path(finished.report))
        with _told_of_scene(folder):
            with _step("import", terminal, costs):
                bpy.ops.wm.read_factory_settings(use_empty=True)
                head = import_head(Path(finished.asset), folder.name)
            with _step("export", terminal, costs):
                export_head(head, staging, kinds)
            if preview:
                with _step("preview", terminal, costs):
                    pose = read_asset(Path(finished.asset)).photo_pose
                    contact_sheet(head, pose.crop, pose, staging / PREVIEW)
        report["stages"] += costs
        report["files"] = sorted([*(file.name for file in staging.iterdir()), REPORT])
        report["total_seconds"] = round(time.monotonic() - started, 2)
        (staging / REPORT).write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")
    return report["total_seconds"]


def _read_report(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ClientError(
            "result_elsewhere",
            f"The backend has finished, but its report “{path}” is not on this computer.",
            "A backend on another machine needs the output folder under the same path on both.",
        ) from error


@contextlib.contextmanager
def _step(name: str, terminal: Terminal, costs: list[dict[str, object]]) -> Iterator[None]:
    """Announce a step and add its cost, in the report's form, to `costs`."""
    terminal.stage(name)
    memory.reset_peak()
    started = time.monotonic()
    yield
    costs.append({"name": name, "seconds": round(time.monotonic() - started, 3), "peak_memory_mb": memory.peak_mb()})


@contextlib.contextmanager
def _told_of_scene(folder: Path) -> Iterator[None]:
    """Turn what the scene side and Blender's operators (RuntimeError) raise into the error that the batch reports."""
    try:
        yield
    except (AssetError, RuntimeError) as error:
        raise disk_full(folder) if nearly_full(folder) else ClientError("scene", str(error).strip()) from error
