"""Parts of the face in the photo, outlined by MediaPipe's landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.texturing.bridging import broad_part
from portrait_head.texturing.strands import hair_over_face

# Indices of MediaPipe's 478-point face mesh (its published connection lists), in order round each outline.
FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150,
    136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
LIPS_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
LIPS_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
EYE_RIGHT = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
EYE_LEFT = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
BROW_RIGHT = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
BROW_LEFT = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
UPPER_LIP_SKIN = (98, 97, 2, 326, 327, 423, 322, 410, 270, 269, 267, 0, 37, 39, 40, 186, 92, 203)
NOSTRILS = (98, 97, 2, 326, 327, 278, 4, 48)
IRIS_RIGHT = (468, 469, 470, 471, 472)  # the centre first
IRIS_LEFT = (473, 474, 475, 476, 477)

_SUBPIXEL_BITS = 4


def polygon(landmarks: np.ndarray, outline: tuple[int, ...], shape: tuple[int, ...], grow: float = 0.0) -> np.ndarray:
    """Mask [H, W] uint8 (0 or 255) of the area inside an outline of landmarks [478, 3], grown by `grow` pixels."""
    mask = np.zeros(shape[:2], np.uint8)
    points = np.rint((landmarks[list(outline), :2] - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(mask, [points], (255,), lineType=8, shift=_SUBPIXEL_BITS)
    if grow > 0:
        mask = cv2.dilate(mask, disc(grow))
    elif grow < 0:
        mask = cv2.erode(mask, disc(-grow))
    return mask


def disc(radius: float) -> np.ndarray:
    """A round structuring element of that radius in pixels."""
    side = 2 * max(round(radius), 0) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def interocular(landmarks: np.ndarray) -> float:
    """Pixels between the centres of the irises."""
    return float(np.linalg.norm(landmarks[IRIS_LEFT[0], :2] - landmarks[IRIS_RIGHT[0], :2]))


@dataclass(frozen=True)
class PhotoView:
    """What the texture stage takes from the portrait; see `stages.portrait.Portrait` for the fields.

    Attributes:
        image: [S, S, 3] uint8 sRGB.
        valid: [S, S] bool.
        landmarks: [478, 3] pixels.
        person, hair, skin: [S, S] float32, 0 to 1.
        occluder: [S, S] bool, what stands before the face; where it is thin, `image` is bridged already.
    """

    image: np.ndarray
    valid: np.ndarray
    landmarks: np.ndarray
    person: np.ndarray
    hair: np.ndarray
    skin: np.ndarray
    occluder: np.ndarray


@dataclass(frozen=True)
class PhotoMasks:
    """Which pixels may be painted on what, [S, S] float32, 0 to 1, with soft borders that stay inside.

    Attributes:
        surface: skin of any kind with brows, lips and beard; without eyes, teeth, hair and clothes.
        bare: the part of it without brows, lips and nostrils, but with beard and shadow, to compare the two sides.
        plain: the part of it that is nothing but skin, to measure light and tone on.
        folded: the plain part and the skin between nose and lip, which a smile folds and shades.
        hair: scalp hair.
        lips: their red, with a hard border.
        reddened: lips and mouth with what of their red a JPEG has spread around them.
        face: the face oval, hair excluded; where the likeness is measured.
    """

    surface: np.ndarray
    bare: np.ndarray
    plain: np.ndarray
    folded: np.ndarray
    hair: np.ndarray
    lips: np.ndarray
    reddened: np.ndarray
    face: np.ndarray


@dataclass(frozen=True)
class MaskConfig:
    """Lengths in shares of the inter-ocular distance."""

    feather: float = 0.05
    hair_feather: float = 0.16  # skin gets darker towards the hair over this distance
    hair_margin: float = 0.06  # a hair mask's edge pixels are half skin
    hair_rim: float = 0.035  # the outermost hair shows skin or background between the strands
    hair_shadow: float = 0.22  # how far hair throws a shadow
    brow_margin: float = 0.015  # of the brows proper, which are as dark as the shadow of hair but belong to the face
    shadow_darkness: float = 9.0  # Lab, under the skin's median: what counts as that shadow
    stranger: float = 16.0  # Lab, colour distance (lightness at half weight) that is no longer this person's skin
    forehead: float = 0.5  # above the outline of the landmarks, which ends well below the hair
    oval_margin: float = 0.05  # landmarks of the outline wander by this much
    lid_margin: float = 0.012
    lip_margin: float = 0.02
    feature_margin: float = 0.06
    lip_surround: float = 0.03
    lip_bleed: float = 0.045  # colour is stored at half the size, and the landmarks wander
    tooth_reach: float = 0.08  # how far from the inner lip line teeth may show
    tooth_lightness: float = 14.0  # Lab, over the lips' median
    tooth_redness: float = 6.0  # Lab, under the lips' median
    gap_darkness: float = 25.0  # Lab, under the lips' median


def photo_masks(view: PhotoView, config: MaskConfig = MaskConfig()) -> PhotoMasks:
    """Masks of a portrait."""
    shape, marks = view.image.shape[:2], view.landmarks
    unit = interocular(marks)
    oval = polygon(marks, FACE_OVAL, shape) > 0
    inner_oval = polygon(marks, FACE_OVAL, shape, -config.oval_margin * unit) > 0
    hair = view.hair > 0.5
    face = _whole_face(marks, shape, config.forehead * unit) | oval
    covered = hair | (hair_over_face(view.image, marks, face, view.person, view.hair, view.skin) > 0.5)
    near_hair = cv2.dilate(covered.astype(np.uint8), disc(config.hair_margin * unit)) > 0
    inside = view.valid & (view.person > 0.5)
    eyes = np.zeros(shape, bool)
    for outline in (EYE_LEFT, EYE_RIGHT):
        eyes |= polygon(marks, outline, shape, config.lid_margin * unit) > 0
    teeth = _between_lips(view.image, marks, unit, config)
    skin = view.skin > 0.5
    brows, around_brows = np.zeros(shape, bool), np.zeros(shape, bool)
    for outline in (BROW_LEFT, BROW_RIGHT):
        brows |= polygon(marks, outline, shape, config.brow_margin * unit) > 0
        around_brows |= polygon(marks, outline, shape, config.feature_margin * unit) > 0
    away, shaded = _colour_tests(view.image, skin & inner_oval & ~near_hair, covered, unit, config)
    over = covered | ((near_hair | shaded) & ~brows)
    surface = inside & (inner_oval | (skin & (face | ~away))) & ~over & ~eyes & ~teeth
    surface &= ~broad_part(view.occluder, unit)
    lips = (polygon(marks, LIPS_OUTER, shape, -config.lip_margin * unit) > 0) & ~teeth & inside & ~view.occluder
    features = eyes | around_brows | (polygon(marks, LIPS_OUTER, shape, config.lip_surround * unit) > 0)
    features |= polygon(marks, NOSTRILS, shape, config.feature_margin * unit / 2) > 0
    plain = surface & ~features & skin & ~view.occluder
    above_lips = (polygon(marks, UPPER_LIP_SKIN, shape) > 0) & ~(polygon(marks, LIPS_OUTER, shape) > 0)
    if plain.sum() < 0.02 * max(oval.sum(), 1):  # a skin mask that found nothing: the oval has to do
        plain = surface & ~features & inner_oval & ~view.occluder
    radius = config.feather * unit
    from_hair = _feathered(~covered, (config.hair_margin + config.hair_feather) * unit)
    return PhotoMasks(
        surface=_feathered(surface, radius) * np.where(brows, 1.0, from_hair).astype(np.float32),
        bare=_feathered(surface & ~features & ~view.occluder, radius) * from_hair,
        plain=_feathered(plain, radius) * from_hair,
        folded=_feathered(plain | (surface & above_lips & ~view.occluder), radius) * from_hair,
        hair=_feathered(cv2.erode((hair & inside).astype(np.uint8), disc(config.hair_rim * unit)) > 0, radius),
        lips=_feathered(lips, 1.0),
        reddened=(polygon(marks, LIPS_OUTER, shape, config.lip_bleed * unit) > 0).astype(np.float32),
        face=(oval & inside & ~near_hair & ~view.occluder).astype(np.float32),
    )


def _whole_face(marks: np.ndarray, shape: tuple[int, ...], forehead: float) -> np.ndarray:
    """[H, W] bool: round all landmarks, with as much above them as a forehead has. Shine there is skin all the same."""
    points = marks[:468, :2]
    up = points[10] - points[152]
    lifted = points[list(FACE_OVAL)] + forehead * up / max(float(np.linalg.norm(up)), 1e-6)
    hull = cv2.convexHull(np.rint(np.concatenate([points, lifted])).astype(np.int32))
    mask = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(mask, hull, (1,))
    return mask > 0


def _colour_tests(
    image: np.ndarray, sure: np.ndarray, hair: np.ndarray, unit: float, config: MaskConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels whose colour is not that of the `sure` skin, and pixels near the hair that lie in its shadow."""
    if sure.sum() < 50:
        return np.zeros(sure.shape, bool), np.zeros(sure.shape, bool)
    lab = cv2.cvtColor(cv2.GaussianBlur(image, (0, 0), 1.5).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    difference = lab - np.median(lab[sure], axis=0)
    difference[..., 0] *= 0.5
    away = np.linalg.norm(difference, axis=-1) > config.stranger
    near = cv2.dilate(hair.astype(np.uint8), disc(config.hair_shadow * unit)) > 0
    return away, near & (difference[..., 0] * 2 < -config.shadow_darkness)


def _between_lips(image: np.ndarray, marks: np.ndarray, unit: float, config: MaskConfig) -> np.ndarray:
    """Pixels that are teeth, tongue or the dark of the mouth: inside the inner lip line, or near it and so coloured."""
    shape = image.shape[:2]
    opening = polygon(marks, LIPS_INNER, shape, config.lip_margin * unit) > 0
    lips = (polygon(marks, LIPS_OUTER, shape) > 0) & ~opening
    near = (polygon(marks, LIPS_INNER, shape, config.tooth_reach * unit) > 0) & (
        polygon(marks, LIPS_OUTER, shape, config.lip_margin * unit) > 0
    )
    if lips.sum() < 20:
        return opening
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lightness, redness = lab[..., 0], lab[..., 1]
    usual_light, usual_red = np.median(lightness[lips]), np.median(redness[lips])
    tooth = (lightness > usual_light + config.tooth_lightness) & (redness < usual_red - config.tooth_redness)
    gap = lightness < usual_light - config.gap_darkness
    return opening | (near & (tooth | gap))


def _feathered(mask: np.ndarray, radius: float) -> np.ndarray:
    """A binary mask with a soft border of that width on its inner side."""
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    t = np.clip((distance - 0.5) / max(radius, 1.0), 0.0, 1.0)
    return (t * t * (3 - 2 * t)).astype(np.float32)
