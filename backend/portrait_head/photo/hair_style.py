"""What kind of hair a head has, from its mask: none, cropped, a volume, or not to be told."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.photo.hair import crown_contrast
from portrait_head.photo.zones import FOREHEAD_TOP, MOUTH_HEIGHT, HeadZones


@dataclass(frozen=True)
class StyleConfig:
    """Lengths in face heights (about 17 cm), colours in deviations from the skin's."""

    bald_cover: float = 0.15  # share of the visible scalp
    cropped_thickness: float = 0.075  # about 13 mm beyond a bald skull
    cropped_fullest: float = 0.095  # nor more than this where it stands off most: a fringe may lie flat, a bob does not
    hanging: float = 0.05  # hair below the mouth over the face's area
    crown_seen: float = 0.5  # share of the crown that the photo must show
    skin_contrast: float = 2.0  # below it the top of the head has the skin's colour
    smooth: float = 1.6  # fine detail of the top of the head over that of the face: more is hair, not skin
    clear_beyond: float = 0.12  # thickness that is hair whatever its colour
    background_contrast: float = 7.0  # CIE Lab distance across the head's outline
    vague_outline: float = 0.05  # width of the outline's soft edge


@dataclass(frozen=True)
class HairEvidence:
    """What the style is judged by.

    Attributes:
        cover: share of the visible scalp that is hair.
        thickness: median distance of the hair's outline from the bald skull's, in face heights.
        fullest: the same distance that a fifth of the outline is beyond.
        hanging: hair below the mouth over the face's area.
        crown_seen: share of the crown within the photo.
        contrast: deviations of the crown's colour from the skin's.
        roughness: fine detail of the crown over that of the face.
        background: CIE Lab distance across the outline of the upper head.
        softness: width of the outline's uncertain edge, in face heights.
    """

    cover: float
    thickness: float
    fullest: float
    hanging: float
    crown_seen: float
    contrast: float
    roughness: float
    background: float
    softness: float


def judge_style(
    person: np.ndarray, hair: np.ndarray, zones: HeadZones, config: StyleConfig = StyleConfig()
) -> tuple[str, tuple[str, ...]]:
    """The style and the warnings that go with it.

    Args:
        person: [S, S] float32, 0 to 1.
        hair: [S, S] bool.
        zones: maps of the head.
        config: thresholds.
    """
    seen = hair_evidence(person, hair, zones)
    if seen.crown_seen < config.crown_seen:
        return "unknown", (
            "The photo cuts off the top of the head, so the hair is unknown; the head gets a plain scalp. "
            "Use a photo with some room above the hair.",
        )
    like_skin = seen.contrast < config.skin_contrast
    if seen.background < config.background_contrast and seen.softness > config.vague_outline:
        return "unknown", (
            "The hair cannot be told from the background; the head gets a plain scalp. "
            "Use a photo against a background of another colour.",
        )
    if like_skin and seen.thickness < config.clear_beyond:
        if seen.roughness < config.smooth:
            return "none", ()
        return "unknown", (
            "The hair cannot be told from the skin; the head gets a plain scalp. "
            "Use a photo in softer light with more contrast between hair and skin.",
        )
    if seen.cover < config.bald_cover and seen.hanging < config.hanging and seen.thickness < config.clear_beyond:
        return "none", ()
    flat = seen.thickness < config.cropped_thickness and seen.fullest < config.cropped_fullest
    if flat and seen.hanging < config.hanging:
        return "cropped", ()
    return "volume", ()


def hair_evidence(person: np.ndarray, hair: np.ndarray, zones: HeadZones) -> HairEvidence:
    """Measure the hair mask ([S, S] bool) of a head."""
    size = zones.shape.size
    above = (zones.height > FOREHEAD_TOP) & ~zones.oval
    crown = above & (zones.radius < 1.0)
    scalp = crown & zones.inside
    face = max(int(zones.oval.sum()), 1)
    thickness, fullest = _thickness(hair, zones)
    return HairEvidence(
        cover=_mean(hair[scalp]),
        thickness=thickness,
        fullest=fullest,
        hanging=float((hair & (zones.height < MOUTH_HEIGHT)).sum()) / face,
        crown_seen=_mean(zones.valid[crown]) if crown.any() else 0.0,
        contrast=crown_contrast(zones),
        roughness=_roughness(zones, scalp),
        background=_background_contrast(zones),
        softness=_softness(person, zones, size),
    )


def _thickness(hair: np.ndarray, zones: HeadZones) -> tuple[float, float]:
    """Median and 80th percentile over rays of the upper head: how far hair reaches beyond the skull, face heights."""
    angles = np.radians(np.linspace(-70.0, 70.0, 57))
    directions = np.cos(angles)[:, None] * zones.shape.up + np.sin(angles)[:, None] * zones.shape.across
    steps = np.arange(0.0, 1.2, 0.01) * zones.shape.size
    points = zones.shape.skull_centre + directions[:, None] * steps[:, None]
    columns, rows = np.moveaxis(np.floor(points).astype(int), -1, 0)
    side = hair.shape[0]
    within = (columns >= 0) & (rows >= 0) & (columns < side) & (rows < side)
    columns, rows = columns.clip(0, side - 1), rows.clip(0, side - 1)
    beyond = within & hair[rows, columns] & (zones.radius[rows, columns] > 1.0)
    shown = (within & zones.valid[rows, columns] & (zones.radius[rows, columns] > 1.2)).any(axis=1)
    lengths = beyond.sum(axis=1) * 0.01
    if not shown.any():
        return 0.0, 0.0
    return float(np.median(lengths[shown])), float(np.percentile(lengths[shown], 80))


def _roughness(zones: HeadZones, scalp: np.ndarray) -> float:
    """Fine detail of the scalp's lightness over that of cheeks and forehead; strands are rough, bare skin is not."""
    lightness = zones.lab[..., 0]
    fine = np.abs(lightness - cv2.GaussianBlur(lightness, (0, 0), max(1.0, 0.015 * zones.shape.size)))
    inner = cv2.erode(scalp.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    landmarks = zones.shape.landmarks[:, :2]
    face = np.zeros_like(scalp)
    for index in (50, 280, 151):  # both cheeks and the forehead
        patch = np.zeros(scalp.shape, np.uint8)
        centre = (int(landmarks[index, 0]), int(landmarks[index, 1]))
        cv2.circle(patch, centre, max(2, round(0.08 * zones.shape.size)), (1,), -1)
        face |= patch > 0
    face &= zones.valid
    if not inner.any() or not face.any():
        return 0.0
    return float(np.median(fine[inner]) / max(float(np.median(fine[face])), 0.15))


def _background_contrast(zones: HeadZones) -> float:
    """Median CIE Lab distance between the pixels just inside and just outside the upper head's outline."""
    gap = max(2, round(0.03 * zones.shape.size))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * gap + 1, 2 * gap + 1))
    mask = zones.inside.astype(np.uint8)
    inner, outer = cv2.erode(mask, kernel), cv2.dilate(mask, kernel)
    contours = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    smooth = cv2.GaussianBlur(zones.lab, (0, 0), gap / 2)
    side = mask.shape[0]
    contrasts = []
    for contour in contours:
        for x, y in contour[::3, 0]:
            if zones.height[y, x] < FOREHEAD_TOP or not zones.valid[y, x] or zones.radius[y, x] > 2.4:
                continue
            low, high = (max(0, y - 2 * gap), max(0, x - 2 * gap)), (min(side, y + 2 * gap), min(side, x + 2 * gap))
            block = np.s_[low[0] : high[0], low[1] : high[1]]
            within, without = inner[block] > 0, (outer[block] == 0) & zones.valid[block]
            if within.any() and without.any():
                colours = smooth[block]
                contrasts.append(np.linalg.norm(colours[within].mean(axis=0) - colours[without].mean(axis=0)))
    return float(np.median(contrasts)) if contrasts else 0.0


def _softness(person: np.ndarray, zones: HeadZones, size: float) -> float:
    """Width of the band in which the upper head's outline is uncertain, in face heights."""
    upper = zones.valid & (zones.height > FOREHEAD_TOP) & (zones.radius < 2.4)
    band = upper & (person > 0.15) & (person < 0.85)
    edge = upper & (cv2.morphologyEx(zones.inside.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0)
    # The gradient marks the outline two pixels wide.
    return float(band.sum()) / max(float(edge.sum()) / 2.0, 1.0) / size


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else 0.0
