# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a head as .blend, GLB and FBX, checks what was written, and only then gives the files their names."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import bpy

from . import blend_window, compat, verify
from .importer import ImportedHead
from .staging import StagedHead, staged
from .studio import build_studio
from .writers import ADDONS, FBX_ARMATURE, write_fbx, write_glb

KINDS = ("blend", "glb", "fbx")
NAME = "head"
WINDOW_TIMEOUT = 120
"""Seconds that the Blender which frames the head in head.blend may take; it needs about two."""
ADVICE = "Choose a folder that you may write to, on a disk with some hundred megabytes free."


class ExportError(RuntimeError):
    """An export that failed: one sentence on what happened, one on what to do."""


def export_head(head: ImportedHead, folder: Path, kinds: Sequence[str] = KINDS) -> dict[str, Path]:
    """Writes `folder`/head.blend, head.glb and head.fbx, as far as `kinds` names them.

    The files hold the head at rest with every key at 0, whatever pose it has in the scene; scene, selection and mode
    stay as they are. Each file is read back and checked before it gets its name, so that there is never half a file,
    and none of them if one fails.

    Returns the path of each kind. Raises `ExportError`.
    """
    folder = Path(folder)
    unknown = set(kinds) - set(KINDS)
    if unknown:
        raise ExportError(f"There is no export kind {', '.join(sorted(unknown))}. Choose from {', '.join(KINDS)}.")
    for kind in kinds:
        if kind in ADDONS and not compat.operator_exists(ADDONS[kind][0]):
            raise ExportError(
                f"Blender's add-on '{ADDONS[kind][1]}' is off. Switch it on in Preferences > Add-ons, then try again."
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as scratch:
            written = _write_all(head, Path(scratch), kinds)
            return {kind: path.replace(folder / path.name) for kind, path in written.items()}
    except OSError as error:
        raise ExportError(
            f"The head cannot be written to {folder} ({error.strerror or reason(str(error))}). {ADVICE}"
        ) from error


def _write_all(head: ImportedHead, scratch: Path, kinds: Sequence[str]) -> dict[str, Path]:
    paths = {kind: scratch / f"{NAME}.{kind}" for kind in kinds}
    with staged(head) as copy:
        keys = tuple(key.name for key in copy.head.data.shape_keys.key_blocks[1:])
        bones = tuple(bone.name for bone in copy.armature.data.bones)
        framing = _write_blend(copy, scratch / "data.blend", paths["blend"]) if "blend" in kinds else None
        try:
            with compat.active_scene(copy.scene), compat.quiet():
                if "glb" in kinds:
                    write_glb(paths["glb"])
                if "fbx" in kinds:
                    copy.armature.name = FBX_ARMATURE
                    write_fbx(paths["fbx"])
        except RuntimeError as error:
            raise ExportError(f"Blender could not export the head ({reason(str(error))}). {ADVICE}") from error
        finally:
            if framing is not None:
                _finish(framing, paths["blend"])
    checks = {"blend": verify.verify_blend, "glb": verify.verify_glb, "fbx": verify.verify_fbx}
    for kind, path in paths.items():
        checks[kind](path, shape_keys=keys, bones=bones)
    return paths


def _write_blend(copy: StagedHead, data: Path, target: Path) -> subprocess.Popen[str]:
    """Writes the head with a studio, and starts the Blender that gives the file its window while we go on."""
    build_studio(copy.scene, *copy.bounds())
    bpy.data.libraries.write(str(data), {copy.scene}, path_remap="NONE")
    script = blend_window.__file__
    command = [sys.executable, script]
    if bpy.app.binary_path:
        command = [bpy.app.binary_path, "--background", "--factory-startup", "--python-exit-code", "1"]
        command += ["--python", script]
    return subprocess.Popen(
        [*command, "--", str(data), str(target)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # Windows would flash a console
    )


def _finish(framing: subprocess.Popen[str], target: Path) -> None:
    try:
        output, _ = framing.communicate(timeout=WINDOW_TIMEOUT)
    except subprocess.TimeoutExpired as error:
        framing.kill()
        framing.communicate()
        raise ExportError(
            f"Saving {target.name} took over {WINDOW_TIMEOUT} s. Close other programs and try again."
        ) from error
    if framing.returncode != 0 or not target.exists():
        raise ExportError(f"Blender could not save {target.name} ({reason(output)}). {ADVICE}")


def reason(report: str) -> str:
    """The line of a traceback or of Blender's output that says what went wrong."""
    lines = [line.strip() for line in report.splitlines() if line.strip()]
    telling = [line for line in lines if "Error" in line and not line.startswith(("Error: Python", "Traceback"))]
    return (telling or lines or ["no reason given"])[-1]
