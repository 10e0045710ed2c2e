"""The window holds the head, knows what lies beyond the photo, and maps back to photo pixels exactly."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from portrait_head.photo.faces import find_faces
from portrait_head.photo.window import WindowConfig, head_window

from tests.backend.photo.pictures import astronaut


@pytest.fixture(scope="module")
def landmarks() -> np.ndarray:
    return find_faces(astronaut())[0].landmarks


def test_window_is_square_and_of_the_promised_size(landmarks: np.ndarray) -> None:
    window = head_window(astronaut(), landmarks)
    side = window.image.shape[0]
    assert window.image.shape == (side, side, 3)
    assert 512 <= side <= 1280
    inside = window.from_photo(landmarks)
    assert 105 <= np.linalg.norm(inside[473] - inside[468]) <= 165
    assert inside[:, :2].min() > 0.2 * side
    assert inside[:, :2].max() < 0.8 * side


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0])
def test_placement_maps_window_pixels_to_the_photo(scale: float, landmarks: np.ndarray) -> None:
    """A smooth picture sampled through the placement equals the window."""
    rows, columns = np.mgrid[0 : int(512 * scale), 0 : int(512 * scale)] + 0.5
    photo = np.stack([columns / (2 * scale), rows / (2 * scale), 0 * rows], axis=-1).astype(np.uint8)
    window = head_window(photo, landmarks * scale)
    x0, y0, step = window.placement
    side = window.image.shape[0]
    j, i = np.mgrid[0:side, 0:side] + 0.5
    expected = np.stack([(i * step + x0) / (2 * scale), (j * step + y0) / (2 * scale)], axis=-1)
    difference = np.abs(window.image[..., :2].astype(float) + 0.5 - expected)
    inner = cv2.erode(window.valid.astype(np.uint8), np.ones((15, 15), np.uint8), borderValue=(0,)) > 0
    # Photo values are whole numbers, one for two pixels.
    assert difference[inner].mean() < 0.5
    assert difference[inner].max() < 1.6


def test_beyond_the_photo_is_invalid_and_repeats_the_edge(landmarks: np.ndarray) -> None:
    photo = astronaut()[60:, 150:300]
    window = head_window(photo, landmarks - (150, 60, 0))
    assert 0.05 < window.valid.mean() < 0.8
    x0, y0, step = window.placement
    side = window.image.shape[0]
    j, i = np.mgrid[0:side, 0:side] + 0.5
    x, y = i * step + x0, j * step + y0
    within = (x > 1) & (y > 1) & (x < photo.shape[1] - 1) & (y < photo.shape[0] - 1)
    beyond = (x < -1) | (y < -1) | (x > photo.shape[1] + 1) | (y > photo.shape[0] + 1)
    assert window.valid[within].all()
    assert not window.valid[beyond].any()
    above = (y < -3) & (x > 20) & (x < 130)
    column = np.clip(x[above].astype(int), 0, photo.shape[1] - 1)
    assert np.abs(window.image[above].astype(int) - photo[0, column]).mean() < 12


def test_a_fitting_photo_is_not_resampled(landmarks: np.ndarray) -> None:
    large = cv2.resize(astronaut(), None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    window = head_window(large, landmarks * 3)
    x0, y0, step = window.placement
    assert step == 1.0
    top, left = max(0, int(y0)), max(0, int(x0))
    part = window.image[top - int(y0) : top - int(y0) + 300, left - int(x0) : left - int(x0) + 300]
    assert np.array_equal(part, large[top : top + 300, left : left + 300])


def test_config_bounds_hold_for_a_huge_face(landmarks: np.ndarray) -> None:
    config = WindowConfig(max_side=700)
    assert head_window(astronaut(), landmarks * 1.0, config).image.shape[0] <= 700
