"""Simple painted renders of the head model: enough of a face for MediaPipe to find its landmarks.

A bare grey head lacks what the detector looks at, so lips, brows and irises are painted on as vertex colours.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.geometry.surface import vertex_normals
from portrait_head.head_model import HeadModel, makehuman
from portrait_head.rendering.camera import PinholeCamera
from portrait_head.rendering.lighting import linear_to_bytes
from portrait_head.rendering.raycast import Hits, RayCaster, visibility

LIP_MASK = "mpfb2/textures/mpfb_lips.jpg"  # CC0, in the UV layout of the base mesh
IRIS_ANGLE = np.radians(23.5)  # half the cone of a 5.9 mm iris on MakeHuman's 14.5 mm eyeball
PUPIL_ANGLE = np.radians(8.0)
PARTS_SHOWN = ("skin", "mouth", "eye_left", "eye_right", "teeth_upper", "teeth_lower", "tongue")

SKIN_COLOUR = (0.50, 0.30, 0.22)
LIP_COLOUR = (0.36, 0.12, 0.11)
BROW_COLOUR = (0.07, 0.045, 0.035)
SCLERA_COLOUR = (0.75, 0.72, 0.70)
IRIS_COLOUR = (0.10, 0.06, 0.035)
PUPIL_COLOUR = (0.01, 0.01, 0.01)
TEETH_COLOUR = (0.65, 0.60, 0.52)
CAVITY_COLOUR = (0.12, 0.03, 0.03)
BACKGROUND = 0.45
EXPOSURE = 1.3

# Brows as arcs in head space over the template, metres, for the subject's left: from the inner end outwards. They are
# where ICT-FaceKit's published brow landmarks lie after the mean of its scans was fitted.
BROW_ARC = ((0.0109, 0.0600), (0.0226, 0.0628), (0.0357, 0.0645), (0.0460, 0.0620), (0.0530, 0.0555))
BROW_HALF_WIDTH = (0.0036, 0.0040, 0.0036, 0.0028, 0.0016)


@dataclass(frozen=True)
class Light:
    """A distant lamp and an even surrounding.

    Attributes:
        direction: [3] towards the lamp, camera space.
        ambient: share of the light that comes from everywhere.
    """

    direction: tuple[float, float, float]
    ambient: float


def lip_strength(model: HeadModel) -> np.ndarray:
    """[V] 0 to 1: how much each skin vertex is lip."""
    data = makehuman.data_folder()
    mask = np.asarray(cv2.imread(str(data / LIP_MASK), cv2.IMREAD_GRAYSCALE), dtype=np.float32) / 255
    base = makehuman._read_base(data / "mpfb2/3dobjs/base.obj")
    cut = makehuman._cut_head(base)
    uvs = np.zeros((len(cut.source), 2))
    uvs[cut.quads.ravel()] = base.uvs[cut.uv_quads.ravel()]
    size = np.array(mask.shape[::-1])
    pixels = np.clip((uvs * (1, -1) + (0, 1)) * size, 0, size - 1).astype(int)
    strength = mask[pixels[:, 1], pixels[:, 0]]
    strength[model.part("skin").vertices[1] :] = 0.0
    return strength


def brow_strength(points: np.ndarray) -> np.ndarray:
    """How much of an eyebrow lies at `points` [..., 3] of the template: [...] 0 to 1."""
    arc, width = np.array(BROW_ARC), np.array(BROW_HALF_WIDTH)
    along = np.linspace(0, len(arc) - 1, 40)
    place = np.arange(len(arc))
    curve = np.stack([np.interp(along, place, arc[:, axis]) for axis in range(2)], axis=1)
    half = np.interp(along, place, width)
    flat = np.stack([np.abs(points[..., 0]), points[..., 1]], axis=-1)
    distance = np.linalg.norm(flat[..., None, :] - curve, axis=-1) / half
    strength = np.clip(2.0 - 1.5 * distance.min(axis=-1), 0.0, 1.0)
    return np.where(points[..., 2] > 0.05, strength, 0.0)


@dataclass(frozen=True)
class Paint:
    """A generic face's colours over the head model.

    Attributes:
        triangles: [T, 3] int32, what is shown: all but the lashes, whose solid strips would hide the eyes.
        parts: [T] int32, row of `PARTS_SHOWN` of each triangle.
        anchors: [V, 3] the template, where brows and irises are drawn.
        lips: [V] 0 to 1.
        eye_centres: [2, 3] of the left and the right eyeball on the template.
    """

    triangles: np.ndarray
    parts: np.ndarray
    anchors: np.ndarray
    lips: np.ndarray
    eye_centres: np.ndarray

    @staticmethod
    def of(model: HeadModel) -> Paint:
        """The paint for `model`."""
        rows, parts = [], []
        for index, name in enumerate(PARTS_SHOWN):
            first, last = model.part(name).faces
            rows.append(np.arange(2 * first, 2 * last))
            parts.append(np.full(2 * (last - first), index, dtype=np.int32))
        balls = [model.vertices[slice(*model.part(name).vertices)] for name in ("eye_left", "eye_right")]
        centres = np.array([(ball.min(axis=0) + ball.max(axis=0)) / 2 for ball in balls])
        triangles = model.triangles()[np.concatenate(rows)]
        return Paint(triangles, np.concatenate(parts), model.vertices.astype(np.float64), lip_strength(model), centres)

    def colours(self, hits: Hits) -> np.ndarray:
        """[H, W, 3] linear colour of what each pixel sees."""
        part = np.where(hits.hit, self.parts[np.maximum(hits.triangle, 0)], -1)
        picture = np.empty((*part.shape, 3))
        picture[:] = CAVITY_COLOUR
        for name, colour in (("tongue", LIP_COLOUR), ("teeth_upper", TEETH_COLOUR), ("teeth_lower", TEETH_COLOUR)):
            picture[part == PARTS_SHOWN.index(name)] = colour
        points = hits.interpolate(self.anchors, self.triangles)
        skin = part == PARTS_SHOWN.index("skin")
        shade = np.tile(np.array(SKIN_COLOUR), (int(skin.sum()), 1))
        lips = hits.interpolate(self.lips[:, None], self.triangles)[skin]
        shade += lips * (np.array(LIP_COLOUR) - shade)
        picture[skin] = shade + brow_strength(points[skin])[:, None] * (np.array(BROW_COLOUR) - shade)
        for side, name in enumerate(("eye_left", "eye_right")):
            ball = part == PARTS_SHOWN.index(name)
            axis = points[ball] - self.eye_centres[side]
            angle = np.arccos(np.clip(axis[:, 2] / np.maximum(np.linalg.norm(axis, axis=1), 1e-9), -1, 1))
            tint = np.where((angle < IRIS_ANGLE)[:, None], IRIS_COLOUR, SCLERA_COLOUR)
            picture[ball] = np.where((angle < PUPIL_ANGLE)[:, None], PUPIL_COLOUR, tint)
        return picture


def render(vertices: np.ndarray, paint: Paint, camera: PinholeCamera, light: Light) -> tuple[np.ndarray, Hits]:
    """A matte render of posed `vertices` [V, 3]: [H, W, 3] uint8 sRGB, and what each pixel sees."""
    hits = visibility(RayCaster(vertices, paint.triangles), camera)
    normals = hits.interpolate(vertex_normals(vertices, paint.triangles), paint.triangles) @ camera.rotation.T
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    lamp = np.array(light.direction) / np.linalg.norm(light.direction)
    shading = light.ambient + (1 - light.ambient) * np.clip(normals @ lamp, 0, 1)
    picture = paint.colours(hits) * shading[..., None] * EXPOSURE
    picture[~hits.hit] = BACKGROUND
    return linear_to_bytes(picture), hits


def portrait_camera(
    yaw: float, pitch: float, distance: float, size: int, *, centre: tuple[float, float, float] = (0.0, 0.02, 0.06)
) -> PinholeCamera:
    """A camera `distance` metres from the face, turned by `yaw` (subject looks to their left) and `pitch`, radians.

    The face fills about half of the square picture of `size` pixels.
    """
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    rotation = about_x @ about_y
    translation = np.array([0.0, 0.0, -distance]) - rotation @ np.array(centre)
    return PinholeCamera(rotation, translation, 3.4 * size * distance, np.full(2, size / 2), size, size)
