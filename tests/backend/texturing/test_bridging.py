"""What is thin before the skin is painted over as its sides go on; what is broad is left to the completion."""

from __future__ import annotations

import cv2
import numpy as np
from portrait_head.texturing.bridging import bridged, broad_part

UNIT = 100.0  # pixels between the pupils
ROW, COLUMN = np.mgrid[:200, :240].astype(np.float32)
SKIN = np.stack([200 - 0.15 * ROW, 150 + 0.1 * COLUMN, 120 + 0.1 * ROW], axis=-1)


def with_rim(radius: float, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Skin under even light with a black ring of that radius and width, and the ring's mask."""
    ring = np.zeros(SKIN.shape[:2], np.uint8)
    cv2.circle(ring, (120, 100), round(radius), (1,), width)
    picture = np.rint(SKIN).astype(np.uint8)
    picture[ring > 0] = 20
    return picture, ring > 0


def test_skin_goes_on_behind_a_rim():
    picture, ring = with_rim(40, 7)
    found = bridged(picture, ring, UNIT).astype(np.float32)
    assert np.abs(found - SKIN)[ring].max() < 8  # of 180 that the ring was darker
    assert np.abs(found - SKIN)[ring].mean() < 2
    far = cv2.distanceTransform((~ring).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) > 10
    assert (found[far] == picture[far]).all()


def test_a_brow_behind_a_rim_goes_on():
    picture, ring = with_rim(40, 7)
    picture[(np.abs(ROW - 60) < 5) & (COLUMN < 160)] = 60, 40, 30  # crosses the ring near its top
    picture[ring] = 20
    crossing = ring & (np.abs(ROW - 61) < 3) & (COLUMN < 120)
    assert crossing.any()
    found = bridged(picture, ring, UNIT)
    assert found[crossing].mean() < 100  # skin here is 150


def test_nothing_before_the_face_changes_nothing():
    picture = with_rim(40, 7)[0]
    assert bridged(picture, np.zeros(ROW.shape, bool), UNIT) is picture


def test_a_finger_is_not_bridged():
    finger = np.zeros(ROW.shape, np.uint8)
    cv2.line(finger, (120, 40), (120, 160), (1,), 40)
    ring = with_rim(90, 7)[1]
    broad = broad_part((finger > 0) | ring, UNIT)
    assert broad[finger > 0].mean() > 0.97
    assert not broad[ring & (finger == 0)].any()
    picture = np.rint(SKIN).astype(np.uint8)
    picture[finger > 0] = 20
    assert (bridged(picture, finger > 0, UNIT)[broad] == picture[broad]).mean() > 0.9
