# SPDX-License-Identifier: GPL-3.0-or-later
"""A small portrait studio: a camera, four soft lights and a grey backdrop, sized to the head."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan, tan

import bpy
import numpy as np
from mathutils import Vector

from . import compat

LENS = 85.0
"""Millimetres on a 36 mm sensor, the usual portrait lens."""
SENSOR = 36.0
MARGIN = 1.06
"""How much wider than the head the picture is."""
BACKDROP = 0.22
"""Linear grey behind the head; neutral, near the middle of the sRGB scale."""
AMBIENT = 0.22
"""Strength of the even light from all sides; it keeps shadows soft."""


@dataclass(frozen=True)
class Light:
    """An area light aimed at the head; direction in Blender axes with the face towards -Y; sizes in head heights."""

    name: str
    direction: tuple[float, float, float]
    size: float
    radiance: float


LIGHTS = (
    Light("Key", (-0.7, -1.0, 0.55), 1.4, 8.5),
    Light("Fill", (1.0, -0.9, 0.1), 2.0, 2.0),
    Light("Reflector", (-0.1, -1.0, -0.45), 1.2, 3.2),
    Light("Rim", (0.5, 1.0, 0.9), 1.2, 4.0),
)
DISTANCE = 3.0
"""Distance of the lights in head heights."""


@dataclass(frozen=True)
class Studio:
    """Camera and pivot. Turning the pivot about Z turns camera and lights about the head, as if the head had turned."""

    camera: bpy.types.Object
    pivot: bpy.types.Object


def build_studio(scene: bpy.types.Scene, low: np.ndarray, high: np.ndarray) -> Studio:
    """Puts camera, lights and backdrop into `scene` for a head within the box from `low` to `high` [3], metres."""
    centre = Vector((0.0, (low[1] + high[1]) / 2, (low[2] + high[2]) / 2))
    height = float(high[2] - low[2])
    collection = bpy.data.collections.new("Studio")
    scene.collection.children.link(collection)
    pivot = bpy.data.objects.new("Studio", None)
    pivot.location = centre
    pivot.empty_display_size = height / 10
    collection.objects.link(pivot)

    for light in LIGHTS:
        data = bpy.data.lights.new(light.name, "AREA")
        data.size = light.size * height
        # Blender counts an area light in watts: radiance times area times pi.
        data.energy = light.radiance * np.pi * data.size**2
        _place(light.name, data, Vector(light.direction).normalized() * DISTANCE * height, pivot, collection)

    data = bpy.data.cameras.new("Camera")
    data.lens, data.sensor_width = LENS, SENSOR
    widest = max(height, float(np.hypot(high[0] - low[0], high[1] - low[1])) * 0.9) * MARGIN
    distance = widest / (2 * tan(atan(SENSOR / (2 * LENS)))) + float(high[1] - low[1]) / 2
    data.clip_start, data.clip_end = 0.01, 100.0
    camera = _place("Camera", data, Vector((0.0, -distance, 0.0)), pivot, collection)
    scene.camera = camera
    scene.world = _backdrop()
    scene.view_settings.view_transform = "Standard"
    scene.render.engine = compat.eevee()
    scene.render.resolution_x = scene.render.resolution_y = 1080
    return Studio(camera, pivot)


def _place(
    name: str, data: bpy.types.ID, offset: Vector, pivot: bpy.types.Object, collection: bpy.types.Collection
) -> bpy.types.Object:
    item = bpy.data.objects.new(name, data)
    item.parent = pivot
    item.location = offset
    item.rotation_euler = (-offset).to_track_quat("-Z", "Y").to_euler()
    collection.objects.link(item)
    return item


def _backdrop() -> bpy.types.World:
    """A grey that the camera sees and another that lights the head."""
    world = bpy.data.worlds.new("Studio")
    tree = compat.use_nodes(world)
    tree.nodes.clear()
    output = tree.nodes.new("ShaderNodeOutputWorld")
    mix = tree.nodes.new("ShaderNodeMixShader")
    path = tree.nodes.new("ShaderNodeLightPath")
    tree.links.new(path.outputs["Is Camera Ray"], mix.inputs[0])
    for socket, grey in ((1, AMBIENT), (2, BACKDROP)):
        background = tree.nodes.new("ShaderNodeBackground")
        background.inputs["Color"].default_value = (grey, grey, grey, 1.0)
        tree.links.new(background.outputs[0], mix.inputs[socket])
    tree.links.new(mix.outputs[0], output.inputs["Surface"])
    return world
