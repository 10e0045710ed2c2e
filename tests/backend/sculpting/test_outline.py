"""Which outlines of a photo are believed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from portrait_head.sculpting.edges import to_edges
from portrait_head.sculpting.outline import Masks, Outline, head_outline

from tests.backend.geometry.drawn_hair import SIZE, Drawing, draw

CHIN, BROW = -0.068, 0.055


def outline(drawing: Drawing, hair_wanted: bool = True, **changes: np.ndarray) -> Outline:
    portrait = replace(drawing.portrait, **changes)
    masks = Masks(portrait.person, portrait.hair > 0.5, portrait.skin, portrait.valid, hair_wanted)
    return head_outline(masks, portrait.image, drawing.fit.camera, drawing.bare, CHIN, BROW)


def test_head_and_hair_are_one_outline() -> None:
    drawing = draw("bob")
    found = outline(drawing)
    both = drawing.bare | (drawing.portrait.hair > 0.5)
    assert ((found.mask > 0.5) == both).mean() > 0.995
    assert found.trust[both].mean() > 0.5
    assert found.warnings == ()


def test_a_mask_that_misses_the_face_is_not_believed_at_all() -> None:
    drawing = draw("bob")
    elsewhere = np.roll(drawing.portrait.person, SIZE // 2, axis=1)
    found = outline(drawing, person=elsewhere)
    assert not found.trust.any()
    assert len(found.warnings) == 1
    assert "misses the face" in found.warnings[0]


def test_a_hat_is_no_outline_and_is_told_of() -> None:
    drawing = draw("bald")
    top = int(np.nonzero(drawing.bare.any(axis=1))[0][0])
    hat = np.zeros_like(drawing.bare)
    hat[top - 60 : top + 40, 130:380] = True
    person = np.maximum(drawing.portrait.person, hat.astype(np.float32))
    found = outline(drawing, person=person, skin=drawing.portrait.skin * ~hat)
    above = hat & ~drawing.bare
    above[top - 5 :] = False
    assert not found.trust[above].any()
    assert "hat" in found.warnings[0]


def test_hair_that_leaves_the_picture_is_told_of() -> None:
    drawing = draw("long")
    valid = drawing.portrait.valid.copy()
    valid[:, : SIZE // 2 - 60] = False
    found = outline(drawing, valid=valid, hair=drawing.portrait.hair * valid)
    assert any("leaves the picture" in warning for warning in found.warnings)
    assert not found.trust[~valid].any()


def test_hair_that_is_not_wanted_is_no_outline() -> None:
    drawing = draw("bob")
    hair = drawing.portrait.hair > 0.5
    found = outline(drawing, hair_wanted=False)
    assert not found.trust[hair].any()
    assert not (found.mask[hair] > 0.5).any()


def test_clothes_under_the_chin_are_not_believed() -> None:
    drawing = draw("bald")
    person = drawing.portrait.person.copy()
    person[-120:, :] = 1.0  # shoulders
    found = outline(drawing, person=person)
    rows = slice(SIZE - 110, SIZE)
    assert not found.trust[rows].any()
    assert found.warnings == ()


@pytest.mark.parametrize("shift", [-6, 6])
def test_a_border_is_drawn_to_the_edge_of_the_colours(shift: int) -> None:
    image = np.full((200, 200, 3), 60, np.uint8)
    image[:, 100:] = 200
    image += np.random.default_rng(0).integers(0, 12, image.shape, dtype=np.uint8)
    mask = np.zeros((200, 200), np.float32)
    mask[:, 100 + shift :] = 1.0
    refined, trust = to_edges(mask, image, 0.001)
    border = (refined[50:150] > 0.5).argmax(axis=1)
    assert np.abs(border - 100).max() <= 1
    assert trust.min() > 0.95


def test_where_colours_say_nothing_the_mask_stays_and_is_trusted_less() -> None:
    image = np.full((200, 200, 3), 128, np.uint8)
    mask = np.zeros((200, 200), np.float32)
    mask[:, 106:] = 1.0
    refined, trust = to_edges(mask, image, 0.001)
    assert np.abs(refined - mask).max() < 1e-5
    assert trust[100, 106] < 0.5
    assert trust[100, 20] == pytest.approx(1.0)
