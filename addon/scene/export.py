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

KINDS = ("blend", "glb", "fbx")
NAME = "head"
ADDONS = {"glb": ("export_scene.gltf", "glTF 2.0 format"), "fbx": ("export_scene.fbx", "FBX format")}
FBX_ARMATURE = "Armature"
"""Unreal leaves out an armature object of just this name from Blender; any other becomes one more bone on top."""
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
            f"The head cannot be written to {folder} ({error.strerror or _reason(str(error))}). {ADVICE}"
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
                    _write_glb(paths["glb"])
                if "fbx" in kinds:
                    copy.armature.name = FBX_ARMATURE
                    _write_fbx(paths["fbx"])
        except RuntimeError as error:
            raise ExportError(f"Blender could not export the head ({_reason(str(error))}). {ADVICE}") from error
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
        raise ExportError(f"Blender could not save {target.name} ({_reason(output)}). {ADVICE}")


def _reason(report: str) -> str:
    """The line of a traceback or of Blender's output that says what went wrong."""
    lines = [line.strip() for line in report.splitlines() if line.strip()]
    telling = [line for line in lines if "Error" in line and not line.startswith(("Error: Python", "Traceback"))]
    return (telling or lines or ["no reason given"])[-1]


def _write_glb(path: Path) -> None:
    bpy.ops.export_scene.gltf(
        filepath=str(path),
        export_format="GLB",
        use_selection=True,
        use_active_scene=True,
        export_yup=True,
        # Applying modifiers would drop every shape key.
        export_apply=False,
        export_animations=False,
        export_cameras=False,
        export_lights=False,
        export_extras=False,
        export_image_format="AUTO",
        export_morph=True,
        export_morph_normal=True,
        export_morph_tangent=False,
        # Some engines do not read sparse accessors.
        export_try_sparse_sk=False,
        export_skins=True,
        export_influence_nb=4,
        export_all_influences=False,
        export_def_bones=False,
        export_leaf_bone=False,
        export_rest_position_armature=True,
        export_draco_mesh_compression_enable=False,
    )


def _write_fbx(path: Path) -> None:
    bpy.ops.export_scene.fbx(
        filepath=str(path),
        use_selection=True,
        object_types={"ARMATURE", "MESH"},
        # Applying modifiers would drop every shape key; skinning is exported apart from them.
        use_mesh_modifiers=False,
        mesh_smooth_type="FACE",
        use_tspace=True,
        add_leaf_bones=False,
        use_armature_deform_only=True,
        armature_nodetype="NULL",
        bake_anim=False,
        path_mode="COPY",
        embed_textures=True,
        apply_scale_options="FBX_SCALE_ALL",
        axis_forward="-Z",
        axis_up="Y",
    )
    _forget_folder(path)


def _forget_folder(path: Path) -> None:
    """Takes the folder's name out of an FBX file: the exporter notes where it wrote each texture, and that names the
    user. FBX strings carry their length, so what replaces the folder is as long: a path that goes nowhere."""
    data = path.read_bytes()
    for folder in {str(path.parent).encode(), path.parent.as_posix().encode()}:
        data = data.replace(folder, (b"./" * len(folder))[: len(folder) - 1] + (b"." if len(folder) % 2 else b"/"))
    path.write_bytes(data)
