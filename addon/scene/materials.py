# SPDX-License-Identifier: GPL-3.0-or-later
"""Materials of the head: one Principled shader each, addressed by socket name because sockets move between versions."""

from __future__ import annotations

import bpy

from . import asset, compat

SKIN_RADIUS = (1.0, 0.2, 0.1)
"""Relative reach of red, green and blue light below skin; Blender's own default, made for skin."""
SKIN_SCALE = 0.006
"""Metres. Reach of red light in skin: several millimetres (Jensen et al. 2001 measured a mean free path of 3.7 mm)."""
CORNEA_ROUGHNESS = 0.03
MASK_THRESHOLD = 0.5


def build_material(description: asset.Material, owner: str) -> bpy.types.Material:
    """A new material named `owner` + what it is, with its texture packed into the file."""
    material = bpy.data.materials.new(f"{owner} {description.name}")
    tree = compat.use_nodes(material)
    tree.nodes.clear()
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    shader = tree.nodes.new("ShaderNodeBsdfPrincipled")
    texture = tree.nodes.new("ShaderNodeTexImage")
    output.location, shader.location, texture.location = (300, 0), (0, 0), (-560, 0)
    texture.image = load_texture(description, f"{owner} {description.name}")
    tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    tree.links.new(shader.outputs["BSDF"], output.inputs["Surface"])

    shader.inputs["Roughness"].default_value = description.roughness
    shader.inputs["Specular IOR Level"].default_value = description.specular
    shader.inputs["Subsurface Weight"].default_value = description.subsurface
    shader.inputs["Subsurface Radius"].default_value = SKIN_RADIUS
    shader.inputs["Subsurface Scale"].default_value = SKIN_SCALE
    if description.name == "eyes":
        # The iris is matt, the tear film over it is what shines.
        shader.inputs["Coat Weight"].default_value = 1.0
        shader.inputs["Coat Roughness"].default_value = CORNEA_ROUGHNESS
    if description.alpha == "blend":
        tree.links.new(texture.outputs["Alpha"], shader.inputs["Alpha"])
        material.surface_render_method = "BLENDED"
    elif description.alpha == "mask":
        _mask(tree, texture, shader)
        material.surface_render_method = "DITHERED"
    return material


def _mask(tree: bpy.types.NodeTree, texture: bpy.types.Node, shader: bpy.types.Node) -> None:
    """Alpha above the threshold counts as there; this is the node that glTF export knows as a cut-out."""
    compare = tree.nodes.new("ShaderNodeMath")
    compare.location = (-240, -200)
    compare.operation = "GREATER_THAN"
    compare.inputs[1].default_value = MASK_THRESHOLD
    tree.links.new(texture.outputs["Alpha"], compare.inputs[0])
    tree.links.new(compare.outputs[0], shader.inputs["Alpha"])


def load_texture(description: asset.Material, name: str) -> bpy.types.Image:
    """The picture of a material as an image of this file, packed."""
    image = bpy.data.images.load(str(description.base_color), check_existing=False)
    image.name = name
    image.colorspace_settings.name = "sRGB"
    if description.alpha == "opaque":
        image.alpha_mode = "NONE"
    image.pack()  # the file's bytes as they are: decoding waits until the picture is shown
    # The folder of the asset may go; the packed picture must not name a place on this machine in files given away.
    image.filepath_raw = f"//{description.base_color.name}"
    return image
