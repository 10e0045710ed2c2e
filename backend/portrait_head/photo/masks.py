"""Person, hair and skin of one head, soft-edged, and what kind of hair it is.

Colour alone turns highlighted foreheads into hair, so geometry places the seeds: what lies beyond a bald skull's
outline above the eyes is hair, the inside of the face oval below the brows is not. Colour then moves the border.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from portrait_head.photo.guided_filter import guided_filter
from portrait_head.photo.hair import HairConfig, split_hair
from portrait_head.photo.hair_style import StyleConfig, judge_style
from portrait_head.photo.head_shape import HeadShape, head_shape
from portrait_head.photo.person import PersonConfig, person_mask
from portrait_head.photo.zones import head_zones


@dataclass(frozen=True)
class MaskConfig:
    """Sizes of the work on masks."""

    work_size: float = 120.0  # face height in pixels at which the masks are computed
    edge_radius: float = 0.02  # of the face height: how far the soft edge follows the picture
    edge_smoothness: float = 1e-4  # guided filter, squared colour units of 0 to 1
    person_sure: float = 0.6  # above it a pixel counts as the person where hair is sought
    person: PersonConfig = field(default_factory=PersonConfig)
    hair: HairConfig = field(default_factory=HairConfig)
    style: StyleConfig = field(default_factory=StyleConfig)


@dataclass(frozen=True)
class Masks:
    """What is where in a head's window.

    Attributes:
        person: [S, S] float32, 0 to 1.
        hair: [S, S] float32, 0 to 1, scalp hair; where the style is "unknown" only what may be hair.
        skin: [S, S] float32, 0 to 1, bare skin of face, ears and neck.
        hair_style: "none", "cropped", "volume" or "unknown".
        warnings: sentences for the user.
    """

    person: np.ndarray
    hair: np.ndarray
    skin: np.ndarray
    hair_style: str
    warnings: tuple[str, ...] = ()


def head_masks(
    image: np.ndarray,
    valid: np.ndarray,
    landmarks: np.ndarray,
    others: tuple[np.ndarray, ...] = (),
    config: MaskConfig = MaskConfig(),
) -> Masks:
    """Masks of the head with `landmarks` in its window.

    Args:
        image: [S, S, 3] uint8 sRGB.
        valid: [S, S] bool, False beyond the photo.
        landmarks: [478, 3] pixels of `image`.
        others: landmarks [478, 3] of the other faces in the photo, same pixels.
        config: sizes and thresholds.
    """
    side = image.shape[0]
    full = head_shape(landmarks)
    work_side = min(side, max(64, round(side * config.work_size / full.size)))
    factor = work_side / side
    small = cv2.resize(image, (work_side, work_side), interpolation=cv2.INTER_AREA)
    small_valid = cv2.resize(valid.astype(np.uint8), (work_side, work_side), interpolation=cv2.INTER_AREA) > 0
    shape = head_shape(landmarks * factor)
    person = person_mask(small, small_valid, shape, tuple(other * factor for other in others), config.person)
    zones = head_zones(small, small_valid, person, shape, config.person_sure)
    hair, skin = split_hair(small, zones, config.hair)
    style, warnings = judge_style(person, hair, zones, config.style)
    return Masks(
        person=_soften(person, image, valid, full, config),
        hair=_soften(hair, image, valid, full, config),
        skin=_soften(skin, image, valid, full, config),
        hair_style=style,
        warnings=warnings,
    )


def _soften(mask: np.ndarray, image: np.ndarray, valid: np.ndarray, shape: HeadShape, config: MaskConfig) -> np.ndarray:
    """A small mask at the window's size, its edge drawn to the picture's edges."""
    side = image.shape[0]
    large = cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    guide = image.astype(np.float32) / 255.0
    radius = max(2, round(shape.size * config.edge_radius))
    soft = guided_filter(guide, large, radius, config.edge_smoothness)
    return (np.clip(soft, 0.0, 1.0) * valid).astype(np.float32)
