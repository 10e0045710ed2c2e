# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a head the way one engine wants it: names, units, texture size, levels of detail. From a staged copy."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from ..data.engines import LOD_SHARES, VISEME_KEYS, Engine
from . import compat, verify
from .export import ADVICE, ExportError, reason
from .importer import ImportedHead
from .lods import add_keys, key_offsets, reduced
from .staging import StagedHead, staged
from .writers import ADDONS, FBX_ARMATURE, write_fbx, write_glb

CENTIMETRES = 100.0
ENDINGS = tuple(f".{kind}" for kind in ADDONS)


@dataclass(frozen=True)
class EngineOptions:
    """What the artist chose.

    Attributes:
        engine: whose conventions to follow.
        texture_size: longest side of every texture in pixels; None leaves them as they are.
        lods: coarser levels beside the full head, 0 to 3.
        hair: write the hair.
        visemes: add Meta's fifteen visemes as keys.
    """

    engine: Engine
    texture_size: int | None = None
    lods: int = 0
    hair: bool = True
    visemes: bool = False


@dataclass(frozen=True)
class Exported:
    """What was written and found when it was read back.

    Attributes:
        files: the files, the full head first.
        keys: names of the shape keys in them.
        triangles: of each level, the full head first.
    """

    files: tuple[Path, ...]
    keys: tuple[str, ...]
    triangles: tuple[int, ...]


@dataclass(frozen=True)
class _Level:
    """One level of detail: its meshes, the head first."""

    meshes: tuple[bpy.types.Object, ...]

    @property
    def triangles(self) -> int:
        return sum(len(polygon.vertices) - 2 for mesh in self.meshes for polygon in mesh.data.polygons)


def export_for_engine(head: ImportedHead, path: Path, options: EngineOptions) -> Exported:
    """Writes `head` to `path` and, for engines that want a file a level, to files named after it with _LOD1, _LOD2.

    Every file is read back and checked before it gets its name; scene, selection and mode stay as they are.

    Raises `ExportError` or `verify.VerifyError`.
    """
    engine = options.engine
    path = with_ending(path, engine)
    operator, addon = ADDONS[engine.kind]
    if not compat.operator_exists(operator):
        raise ExportError(f"Blender's add-on '{addon}' is off. Switch it on in Preferences > Add-ons, then try again.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as scratch:
            keys, triangles, written = _write(head, Path(scratch), path.stem, options)
            files = tuple(each.replace(path.parent / each.name) for each in written)
    except OSError as error:
        raise ExportError(
            f"The head cannot be written to {path.parent} ({error.strerror or reason(str(error))}). {ADVICE}"
        ) from error
    return Exported(files, keys, triangles)


def with_ending(path: Path, engine: Engine) -> Path:
    """The path with the ending of the engine's files: in place of the other kind's, else added, as to anna.v2."""
    ending = f".{engine.kind}"
    return path.with_suffix(ending) if path.suffix.lower() in ENDINGS else path.with_name(path.name + ending)


def _write(
    head: ImportedHead, scratch: Path, stem: str, options: EngineOptions
) -> tuple[tuple[str, ...], tuple[int, ...], list[Path]]:
    engine = options.engine
    with staged(head) as copy:
        bones = _rename(copy, engine)
        _add_expressions(copy, {**engine.expressions, **(VISEME_KEYS if options.visemes else {})})
        keys = _rename_keys(copy, engine)
        if options.texture_size is not None:
            _shrink_textures(copy, options.texture_size)
        if engine.flipped_green:
            _flip_green(copy)
        levels = _levels(copy, options)
        if engine.centimetres:
            _to_centimetres(copy, levels)
        if engine.kind == "fbx":
            copy.armature.name = FBX_ARMATURE
        written = []
        try:
            with compat.active_scene(copy.scene), compat.quiet():
                for suffix, meshes in _files(levels, engine):
                    _select(copy, meshes)
                    target = scratch / f"{stem}{suffix}.{engine.kind}"
                    (write_glb if engine.kind == "glb" else write_fbx)(target)
                    written.append(target)
        except RuntimeError as error:
            raise ExportError(f"Blender could not export the head ({reason(str(error))}). {ADVICE}") from error
        triangles = tuple(level.triangles for level in levels)
    heads = len(levels) if engine.lods_in_one_file else 1
    for each in written:
        if engine.kind == "glb":
            verify.verify_glb(each, keys, bones)
        else:
            verify.verify_fbx(each, keys, bones, heads, 1 / CENTIMETRES if engine.centimetres else 1.0)
    return keys, triangles, written


def _rename(copy: StagedHead, engine: Engine) -> tuple[str, ...]:
    """Gives the bones, and with them the vertex groups, the engine's names."""
    for bone in copy.armature.data.bones:
        bone.name = engine.bone_name(bone.name)
    return tuple(bone.name for bone in copy.armature.data.bones)


def _rename_keys(copy: StagedHead, engine: Engine) -> tuple[str, ...]:
    blocks = copy.head.data.shape_keys.key_blocks[1:]
    for block in blocks:
        block.name = engine.key_name(block.name)
    return tuple(block.name for block in blocks)


def _add_expressions(copy: StagedHead, expressions: Mapping[str, Mapping[str, float]]) -> None:
    """Further keys made of those that are there. A name that the artist has used already is the artist's."""
    names = [block.name for block in copy.head.data.shape_keys.key_blocks[1:]]
    offsets = key_offsets(copy.head.data)
    made = {
        name: np.tensordot([weights.get(each, 0.0) for each in names], offsets, axes=1)
        for name, weights in expressions.items()
        if name not in names
    }
    add_keys(copy.head, made)


def _images(copy: StagedHead, kind: str | None = None) -> set[bpy.types.Image]:
    """The pictures of the head's materials, or those of one kind of map (normal, orm)."""
    slots = [slot for mesh in (copy.head, copy.hair) if mesh for slot in mesh.material_slots if slot.material]
    trees = [slot.material.node_tree for slot in slots if slot.material.node_tree]
    nodes = [node for tree in trees for node in tree.nodes if node.type == "TEX_IMAGE" and node.image]
    return {node.image for node in nodes if kind is None or node.name == kind}


def _flip_green(copy: StagedHead) -> None:
    for image in _images(copy, "normal"):
        pixels = np.empty(len(image.pixels), dtype=np.float32)
        image.pixels.foreach_get(pixels)
        pixels[1::4] = 1.0 - pixels[1::4]
        image.pixels.foreach_set(pixels)
        image.pack()


def _shrink_textures(copy: StagedHead, size: int) -> None:
    for image in _images(copy):
        longest = max(image.size)
        if longest > size:
            image.scale(*(max(1, round(side * size / longest)) for side in image.size))
            image.pack()


def _levels(copy: StagedHead, options: EngineOptions) -> list[_Level]:
    if copy.hair is not None and not options.hair:
        bpy.data.objects.remove(copy.hair)
        meshes = (copy.head,)
    else:
        meshes = tuple(each for each in (copy.head, copy.hair) if each is not None)
    names = [each.name for each in meshes]
    levels = [_Level(meshes)]
    for number, share in enumerate(LOD_SHARES[: options.lods], start=1):
        coarse = (
            reduced(mesh, share, f"{name}_LOD{number}", copy.scene) for mesh, name in zip(meshes, names, strict=True)
        )
        levels.append(_Level(tuple(coarse)))
    if options.lods and options.engine.lods_in_one_file:
        for mesh, name in zip(meshes, names, strict=True):
            mesh.name = f"{name}_LOD0"
    return levels


def _to_centimetres(copy: StagedHead, levels: list[_Level]) -> None:
    """Makes the copy a hundred times larger in a scene whose unit is a hundredth.

    The FBX file then counts in centimetres as Unreal does. Left to itself the exporter scales the armature by 100, and
    so does Unreal its root bone.
    """
    scale = Matrix.Scale(CENTIMETRES, 4)
    copy.scene.unit_settings.scale_length = 1 / CENTIMETRES
    copy.armature.data.transform(scale)
    for level in levels:
        for mesh in level.meshes:
            mesh.data.transform(scale, shape_keys=True)
    copy.scene.view_layers[0].update()


def _files(levels: list[_Level], engine: Engine) -> Iterator[tuple[str, list[bpy.types.Object]]]:
    """The suffix and meshes of each file."""
    if engine.lods_in_one_file:
        yield "", [mesh for level in levels for mesh in level.meshes]
        return
    for number, level in enumerate(levels):
        yield f"_LOD{number}" if number else "", list(level.meshes)


def _select(copy: StagedHead, meshes: list[bpy.types.Object]) -> None:
    layer = copy.scene.view_layers[0]
    layer.update()
    for each in layer.objects:
        each.select_set(each in meshes or each == copy.armature, view_layer=layer)
    layer.objects.active = meshes[0]
