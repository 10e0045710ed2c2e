"""Drawn portraits: the template head before a camera, with hair of a known shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from portrait_head.geometry.surface import isosurface
from portrait_head.head_model import load_head_model
from portrait_head.rendering.camera import PinholeCamera
from portrait_head.rendering.raycast import RayCaster, visibility
from portrait_head.stages.fit import Fit
from portrait_head.stages.portrait import Portrait

SIZE = 512
CENTRE = np.array([0.0, 0.065, 0.0])
# Where the landmarks that fence the face in lie on the template: corners of the eyes, of the mouth, and between.
FACE = {33: (-0.05, 0.04, 0.08), 263: (0.05, 0.04, 0.08), 61: (-0.025, -0.03, 0.1), 291: (0.025, -0.03, 0.1)}
FACE_MIDDLE = (0.0, 0.01, 0.12)


@dataclass(frozen=True)
class Drawing:
    """Attributes:
    portrait: masks as the portrait stage would give them; the picture is grey.
    fit: the template, undeformed.
    hair: vertices and triangles of the hair's true surface, None where it is only painted on the scalp.
    bare: [SIZE, SIZE] bool, pixels that the bare head covers.
    """

    portrait: Portrait
    fit: Fit
    hair: tuple[np.ndarray, np.ndarray] | None
    bare: np.ndarray


def camera_at(yaw: float) -> PinholeCamera:
    """A camera 1.3 m away; at a positive yaw (degrees) the head looks to its left."""
    angle = np.radians(yaw)
    rotation = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    translation = np.array([0.0, 0.0, -1.3]) - rotation @ np.array([0.0, 0.02, 0.0])
    return PinholeCamera(rotation, translation, SIZE * 2.6, np.array([SIZE / 2, SIZE / 2]), SIZE, SIZE)


def ellipsoid(points: np.ndarray, radii: tuple[float, float, float], centre: np.ndarray = CENTRE) -> np.ndarray:
    return (1 - np.linalg.norm((points - centre) / radii, axis=-1)) * min(radii)


def bob(points: np.ndarray) -> np.ndarray:
    """To the jaw all round, with a straight fringe."""
    x, y, z = np.moveaxis(points, -1, 0)
    column = (1 - np.hypot(x / 0.105, z / 0.118)) * 0.105 - 0.25 * (CENTRE[1] - y)
    mass = np.where(y > CENTRE[1], ellipsoid(points, (0.105, 0.103, 0.118)), column)
    face = np.minimum(0.085 - y, z - 0.02)
    return np.minimum.reduce([mass, -face, y + 0.02])


def long(points: np.ndarray) -> np.ndarray:
    """The bob, and a curtain behind and beside the neck."""
    x, y, z = np.moveaxis(points, -1, 0)
    column = (1 - np.hypot(x / 0.11, z / 0.115)) * 0.11 - 0.1 * np.maximum(CENTRE[1] - y, 0)
    return np.maximum(bob(points), np.minimum.reduce([column, 0.015 - z, CENTRE[1] - y, y + 0.12]))


def bun(points: np.ndarray) -> np.ndarray:
    """A ball on top of the head."""
    return ellipsoid(points, (0.036, 0.036, 0.036), np.array([0.0, 0.172, -0.02]))


SOLIDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"bob": bob, "long": long, "bun": bun}


def solid_mesh(field: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    low, cell = np.array([-0.16, -0.2, -0.17]), 0.005
    axes = [low[axis] + cell * np.arange(count) for axis, count in enumerate((65, 90, 69))]
    return isosurface(field(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)), low, cell)


@cache
def draw(style: str, yaw: float = 0.0) -> Drawing:
    """One of bob, long, bun (on a crop), crop, receding (bald but for the sides) and bald."""
    model, camera = load_head_model(), camera_at(yaw)
    triangles = model.triangles()
    hits = visibility(RayCaster(model.vertices, triangles), camera)
    at = hits.interpolate(model.vertices, triangles)
    is_scalp = np.isin(np.arange(len(model.vertices)), model.regions["scalp"]).astype(float)
    scalp = hits.interpolate(is_scalp[:, None], triangles)[..., 0] > 0.5
    hair = np.zeros((SIZE, SIZE), dtype=bool)
    if style in ("crop", "bun"):
        hair = scalp
    if style == "receding":
        hair = scalp & (at[..., 2] < 0.045) & (at[..., 1] < 0.1)
    mesh = solid_mesh(SOLIDS[style]) if style in SOLIDS else None
    if mesh is not None:
        drawn = visibility(RayCaster(*mesh), camera)
        hair = hair | (drawn.hit & (drawn.distance < hits.distance))
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[:, :2] = camera.project(np.array(FACE_MIDDLE))
    for index, place in FACE.items():
        landmarks[index, :2] = camera.project(np.array(place))
    kind = {"bald": "none", "crop": "cropped", "receding": "cropped"}.get(style, "volume")
    portrait = Portrait(
        image=np.full((SIZE, SIZE, 3), 128, np.uint8),
        valid=np.ones((SIZE, SIZE), bool),
        window=np.array([0.0, 0.0, 1.0]),
        landmarks=landmarks,
        person=(hair | hits.hit).astype(np.float32),
        hair=hair.astype(np.float32),
        skin=(hits.hit & ~hair).astype(np.float32),
        occluder=np.zeros((SIZE, SIZE), bool),
        hair_style=kind,
        faces=np.array([[0, 0, SIZE, SIZE]], np.float32),
        face=0,
        interocular=100.0,
    )
    still = np.zeros_like(model.vertices)
    fit = Fit(
        camera=camera,
        identity=np.zeros(len(model.identity_names)),
        expression=np.zeros(52, np.float32),
        gaze=np.zeros((2, 2), np.float32),
        residual=still,
        neutral=model.vertices,
        posed=model.vertices,
        nme_before=0.0,
        nme_after=0.0,
    )
    return Drawing(portrait, fit, mesh, hits.hit)
