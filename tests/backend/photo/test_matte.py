"""An outline that is drawn to where colours change."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_head.photo.matte import colour_matte

SIDE, RADIUS = 96, 30.0
INSIDE, OUTSIDE = (0.25, 0.18, 0.14), (0.55, 0.55, 0.60)


def disc(radius: float) -> np.ndarray:
    row, column = np.indices((SIDE, SIDE)) + 0.5 - SIDE / 2
    return np.clip(radius + 0.5 - np.hypot(row, column), 0.0, 1.0).astype(np.float32)


def picture(inside: tuple[float, ...], outside: tuple[float, ...]) -> np.ndarray:
    share = disc(RADIUS)[..., None]
    noise = np.random.default_rng(0).normal(0.0, 0.02, (SIDE, SIDE, 3))
    return (share * np.array(inside) + (1 - share) * np.array(outside) + noise).astype(np.float32)


def radius_of(mask: np.ndarray) -> float:
    return float(np.sqrt(mask.sum() / np.pi))


@pytest.mark.parametrize("wrong_by", [-4, 4])
def test_an_outline_moves_to_where_the_colours_change(wrong_by: int) -> None:
    mask = disc(RADIUS + wrong_by)
    found = colour_matte(picture(INSIDE, OUTSIDE), mask, mask, band=6, reach=12)
    assert radius_of(found > 0.5) == pytest.approx(RADIUS, abs=0.3)  # a third of a pixel
    assert radius_of(found) == pytest.approx(RADIUS, abs=0.5)


def test_where_colours_are_alike_the_prior_stays() -> None:
    mask, prior = disc(RADIUS + 4), disc(RADIUS + 1)
    found = colour_matte(picture(INSIDE, INSIDE), mask, prior, band=6, reach=12)
    np.testing.assert_allclose(found, prior, atol=0.15)


def test_far_from_the_outline_nothing_changes() -> None:
    mask = disc(RADIUS)
    found = colour_matte(picture(OUTSIDE, INSIDE), mask, mask, band=3, reach=8)
    row, column = np.indices((SIDE, SIDE)) + 0.5 - SIDE / 2
    far = np.abs(np.hypot(row, column) - RADIUS) > 6
    np.testing.assert_array_equal(found[far], mask[far])


def test_a_mask_that_fills_the_picture_keeps_it() -> None:
    full = np.ones((SIDE, SIDE), np.float32)
    np.testing.assert_array_equal(colour_matte(picture(INSIDE, OUTSIDE), full, full, 3, 8), full)
