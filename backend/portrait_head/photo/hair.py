"""Scalp hair and bare skin of one head: geometry seeds, colour decides between the seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.photo.faces import head_pose
from portrait_head.photo.zones import EYES_HEIGHT, FOREHEAD_TOP, MOUTH_HEIGHT, ColourModel, HeadZones

OUTSIDE, UNKNOWN, SKIN, HAIR, OTHER = range(5)


@dataclass(frozen=True)
class HairConfig:
    """Lengths in face heights, colours in deviations from the skin's. Judged by eye on nine faces of four photos."""

    iterations: int = 3
    beyond_skull: float = 1.08  # skull radii: person out here, above the eyes, is hair or a hat
    rim: float = 0.015  # seeds of hair keep this far from the person's outline
    seed_reach: float = 1.7  # skull radii: no seed further out
    reach: float = 2.4  # skull radii: above the mouth nothing further out is this person's hair
    reach_beside: float = 1.0  # and below the mouth nothing further from the head's axis
    reach_below: float = 1.2  # nor further below the face's middle
    skin_distance: float = 2.2  # within it a colour passes for skin
    hair_distance: float = 3.0  # beyond it a colour on the scalp passes for hair
    like_hair: float = 2.0  # within it a colour beside the face passes for the hair on top
    unlike_hair: float = 4.0  # beyond it a colour off the skull is not this hair
    ear: float = 0.145  # how far an ear stands out from the face's oval
    hang_height: float = -0.45  # down to here, nearly the chin, what hangs beside the face is no shoulder
    temple_height: float = 0.3  # hair over the ears ends here, above begins the forehead
    strand_gap: float = 0.06  # a gap of this much between head and hair parts them
    neck_below: float = 0.9  # bare skin of the neck reaches this far below the face's middle
    neck_beside: float = 0.45
    ears_beside: float = 0.65
    neck_distance: float = 3.0  # the neck lies in the chin's shade
    face_edge: float = 0.05  # hair is sure only this far from the face's oval: a turned forehead bulges over it
    curtain: float = 0.5  # share of the place beside the jaw that is filled where long hair hangs over the ear
    beside_jaw: tuple[float, float] = (0.03, 0.07)  # that place, from the face's oval outwards
    curtain_yaw: float = 20.0  # degrees; in a head turned further the neck fills that place


def split_hair(image: np.ndarray, zones: HeadZones, config: HairConfig = HairConfig()) -> tuple[np.ndarray, np.ndarray]:
    """Split the person in `image` ([S, S, 3] uint8): (scalp hair, bare skin), each [S, S] bool."""
    seeds = _seeds(zones, config)
    hair = _cut(image, seeds, config) & ~zones.bare
    solid = hair | zones.oval | (zones.radius < 1.0)
    hair &= (zones.height < MOUTH_HEIGHT) | _reached(solid, zones, config)
    if hair.any():
        # Background that the person's mask let in.
        strange = ColourModel.of(zones.lab, hair).distance(zones.lab) > config.unlike_hair
        hair &= ~(strange & (zones.radius > 1.0))
    # Hair at the shoulders hangs together with hair on top; a neighbour's sleeve does not.
    hair = _attached(hair, (seeds == HAIR) & (zones.height > EYES_HEIGHT))
    reach = np.where(zones.height > MOUTH_HEIGHT, config.ears_beside, config.neck_beside)
    near = (zones.height > -config.neck_below) & (np.abs(zones.across) < reach)
    shaded = np.where(zones.height > MOUTH_HEIGHT, config.skin_distance, config.neck_distance)
    skin = zones.inside & ~hair & (zones.oval | (near & (zones.skinlike < shaded)))
    return hair, _attached(skin, zones.oval | zones.bare)


def _seeds(zones: HeadZones, config: HairConfig) -> np.ndarray:
    """[S, S] uint8: what each pixel surely is."""
    inside, height, radius = zones.inside, zones.height, zones.radius
    seeds = np.full(inside.shape, UNKNOWN, np.uint8)
    seeds[inside & zones.oval & (height < FOREHEAD_TOP) & (zones.skinlike < config.skin_distance)] = SKIN
    seeds[inside & zones.bare] = SKIN
    # The outline is not exact to the pixel, and what lies just outside must not teach the colours.
    rim = max(1, round(config.rim * zones.shape.size))
    sure = cv2.erode(inside.astype(np.uint8), np.ones((2 * rim + 1, 2 * rim + 1), np.uint8), borderValue=(1,)) > 0
    upper = sure & (height > EYES_HEIGHT) & ~zones.oval & (radius < config.seed_reach)
    clear = cv2.distanceTransform((~zones.oval).astype(np.uint8), cv2.DIST_L2, 5) / zones.shape.size
    beyond = upper & (radius > config.beyond_skull) & (clear > config.face_edge)
    crown = crown_contrast(zones)
    distinct = crown > config.hair_distance
    if distinct:
        # Hair unlike skin: what is out there but like skin is a hand, an ear or a neighbour.
        beyond &= zones.skinlike > config.skin_distance
    seeds[beyond] = HAIR
    # Light hair cut short is little unlike skin: what is as unlike it as most of the crown will do.
    least = config.hair_distance if distinct or crown < config.skin_distance else crown
    seeds[upper & (height > FOREHEAD_TOP) & (zones.skinlike > least)] = HAIR
    seeds = _beside(seeds, clear, zones, config)
    if not distinct:
        # Long hair of the skin's colour covers the ears: all between it and the face is hair.
        temples = inside & ~zones.oval & (height > MOUTH_HEIGHT) & (height < config.temple_height)
        seeds[temples & (_covered(seeds == HAIR, zones) | _curtained(clear, zones, config))] = HAIR
    far = np.where(height > MOUTH_HEIGHT, radius > config.reach, np.abs(zones.across) > config.reach_beside)
    seeds[inside & (far | (height < -config.reach_below))] = OTHER
    seeds[~inside] = OUTSIDE
    return seeds


def crown_contrast(zones: HeadZones) -> float:
    """How unlike skin the top of the head is: median deviations, 0 where the photo does not show it."""
    crown = zones.inside & (zones.height > FOREHEAD_TOP) & ~zones.oval & (zones.radius < 1.5)
    return float(np.median(zones.skin_distance[crown])) if crown.any() else 0.0


def _beside(seeds: np.ndarray, clear: np.ndarray, zones: HeadZones, config: HairConfig) -> np.ndarray:
    """Seeds with hair that hangs beside the face, beyond the ears and coloured like the hair on top."""
    if not (seeds == HAIR).any():
        return seeds
    hair_colour = ColourModel.of(zones.lab, seeds == HAIR)
    level = (zones.height > config.hang_height) & (zones.height < EYES_HEIGHT) & (np.abs(zones.across) < 0.9)
    like = hair_colour.distance(zones.lab) < config.like_hair
    return np.where(zones.inside & (clear > config.ear) & level & like, HAIR, seeds).astype(np.uint8)


def _covered(seeds: np.ndarray, zones: HeadZones) -> np.ndarray:
    """Where a ray out of the head still meets a seed ([S, S] bool) further out."""
    polar, back = _polar(zones)
    ahead = np.cumsum(polar(seeds)[:, ::-1] > 0.5, axis=1)[:, ::-1] > 0
    return back(ahead)


def _curtained(clear: np.ndarray, zones: HeadZones, config: HairConfig) -> np.ndarray:
    """The sides of the head on which something hangs beside the jaw: [S, S] bool."""
    sides = np.zeros(clear.shape, bool)
    if abs(head_pose(zones.shape.landmarks).yaw) > config.curtain_yaw:
        return sides
    level = (zones.height > MOUTH_HEIGHT - 0.1) & (zones.height < MOUTH_HEIGHT + 0.05)
    place = level & (clear > config.beside_jaw[0]) & (clear < config.beside_jaw[1]) & ~zones.bare
    for side in (zones.across > 0, zones.across <= 0):
        if (place & side).any() and zones.inside[place & side].mean() > config.curtain:
            sides |= side
    return sides


def _reached(solid: np.ndarray, zones: HeadZones, config: HairConfig) -> np.ndarray:
    """Where a ray out of the head gets without leaving `solid` ([S, S] bool) for long."""
    polar, back = _polar(zones)
    length = float(np.hypot(solid.shape[0], solid.shape[1]))
    outside = (polar(solid) < 0.5) & (polar(zones.radius < 1.0) < 0.5)
    gap = np.cumsum(outside, axis=1) * (length / outside.shape[1])
    return back(gap < config.strand_gap * zones.shape.size)


def _polar(
    zones: HeadZones,
) -> tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]:
    """Two maps: a [S, S] mask to (ray, distance) about the skull's centre, float32, and a mask over those back."""
    side = zones.inside.shape[0]
    size = (2 * side, 720)
    length = float(np.hypot(side, side))
    centre = (float(zones.shape.skull_centre[0]), float(zones.shape.skull_centre[1]))

    def forth(mask: np.ndarray) -> np.ndarray:
        # Without the flag, what lies beyond the picture is whatever the memory held.
        flags = cv2.INTER_LINEAR | cv2.WARP_FILL_OUTLIERS
        return cv2.warpPolar(mask.astype(np.float32), size, centre, length, flags)

    def back(mask: np.ndarray) -> np.ndarray:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP | cv2.WARP_FILL_OUTLIERS
        return cv2.warpPolar(mask.astype(np.float32), (side, side), centre, length, flags) > 0.5

    return forth, back


def _cut(image: np.ndarray, seeds: np.ndarray, config: HairConfig) -> np.ndarray:
    """GrabCut from the seeds: [S, S] bool, hair."""
    hair = np.zeros(seeds.shape, bool)
    if not (seeds == HAIR).any() or not (seeds == SKIN).any():
        return hair
    # Only around the head: the rest is decided and would cost time.
    rows, columns = np.nonzero((seeds == HAIR) | (seeds == SKIN) | (seeds == UNKNOWN))
    margin = 8
    block = np.s_[
        max(0, rows.min() - margin) : rows.max() + 1 + margin,
        max(0, columns.min() - margin) : columns.max() + 1 + margin,
    ]
    part = seeds[block]
    picture = cv2.cvtColor(np.ascontiguousarray(image[block]), cv2.COLOR_RGB2Lab)
    # Pixels outside the person have a colour of their own, so that the background does not teach the models.
    picture[part == OUTSIDE] = (128, 0, 0)
    labels = np.full(part.shape, cv2.GC_PR_BGD, np.uint8)
    labels[(part == SKIN) | (part == OTHER) | (part == OUTSIDE)] = cv2.GC_BGD
    labels[part == HAIR] = cv2.GC_FGD
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(picture, labels, (0, 0, 1, 1), *models, config.iterations, cv2.GC_INIT_WITH_MASK)
    hair[block] = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return hair


def _attached(hair: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Hair that hangs together with a seed."""
    labels = cv2.connectedComponents(hair.astype(np.uint8), connectivity=8)[1]
    kept = np.unique(labels[seeds & hair])
    return np.isin(labels, kept[kept > 0])
