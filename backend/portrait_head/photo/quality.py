"""Whether a face can be used and what its photo will cost: refusals, and warnings with their reasons."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.errors import PortraitHeadError
from portrait_head.photo.faces import IRIS_CENTRES, Face, head_pose
from portrait_head.photo.head_shape import FACE_OVAL
from portrait_head.photo.hindrances import hindrances
from portrait_head.photo.window import Window

# Mesh points inside which the skin of each part shows.
BETWEEN_BROWS = (8, 9, 168)
LOWER_FACE = (202, 422, 43, 273, 199, 175)
EYES = (159, 145, 386, 374, 470, 472, 475, 477)


@dataclass(frozen=True)
class QualityConfig:
    """Bounds, each judged on photos made worse step by step. Lengths are pixels of the photo, angles degrees."""

    refuse_interocular: float = 16.0
    warn_interocular: float = 66.0  # a face of 150 pixels across
    warn_side: int = 6500  # pixels: the photo's longer side
    refuse_yaw: float = 50.0
    warn_yaw: float = 30.0
    refuse_pitch: float = 50.0
    warn_pitch: float = 32.0
    refuse_outside: float = 0.35  # share of the face's outline beyond the photo
    warn_outside: float = 0.04
    sharpness_interocular: float = 64.0  # sharpness is measured with the face reduced to this size
    warn_sharpness: float = 0.04
    dark: float = 70.0  # of 255: the brightest twentieth of the face stays below
    burnt: float = 250.0  # of 255: all channels above
    warn_burnt: float = 0.08  # share of the face
    flat_interocular: float = 32.0  # pixels; a drawing is sought with the face reduced to this size
    flat_step: float = 0.6  # of 255 a pixel: a photo's light changes faster nearly everywhere
    refuse_flat: float = 0.35  # share of the face; photos have under 0.05, drawings over 0.5
    dark_eyes: float = 0.4  # lightness of the whites of the eyes over that of the skin between the brows
    strange_hue: float = 30.0  # CIE Lab distance in hue between the lower face and the skin between the brows
    pale: float = 0.35  # chroma of the lower face over that of the skin between the brows


def choose_face(faces: list[Face], wished: int | None, name: str) -> tuple[int, tuple[str, ...]]:
    """The index of the face to take (`wished` counts from 1, largest first; None takes the largest), and warnings.

    Raises:
        PortraitHeadError: no_face or bad_face.
    """
    count = len(faces)
    if not faces:
        raise PortraitHeadError(
            "no_face",
            f'No face was found in "{name}".',
            "Use a photo in which a face is at least 60 pixels wide and seen from the front; "
            "drawings are often not recognised.",
        )
    if wished is not None and not 1 <= wished <= count:
        there = "there is 1 face" if count == 1 else f"there are {count} faces"
        range_hint = "1" if count == 1 else f"a number from 1 to {count}"
        raise PortraitHeadError(
            "bad_face",
            f'Face {wished} was asked for, but {there} in "{name}".',
            f"Give --face {range_hint}; face 1 is the largest.",
        )
    if wished is None and count > 1:
        left, top, right, bottom = faces[0].box
        return 0, (
            f"There are {count} faces in the photo; the largest was taken (around {(left + right) / 2:.0f}, "
            f"{(top + bottom) / 2:.0f} pixels). Choose another with --face 2 to --face {count}, smaller ones later.",
        )
    return (wished or 1) - 1, ()


def check_face(face: Face, photo_size: tuple[int, int], config: QualityConfig = QualityConfig()) -> tuple[str, ...]:
    """Warnings about size, pose and framing of `face` in a photo of `photo_size` (width, height).

    Raises:
        PortraitHeadError: face_too_small, extreme_pose or face_cut.
    """
    pose = head_pose(face.landmarks)
    # Turning shortens the distance between the pupils in the picture, not the detail of the face.
    distance = face.interocular / max(math.cos(math.radians(pose.yaw)), 0.4)
    warnings = []
    if distance < config.refuse_interocular:
        raise PortraitHeadError(
            "face_too_small",
            f"The face is too small: {face.size:.0f} pixels across, {distance:.0f} between the pupils.",
            f"Use a larger photo with at least {config.warn_interocular:.0f} pixels between the pupils.",
        )
    if distance < config.warn_interocular:
        warnings.append(
            f"The face is small ({distance:.0f} pixels between the pupils), so the texture will be soft; "
            f"{config.warn_interocular:.0f} pixels or more look better and 150 look best."
        )
    if max(photo_size) > config.warn_side:
        warnings.append(
            f"The photo is very large ({photo_size[0]} x {photo_size[1]} pixels); the face is reduced before it is "
            "used, and a smaller photo gives the same head sooner."
        )
    turned, nodded = abs(pose.yaw), abs(pose.pitch)
    if turned > config.refuse_yaw or nodded > config.refuse_pitch:
        way = "turned to the side" if turned > config.refuse_yaw else "tilted up or down"
        raise PortraitHeadError(
            "extreme_pose",
            f"The head is {way} too far (about {turned if turned > config.refuse_yaw else nodded:.0f} degrees).",
            "Use a photo seen more from the front.",
        )
    if turned > config.warn_yaw:
        warnings.append(
            f"The head is turned by about {turned:.0f} degrees; the far side of the face is a guess. "
            "A photo seen from the front gives a better likeness."
        )
    if nodded > config.warn_pitch:
        warnings.append(
            f"The head is tilted {'down' if pose.pitch > 0 else 'up'} by about {nodded:.0f} degrees; "
            "a level photo gives a better likeness."
        )
    outline = face.landmarks[list(FACE_OVAL), :2]
    outside = float(((outline < 0) | (outline > np.array(photo_size))).any(axis=1).mean())
    if outside > config.refuse_outside:
        raise PortraitHeadError(
            "face_cut", "The photo cuts off a large part of the face.", "Use a photo that shows the whole face."
        )
    if outside > config.warn_outside:
        warnings.append("The photo cuts off a part of the face, which is then a guess.")
    return tuple(warnings)


def check_shading(window: Window, landmarks: np.ndarray, config: QualityConfig = QualityConfig()) -> None:
    """Refuse a face without light and shade: nothing can be learnt from it.

    Args:
        window: the head's window.
        landmarks: [478, 3] window pixels.
        config: bounds.

    Raises:
        PortraitHeadError: drawing.
    """
    apart = max(float(np.linalg.norm(landmarks[IRIS_CENTRES[1]] - landmarks[IRIS_CENTRES[0]])), 1e-6)
    side = max(16, round(window.image.shape[0] * min(1.0, config.flat_interocular / apart)))
    small = cv2.resize(window.image, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    across, down = (np.abs(cv2.Sobel(small, cv2.CV_32F, *axis)).max(axis=-1) / 8.0 for axis in ((1, 0), (0, 1)))
    face = _filled(landmarks[list(FACE_OVAL), :2] * side / window.image.shape[0], small.shape)
    if face.any() and float((np.hypot(across, down)[face] < config.flat_step).mean()) > config.refuse_flat:
        raise PortraitHeadError(
            "drawing",
            "The face has hardly any light and shade: it looks like a drawing or is overexposed.",
            "Use a photo of a real face in soft light.",
        )


def check_picture(
    window: Window, landmarks: np.ndarray, interocular: float, config: QualityConfig = QualityConfig()
) -> tuple[str, ...]:
    """Warnings about sharpness, exposure and things before the face.

    Args:
        window: the head's window.
        landmarks: [478, 3] window pixels.
        interocular: between the pupils, photo pixels.
        config: bounds.
    """
    warnings = []
    face = _filled(landmarks[list(FACE_OVAL), :2], window.valid.shape) & window.valid
    if not face.any():
        return ()
    if sharpness(window, landmarks, interocular, config) < config.warn_sharpness:
        warnings.append("The face is blurred; a sharper photo gives a better likeness and texture.")
    colours = window.image[face]
    if float(np.percentile(colours.max(axis=1), 95)) < config.dark:
        warnings.append("The face is very dark; a brighter photo gives better colours.")
    burnt = float((colours.min(axis=1) >= config.burnt).mean())
    if burnt > config.warn_burnt:
        warnings.append(
            f"{burnt:.0%} of the face is overexposed to pure white; a photo in softer light gives better colours."
        )
    return tuple(warnings) + _occlusions(window, landmarks, config) + hindrances(window.image, landmarks)


def sharpness(
    window: Window, landmarks: np.ndarray, interocular: float, config: QualityConfig = QualityConfig()
) -> float:
    """Fine detail of the inner face over its contrast, 0 for a flat picture; a sharp photo has about 0.1 to 0.3."""
    apart = float(np.linalg.norm(landmarks[IRIS_CENTRES[1], :2] - landmarks[IRIS_CENTRES[0], :2]))
    target = min(config.sharpness_interocular, interocular)
    factor = min(1.0, target / max(apart, 1e-6))
    side = max(16, round(window.image.shape[0] * factor))
    grey = cv2.cvtColor(window.image, cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    scale = side / window.image.shape[0]
    # The eyes and brows carry detail in every face, cheeks do not.
    points = landmarks[[70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 263, 374, 145, 33], :2] * scale
    mask = _filled(cv2.convexHull(points.astype(np.float32))[:, 0], grey.shape)
    if mask.sum() < 20:
        return 0.0
    fine = cv2.Laplacian(grey, cv2.CV_32F)
    return float(np.abs(fine[mask]).mean() / (4.0 * max(float(grey[mask].std()), 2.0)))


def _occlusions(window: Window, landmarks: np.ndarray, config: QualityConfig) -> tuple[str, ...]:
    lab = cv2.cvtColor(window.image.astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab)
    size = float(np.linalg.norm(landmarks[10, :2] - landmarks[152, :2]))
    skin = _patch(lab, landmarks, BETWEEN_BROWS, size)
    lower = _patch(lab, landmarks, LOWER_FACE, size)
    eyes = _patch(lab, landmarks, EYES, size * 0.4)
    if not (len(skin) and len(lower) and len(eyes)):
        return ()
    skin, lower = np.median(skin, axis=0), np.median(lower, axis=0)
    warnings = []
    if np.percentile(eyes[:, 0], 90) < config.dark_eyes * skin[0]:
        warnings.append("The eyes are very dark: sunglasses or deep shade? They will be painted on the head.")
    chroma, lower_chroma = float(np.linalg.norm(skin[1:])), float(np.linalg.norm(lower[1:]))
    # A beard is darker and duller than skin; a mask or a scarf has a hue of its own or is pale.
    coloured = float(np.linalg.norm(lower[1:] - skin[1:])) > config.strange_hue and lower_chroma > 0.7 * chroma
    pale = chroma > 8.0 and lower_chroma < config.pale * chroma and lower[0] > skin[0] - 8.0
    if coloured or pale:
        warnings.append("Mouth and chin look covered (a mask, a scarf, a hand?); what covers them will be painted on.")
    return tuple(warnings)


def _patch(lab: np.ndarray, landmarks: np.ndarray, indices: tuple[int, ...], size: float) -> np.ndarray:
    """Colours [N, 3] in small discs around mesh points."""
    mask = np.zeros(lab.shape[:2], np.uint8)
    for index in indices:
        cv2.circle(mask, (int(landmarks[index, 0]), int(landmarks[index, 1])), max(1, round(0.03 * size)), (1,), -1)
    return lab[mask > 0]


def _filled(polygon: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    canvas = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(canvas, [np.round(polygon).astype(np.int32)], (1,))
    return canvas > 0
