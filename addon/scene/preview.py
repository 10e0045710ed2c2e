# SPDX-License-Identifier: GPL-3.0-or-later
"""The contact sheet: the photo beside the head in the photo's pose, turned around, and with expressions."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import radians
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

from . import compat, created, sheet
from .asset import PhotoCamera, PhotoPose
from .axes import to_blender
from .importer import ImportedHead
from .staging import StagedHead, staged
from .studio import BACKDROP, LENS, SENSOR, Studio, build_studio

SAMPLES = 12
"""Cycles samples a pixel; with the denoiser more are not told apart at this size."""
NOISE = 0.1
"""Where Cycles stops before that, mostly on the backdrop; together they take a third of the time of 24 full samples."""
BOUNCES = 3
COLUMNS = 4
PHOTO_MARGIN = 1.1
"""How much wider than the head the photo's tile is."""
LABEL_HEIGHT = 0.05
"""Of a tile."""
WITHOUT_DENOISER = 4
"""How many times the samples where this Blender has no denoiser (Debian's)."""
LABEL_SAMPLES = 4
CLAY = (0.42, 0.42, 0.42, 1.0)
AXES = Matrix(to_blender(np.eye(3)).T.tolist())
"""Backend axes to Blender's, as a matrix that multiplies columns."""


@dataclass(frozen=True)
class View:
    """One rendered tile.

    Attributes:
        label: what is written on it.
        yaw: degrees that the head is turned, positive to the subject's left.
        weights: shape keys that are not at 0.
        lens: focal length in millimetres; a longer one shows the face alone.
    """

    label: str
    yaw: float = 0.0
    weights: Mapping[str, float] = field(default_factory=dict)
    lens: float = LENS


CLOSE = 125.0
SHAPE = View("shape", lens=CLOSE)
TURNS = (View("-90°", -90.0), View("-30°", -30.0), View("+30°", 30.0), View("+90°", 90.0), View("180°", 180.0))
EXPRESSIONS = (
    View("jaw open", 0.0, {"jawOpen": 0.7}, CLOSE),
    View("smile, left eye shut", 0.0, {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8, "eyeBlinkLeft": 1.0}, CLOSE),
    View("pucker, inner brows up", 0.0, {"mouthPucker": 0.8, "browInnerUp": 1.0}, CLOSE),
)


def contact_sheet(
    head: ImportedHead, photo: Path | np.ndarray, photo_pose: PhotoPose, output: Path, size: int = 320
) -> Path:
    """Renders the contact sheet of `head` to the PNG file `output` and returns it.

    Args:
        head: the head in the scene; it and the scene stay as they are.
        photo: a picture file, or an array [H, W, 3] of sRGB uint8, first row on top.
        photo_pose: how the subject looked in that picture.
        output: where the sheet goes; it appears there whole or not at all.
        size: side of a tile in pixels; the sheet has four columns and three rows.

    Raises `PreviewError`.
    """
    output = Path(output)
    try:
        return _contact_sheet(head, photo, photo_pose, output, size)
    except (OSError, RuntimeError) as error:
        raise PreviewError(
            f"The contact sheet {output} could not be made ({error}). "
            "The head itself is finished; see that the folder can be written to and the disk is not full."
        ) from error


def _contact_sheet(
    head: ImportedHead, photo: Path | np.ndarray, photo_pose: PhotoPose, output: Path, size: int
) -> Path:
    output.parent.mkdir(parents=True, exist_ok=True)
    backdrop = _srgb(BACKDROP)
    with tempfile.TemporaryDirectory(prefix=".preview-", dir=output.parent) as folder, staged(head) as copy:
        scratch = Path(folder)
        picture = _picture(photo)
        if photo_pose.camera is not None:
            picture, photo_pose = _around_head(picture, photo_pose, copy.bounds(), backdrop)
        pictures = _Renders(copy, build_studio(copy.scene, *copy.bounds()), scratch, size)
        posed = pictures.photo(photo_pose)
        front, *turned = (pictures.view(view) for view in (View("0°"), *TURNS))
        expressions = [pictures.view(view) for view in EXPRESSIONS]
        pictures.make_clay()
        shape = pictures.view(SHAPE)
        tiles = [picture, posed, front, shape, *turned, *expressions]
        labels = ["photo", "photo pose", "0°", SHAPE.label, *(view.label for view in (*TURNS, *EXPRESSIONS))]
        result = sheet.grid([sheet.fit(tile, size, backdrop) for tile in tiles], COLUMNS)
        ink = _render_labels(labels, result.shape, size, scratch)
        result = result * (1.0 - ink[..., 3:]) + ink[..., :3] * ink[..., 3:]
        finished = scratch / output.name
        _write(result, finished)
        return finished.replace(output)


class PreviewError(RuntimeError):
    """A contact sheet that could not be made: one sentence on what happened, one on what to do."""


class _Renders:
    """Takes pictures of one staged head, one after the other, keeping what Cycles has built between them."""

    def __init__(self, copy: StagedHead, studio: Studio, scratch: Path, size: int) -> None:
        self.copy, self.studio, self.scratch, self.size = copy, studio, scratch, size
        _set_up_cycles(copy.scene, SAMPLES, size, size)

    def view(self, view: View) -> np.ndarray:
        self._express(view.weights)
        # The camera and its lights walk around the head the other way: the head's geometry stays as built.
        self.studio.pivot.rotation_euler = (0.0, 0.0, radians(-view.yaw))
        self.studio.camera.data.lens = view.lens
        return _render(self.copy.scene, self.scratch)

    def photo(self, pose: PhotoPose) -> np.ndarray:
        """The head as the photo shows it: through the photo's own camera where that is known."""
        self._express(pose.expression)
        scene, pivot = self.copy.scene, self.studio.pivot
        rotation = _rotation(pose)
        pivot.rotation_euler = (AXES @ rotation.transposed() @ AXES.transposed()).to_euler()
        if pose.camera is None:
            return _render(scene, self.scratch)
        camera = _photo_camera(pose.camera, scene)
        usual, scene.camera = scene.camera, camera
        sides = pose.camera.width, pose.camera.height
        scene.render.resolution_x, scene.render.resolution_y = (
            max(1, round(side * self.size / max(sides))) for side in sides
        )
        picture = _render(scene, self.scratch)
        scene.camera = usual
        scene.render.resolution_x = scene.render.resolution_y = self.size
        return picture

    def make_clay(self) -> None:
        """Takes the colour from every material, so that only the shape is left to see."""
        slots = [slot for each in self.copy.objects for slot in each.material_slots if slot.material]
        for tree in {slot.material.node_tree for slot in slots}:
            for shader in (node for node in tree.nodes if node.type == "BSDF_PRINCIPLED"):
                socket = shader.inputs["Base Color"]
                for link in list(socket.links):
                    tree.links.remove(link)
                socket.default_value = CLAY

    def _express(self, weights: Mapping[str, float]) -> None:
        for key in self.copy.head.data.shape_keys.key_blocks[1:]:
            key.value = weights.get(key.name, 0.0)


def _rotation(pose: PhotoPose) -> Matrix:
    """Head space to camera space, backend axes."""
    if pose.camera is not None:
        return Matrix(pose.camera.rotation.tolist())
    turns = ((-pose.roll, "Z"), (-pose.pitch, "X"), (pose.yaw, "Y"))
    roll, pitch, yaw = (Matrix.Rotation(radians(angle), 3, axis) for angle, axis in turns)
    return roll @ pitch @ yaw


def _around_head(
    picture: np.ndarray, pose: PhotoPose, bounds: tuple[np.ndarray, np.ndarray], backdrop: float
) -> tuple[np.ndarray, PhotoPose]:
    """The square of the photo around the head, and the pose whose camera saw just that, so that the two line up.

    Args:
        picture: [H, W, 3], what the camera of `pose` saw.
        pose: with a camera.
        bounds: of the head, Blender axes.
        backdrop: grey for what lies outside the picture.
    """
    assert pose.camera is not None
    corners = np.array(list(product(*zip(*bounds, strict=True)))) @ np.array(AXES)
    pixels = pose.camera.project(corners)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    side = max(8, round(float((high - low).max()) * PHOTO_MARGIN))
    left, top = np.round((low + high - side) / 2).astype(int).tolist()

    square = np.full((side, side, 3), backdrop, dtype=np.float32)
    height, width = picture.shape[:2]
    rows, columns = (slice(max(first, 0), min(first + side, last)) for first, last in ((top, height), (left, width)))
    part = picture[rows, columns]
    square[rows.start - top :, columns.start - left :][: part.shape[0], : part.shape[1]] = part
    framed = replace(pose.camera, centre=pose.camera.centre - [left, top], width=side, height=side)
    return square, replace(pose, camera=framed)


def _photo_camera(pinhole: PhotoCamera, scene: bpy.types.Scene) -> bpy.types.Object:
    """A camera that sees what the pinhole camera of the photo saw. Its axes are those of Blender's cameras."""
    longer = max(pinhole.width, pinhole.height)
    data = bpy.data.cameras.new("Photo")
    data.sensor_fit = "AUTO"
    data.sensor_width = SENSOR
    data.lens = pinhole.focal / longer * SENSOR
    data.shift_x = (pinhole.width / 2 - pinhole.centre[0]) / longer
    data.shift_y = (pinhole.centre[1] - pinhole.height / 2) / longer
    data.clip_start, data.clip_end = 0.01, 100.0
    camera = bpy.data.objects.new("Photo", data)
    back = AXES @ Matrix(pinhole.rotation.T.tolist())
    camera.matrix_world = Matrix.LocRotScale(back @ -Vector(pinhole.translation), back.to_quaternion(), None)
    scene.collection.objects.link(camera)
    return camera


def _set_up_cycles(scene: bpy.types.Scene, samples: int, width: int, height: int) -> None:
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.resolution_percentage = 100
    scene.render.use_persistent_data = True
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    scene.view_settings.view_transform = "Standard"
    settings = scene.cycles
    settings.device = "CPU"
    settings.samples = samples if compat.has_denoiser() else samples * WITHOUT_DENOISER
    settings.use_adaptive_sampling = True
    settings.adaptive_threshold, settings.adaptive_min_samples = NOISE, 4
    settings.use_light_tree = False
    settings.max_bounces = settings.diffuse_bounces = settings.glossy_bounces = BOUNCES
    settings.transparent_max_bounces = 16
    settings.caustics_reflective = settings.caustics_refractive = False
    compat.denoise_quickly(scene)


def _render(scene: bpy.types.Scene, scratch: Path) -> np.ndarray:
    """Renders the scene: [H, W, 4]."""
    path = scratch / "render.png"
    scene.render.filepath = str(path)
    with compat.quiet():
        bpy.ops.render.render(write_still=True, scene=scene.name)
    return _read(path)


def _read(path: Path) -> np.ndarray:
    with created.temporary():
        image = bpy.data.images.load(str(path), check_existing=False)
        width, height = image.size
        pixels = np.empty(width * height * image.channels, dtype=np.float32)
        image.pixels.foreach_get(pixels)
        return pixels.reshape(height, width, image.channels)[::-1]


def _picture(photo: Path | np.ndarray) -> np.ndarray:
    if isinstance(photo, np.ndarray):
        return photo[..., :3].astype(np.float32) / 255.0
    return _read(Path(photo))[..., :3]


def _write(picture: np.ndarray, path: Path) -> None:
    height, width = picture.shape[:2]
    with created.temporary():
        image = bpy.data.images.new(path.stem, width, height, alpha=False)
        pixels = np.ones((height, width, 4), dtype=np.float32)
        pixels[..., :3] = picture[::-1]
        image.pixels.foreach_set(pixels.ravel())
        image.file_format = "PNG"
        image.filepath_raw = str(path)
        image.save()


def _render_labels(labels: Sequence[str], shape: Sequence[int], size: int, scratch: Path) -> np.ndarray:
    """The labels of all tiles on nothing: [H, W, 4]. Blender's own font, seen by a camera with one unit a pixel."""
    height, width = shape[:2]
    with created.temporary():
        scene = bpy.data.scenes.new("Labels")
        ink = bpy.data.materials.new("Labels")
        tree = compat.use_nodes(ink)
        tree.nodes.clear()
        emission, output = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeOutputMaterial")
        tree.links.new(emission.outputs[0], output.inputs["Surface"])
        for index, label in enumerate(labels):
            row, column = divmod(index, COLUMNS)
            text = bpy.data.curves.new("Label", "FONT")
            text.body, text.size = label, size * LABEL_HEIGHT
            text.materials.append(ink)
            item = bpy.data.objects.new("Label", text)
            item.location = (column * size + text.size * 0.6, -(row + 1) * size + text.size * 0.6, 0.0)
            scene.collection.objects.link(item)
        camera = bpy.data.cameras.new("Labels")
        camera.type, camera.ortho_scale = "ORTHO", max(width, height)
        camera.clip_end = 10.0
        scene.camera = bpy.data.objects.new("Labels", camera)
        scene.camera.location = (width / 2, -height / 2, 5.0)
        scene.collection.objects.link(scene.camera)
        _set_up_cycles(scene, 4, width, height)
        scene.cycles.use_denoising = False
        scene.render.use_persistent_data = False
        scene.render.film_transparent = True
        return _render(scene, scratch)


def _srgb(linear: float) -> float:
    """IEC 61966-2-1."""
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
