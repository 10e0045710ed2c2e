# SPDX-License-Identifier: GPL-3.0-or-later
"""Materials of the head: one Principled shader each, addressed by socket name because sockets move between versions."""

from __future__ import annotations

import bpy

from . import asset, compat
from .steps import Steps

SKIN_RADIUS = (0.00367, 0.00137, 0.00068)
"""Metres that red, green and blue light travels below skin (Jensen et al. 2001, table of measured media: skin1)."""
MASK_THRESHOLD = 0.5
PLACES = {"base_color": (-560, 0), "orm": (-760, -300), "normal": (-560, -600)}
GLTF_OUTPUT = "glTF Material Output"
"""Blender's exporter finds ambient occlusion, which no shader takes, in a group of this name."""


def build_material(description: asset.Material, owner: str) -> Steps[bpy.types.Material]:
    """A new material named `owner` + what it is, with its textures packed into the file, one a step.

    Its image nodes are named after the maps: base_color, normal, orm.
    """
    images = {}
    for kind in description.maps:
        suffix = "" if kind == "base_color" else f" {kind}"
        images[kind] = load_texture(description, kind, f"{owner} {description.name}{suffix}")
        yield
    return _connected(description, owner, images)


def _connected(description: asset.Material, owner: str, images: dict[str, bpy.types.Image]) -> bpy.types.Material:
    """The material, made at once: nodes that are kept between two steps may be gone in the next."""
    material = bpy.data.materials.new(f"{owner} {description.name}")
    tree = compat.use_nodes(material)
    tree.nodes.clear()
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    shader = tree.nodes.new("ShaderNodeBsdfPrincipled")
    output.location, shader.location = (300, 0), (0, 0)
    tree.links.new(shader.outputs["BSDF"], output.inputs["Surface"])
    shader.inputs["Roughness"].default_value = description.roughness
    shader.inputs["Specular IOR Level"].default_value = description.specular
    shader.inputs["Subsurface Weight"].default_value = description.subsurface
    shader.inputs["Subsurface Radius"].default_value = SKIN_RADIUS
    shader.inputs["Subsurface Scale"].default_value = 1.0

    textures = {kind: _image_node(tree, kind, image) for kind, image in images.items()}
    colour = textures["base_color"]
    tree.links.new(colour.outputs["Color"], shader.inputs["Base Color"])
    if "normal" in textures:
        _normal(tree, textures["normal"], shader)
    if "orm" in textures:
        _packed(tree, textures["orm"], shader)
    if description.alpha == "blend":
        tree.links.new(colour.outputs["Alpha"], shader.inputs["Alpha"])
        material.surface_render_method = "BLENDED"
    elif description.alpha == "mask":
        _mask(tree, colour, shader)
        material.surface_render_method = "DITHERED"
    return material


def _image_node(tree: bpy.types.NodeTree, kind: str, image: bpy.types.Image) -> bpy.types.Node:
    node = tree.nodes.new("ShaderNodeTexImage")
    node.name = node.label = kind
    node.location = PLACES[kind]
    node.image = image
    return node


def _normal(tree: bpy.types.NodeTree, texture: bpy.types.Node, shader: bpy.types.Node) -> None:
    normal = tree.nodes.new("ShaderNodeNormalMap")
    normal.location = (-240, -600)
    tree.links.new(texture.outputs["Color"], normal.inputs["Color"])
    tree.links.new(normal.outputs["Normal"], shader.inputs["Normal"])


def _packed(tree: bpy.types.NodeTree, texture: bpy.types.Node, shader: bpy.types.Node) -> None:
    """Red is for engines alone: Cycles and EEVEE find occlusion themselves."""
    channels = tree.nodes.new("ShaderNodeSeparateColor")
    channels.location = (-440, -300)
    group = tree.nodes.new("ShaderNodeGroup")
    group.node_tree = _gltf_output()
    group.location = (300, -200)
    tree.links.new(texture.outputs["Color"], channels.inputs["Color"])
    tree.links.new(channels.outputs["Red"], group.inputs["Occlusion"])
    tree.links.new(channels.outputs["Green"], shader.inputs["Roughness"])
    tree.links.new(channels.outputs["Blue"], shader.inputs["Metallic"])


def _gltf_output() -> bpy.types.NodeTree:
    """The exporter's group, made where the file has none."""
    found = bpy.data.node_groups.get(GLTF_OUTPUT)
    if found is None:
        found = bpy.data.node_groups.new(GLTF_OUTPUT, "ShaderNodeTree")
        found.interface.new_socket("Occlusion", in_out="INPUT", socket_type="NodeSocketFloat").default_value = 1.0
        found.nodes.new("NodeGroupInput")
    return found


def _mask(tree: bpy.types.NodeTree, texture: bpy.types.Node, shader: bpy.types.Node) -> None:
    """Alpha above the threshold counts as there; this is the node that glTF export knows as a cut-out."""
    compare = tree.nodes.new("ShaderNodeMath")
    compare.location = (-240, -100)
    compare.operation = "GREATER_THAN"
    compare.inputs[1].default_value = MASK_THRESHOLD
    tree.links.new(texture.outputs["Alpha"], compare.inputs[0])
    tree.links.new(compare.outputs[0], shader.inputs["Alpha"])


def load_texture(description: asset.Material, kind: str, name: str) -> bpy.types.Image:
    """One of a material's maps as an image of this file, packed."""
    path = description.maps[kind]
    image = bpy.data.images.load(str(path), check_existing=False)
    image.name = name
    image.colorspace_settings.name = asset.COLOR_SPACES[kind]
    if kind != "base_color" or description.alpha == "opaque":
        image.alpha_mode = "NONE"
    image.pack()  # the file's bytes as they are: decoding waits until the picture is shown
    # The folder of the asset may go; the packed picture must not name a place on this machine in files given away.
    image.filepath_raw = f"//{path.name}"
    return image
