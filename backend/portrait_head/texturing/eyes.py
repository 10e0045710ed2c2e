"""The eyeballs: iris colour from the photo, everything else painted."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.head_model.model import HeadModel
from portrait_head.rendering.lighting import LUMINANCE, srgb_to_linear
from portrait_head.texturing.noise import band_noise
from portrait_head.texturing.photo_regions import EYE_LEFT, EYE_RIGHT, IRIS_LEFT, IRIS_RIGHT, polygon
from portrait_head.texturing.sampling import sample_texture
from portrait_head.texturing.shaping import mix, step
from portrait_head.texturing.uv_raster import UvRaster


@dataclass(frozen=True)
class EyeConfig:
    """Angles are degrees at the centre of the eyeball, colours linear RGB."""

    iris: float = 23.0  # an iris of 11.8 mm on the head model's ball of 30 mm
    pupil: float = 8.3
    limbus: float = 1.6  # width of the soft border between iris and sclera
    sclera: tuple[float, float, float] = (0.56, 0.50, 0.46)
    sclera_edge: tuple[float, float, float] = (0.50, 0.36, 0.31)  # towards the lids and corners
    vein: tuple[float, float, float] = (0.50, 0.20, 0.16)
    default_iris: tuple[float, float, float] = (0.085, 0.045, 0.022)  # brown: the commonest eye colour
    least_green: float = 0.52  # of the strongest channel; redder than brown is the light of the photo
    least_blue: float = 0.26
    brightest_iris: float = 0.30  # luminance; anything above is a reflection of the surroundings


def paint_eyes(
    model: HeadModel, raster: UvRaster, iris_colour: np.ndarray, seed: int, config: EyeConfig = EyeConfig()
) -> np.ndarray:
    """Linear base colour [S, S, 3] float32 of both eyeballs.

    Args:
        model: gives the balls at rest, looking straight on.
        raster: of the material `eyes`.
        iris_colour: [3] linear RGB, as from `iris_colour`.
        seed: of fibres and veins.
    """
    points = raster.spread(model.vertices)
    colour = np.zeros((len(points), 3), np.float32)
    quad = raster.triangle // 2
    fibres = band_noise(512, (3.0, 80.0), seed, stretch=0.22)
    cloud = band_noise(256, (24.0, 256.0), seed + 1)
    veins = band_noise(512, (10.0, 120.0), seed + 2)
    for name in ("eye_left", "eye_right"):
        part = model.part(name)
        mine = (quad >= part.faces[0]) & (quad < part.faces[1])
        ball = model.vertices[slice(*part.vertices)]
        centre = (ball.min(axis=0) + ball.max(axis=0)) / 2
        direction = points[mine] - centre
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        angle = np.degrees(np.arccos(np.clip(direction[:, 2], -1.0, 1.0)))
        # Mirrored between the eyes, so that the inner corner is on the same side of the pattern.
        turn = np.arctan2(direction[:, 1], direction[:, 0] * np.sign(centre[0])) / (2 * np.pi)
        colour[mine] = _ball(angle, turn, direction, iris_colour, fibres, cloud, veins, config)
    return raster.image(colour)


def _ball(
    angle: np.ndarray,
    turn: np.ndarray,
    direction: np.ndarray,
    iris_colour: np.ndarray,
    fibres: np.ndarray,
    cloud: np.ndarray,
    veins: np.ndarray,
    config: EyeConfig,
) -> np.ndarray:
    around = np.stack([turn, angle / 90.0], axis=1)
    sclera = mix(np.array(config.sclera), np.array(config.sclera_edge), step(angle, 32.0, 78.0) ** 1.3)
    patch = sample_texture(cloud[..., None], around * [1.0, 0.7])[:, 0]
    sclera = sclera * (1 + 0.03 * patch[:, None])
    # A vein is where noise passes through zero; they thin out towards the iris.
    ridge = np.abs(sample_texture(veins[..., None], around * [2.0, 0.6])[:, 0])
    vein = np.exp(-((ridge / 0.07) ** 2)) * step(angle, 34.0, 62.0) * 0.30
    sclera = mix(sclera, np.array(config.vein), vein)
    # Lids and lashes darken the upper ball in life; without it eyes look pasted in.
    lid = step(direction[:, 1], 0.12, 0.52) * 0.42 + step(-direction[:, 1], 0.25, 0.60) * 0.15
    sclera = sclera * (1 - lid[:, None])

    radius = np.clip(angle / config.iris, 0.0, 1.2)
    fibre = sample_texture(fibres[..., None], np.stack([turn * 1.0, radius * 0.25], axis=1))[:, 0]
    ring = np.exp(-(((radius - 0.52) / 0.10) ** 2))  # the collarette, brighter and warmer
    body = iris_colour * (1 + 0.24 * fibre[:, None] * step(radius, 0.30, 0.5)[:, None])
    body = body * (0.95 + 0.30 * ring[:, None] * np.array([1.15, 1.0, 0.8]))
    body = body * (1 - 0.60 * step(radius, 0.74, 1.0)[:, None])  # limbal ring
    body = body * (1 - 0.40 * step(direction[:, 1], 0.10, 0.42)[:, None])  # shadow of the upper lid
    pupil_edge = config.pupil * (1 + 0.02 * fibre)
    body = mix(np.full(3, 0.004), body, step(angle, pupil_edge - 0.7, pupil_edge + 0.7))
    return np.clip(mix(body, sclera, step(angle, config.iris - config.limbus, config.iris + config.limbus)), 0.002, 1)


def iris_colour(
    image: np.ndarray, landmarks: np.ndarray, gain: float, config: EyeConfig = EyeConfig()
) -> tuple[np.ndarray, bool]:
    """The colour of the irises in a photo.

    Args:
        image: [H, W, 3] uint8 sRGB.
        landmarks: [478, 3] of the face mesh, pixels.
        gain: what brings the face's linear light to that of the skin texture.

    Returns:
        [3] linear RGB, and whether it was seen: closed or tiny eyes give the default.
    """
    pixels = []
    for iris, opening in ((IRIS_LEFT, EYE_LEFT), (IRIS_RIGHT, EYE_RIGHT)):
        centre = landmarks[iris[0], :2]
        radius = float(np.linalg.norm(landmarks[list(iris[1:]), :2] - centre, axis=1).mean())
        open_height = float(np.ptp(landmarks[list(opening), 1]))
        if radius < 2.5 or open_height < 0.8 * radius:
            continue
        opened = cv2.erode(polygon(landmarks, opening, image.shape[:2]), np.ones((3, 3), np.uint8)) > 0
        rows, columns = np.nonzero(opened)
        distance = np.hypot(columns + 0.5 - centre[0], rows + 0.5 - centre[1]) / radius
        ring = (distance > 0.42) & (distance < 0.80)
        pixels.append(srgb_to_linear(image[rows[ring], columns[ring]]))
    if not pixels or sum(map(len, pixels)) < 12:
        return np.array(config.default_iris, np.float32), False
    found = np.concatenate(pixels)
    luminance = found @ LUMINANCE
    # The darkest pixels are pupil and lashes, the brightest are catchlights and sclera.
    order = np.argsort(luminance, kind="stable")
    core = found[order[int(0.30 * len(order)) : max(int(0.65 * len(order)), 1)]]
    colour = np.median(core, axis=0) * gain
    colour = np.maximum(colour, colour.max() * np.array([0.0, config.least_green, config.least_blue]))
    brightness = float(colour @ LUMINANCE)
    limited = np.clip(brightness * 1.25, 0.02, config.brightest_iris)
    return (colour * limited / max(brightness, 1e-4)).astype(np.float32), True
