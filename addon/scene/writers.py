# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's exporters with the settings that keep a head whole."""

from __future__ import annotations

from pathlib import Path

import bpy

ADDONS = {"glb": ("export_scene.gltf", "glTF 2.0 format"), "fbx": ("export_scene.fbx", "FBX format")}
"""The operator of each kind, and the add-on of Blender that brings it."""
FBX_ARMATURE = "Armature"
"""Unreal leaves out an armature object of just this name from Blender; any other becomes one more bone on top."""


def write_glb(path: Path) -> None:
    """Writes the selected objects of the active scene as GLB: at rest, quads as triangles, everything in one file."""
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
        # Normal maps are read in MikkTSpace; engines without it get it from the file.
        export_tangents=True,
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


def write_fbx(path: Path) -> None:
    """Writes the selected objects of the active scene as FBX, textures inside.

    The file's unit is the scene's, so that no object in it has to be scaled.
    """
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
