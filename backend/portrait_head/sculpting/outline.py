"""Where the photo shows the edge of this head, and where that can be believed."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.rendering.camera import PinholeCamera
from portrait_head.sculpting.edges import BAND, to_edges

SURE = 0.5  # of a mask
REACH = 0.010  # metres beyond the bare head's outline where a person without hair is still this head
CLOSE = 0.004  # metres: what is nobody's hair or skin this close to the outline is taken for the head's edge
UNDER_CHIN = 0.012  # metres under the chin's tip where outlines of hair alone are believed
FREE = 0.006  # metres beside the bare head where there is neither hair nor person
LEAST_FACE = 0.6  # share of the face that the person's mask must hold to be of this person
MOST_UNKNOWN = 0.12  # of the bare head's area: more that is neither hair nor skin over the brows covers the head
EDGE = 3  # pixels from the photo's border


@dataclass(frozen=True)
class Outline:
    """A mask of the head in the photo and how far it is to be believed, in the pixels of the portrait.

    Attributes:
        mask: [S, S] float32, 0 to 1, the head with its hair.
        trust: [S, S] float32, 0 to 1.
        warnings: sentences for the user.
    """

    mask: np.ndarray
    trust: np.ndarray
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Masks:
    """The portrait's masks [S, S]: person, skin float 0 to 1; hair (this head's) and valid bool.

    `hair_wanted` is False where hair is no part of the head to make.
    """

    person: np.ndarray
    hair: np.ndarray
    skin: np.ndarray
    valid: np.ndarray
    hair_wanted: bool


def head_outline(
    masks: Masks, image: np.ndarray, camera: PinholeCamera, head: np.ndarray, chin: float, brow: float
) -> Outline:
    """Where the photo shows the edge of this head.

    Args:
        masks: of the portrait.
        image: [S, S, 3] uint8.
        camera: from head space to the masks' pixels.
        head: [S, S] bool, what the bare head covers.
        chin: height of the chin's tip, metres in head space.
        brow: height of the brows.
    """
    metres = float(np.linalg.norm(camera.position)) / camera.focal  # a pixel's, at the head's distance
    beyond = cv2.distanceTransform((~head).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * metres
    edge, edge_trust = to_edges(masks.person, image, metres)
    person, skin = edge > SURE, masks.skin > SURE
    height = _height(camera)
    face = head & (height > chin) & (height < brow) & masks.valid
    if not face.any() or person[face].mean() < LEAST_FACE:
        warning = "The mask of the person misses the face: the outline of the head is a guess."
        return Outline(head.astype(np.float32), np.zeros(head.shape, np.float32), (warning,))

    hair = masks.hair
    close = beyond < REACH
    by_hair = _distance(~hair) * metres < BAND
    soft = edge * ((by_hair | close) if masks.hair_wanted else (close & ~hair))
    # Neither hair nor skin: a hat, a hand's sleeve, somebody else. Skin far from the head: a hand.
    unknown = person & ~hair & np.where(skin, beyond > REACH, beyond > CLOSE)
    if masks.hair_wanted:
        unknown &= ~by_hair | skin
    # An arm or a collar that touches the head hides where the head ends.
    trust = masks.valid & ~((_distance(~unknown) * metres < REACH) & ~head)
    trust &= _distance(np.pad(masks.valid, 1))[1:-1, 1:-1] > EDGE
    low = height < chin - UNDER_CHIN
    trust &= ~low | hair | (~person & (beyond > FREE))
    if not masks.hair_wanted:
        trust &= ~hair
    warnings = []
    if (unknown & (height > brow) & (beyond < 0.08)).sum() > MOST_UNKNOWN * (head & (height > chin)).sum():
        warnings.append(
            "Something that is neither hair nor skin covers the head, perhaps a hat: what is under it is a guess."
        )
    at_border = masks.hair & (_distance(np.pad(masks.valid, 1))[1:-1, 1:-1] <= EDGE)
    if masks.hair_wanted and at_border.sum() * metres > 0.02 * EDGE:
        warnings.append("The hair leaves the picture: how it goes on is a guess.")
    return Outline(soft.astype(np.float32), (trust * edge_trust).astype(np.float32), tuple(warnings))


def _height(camera: PinholeCamera) -> np.ndarray:
    """[H, W] metres: how high each pixel's ray meets the plane through the head joint that faces the camera."""
    column, row = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = camera.rays(np.stack([column, row], axis=-1))
    forward = -camera.rotation[2]
    distance = -(camera.position @ forward) / (rays @ forward)
    return camera.position[1] + distance * rays[..., 1]


def _distance(mask: np.ndarray) -> np.ndarray:
    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
