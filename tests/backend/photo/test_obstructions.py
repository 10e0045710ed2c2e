"""Glasses and hands before a face: told, and marked to the pixel, where they are; nothing where they are not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from portrait_head.photo.decode import load_photo
from portrait_head.photo.faces import find_faces
from portrait_head.photo.head_shape import FACE_OVAL
from portrait_head.photo.obstructions import obstructions
from portrait_head.photo.window import Window, head_window

from tests.backend.photo.hands import with_hand
from tests.backend.photo.pictures import astronaut, group_photo
from tests.backend.photo.spectacles import Spectacles, wearing

GALLERY = Path(__file__).parents[3] / "docs" / "images"  # rendered heads; whoever makes them anew runs this file
TILE = 320  # the gallery's pictures: 4 x 3 of these
DARK = Spectacles()
THICK = Spectacles((25, 22, 24), 0.075, 0.4, (0.41, 0.27))
RECTANGULAR = Spectacles((40, 35, 40), 0.035, 0.2, (0.40, 0.22))
BROWN = Spectacles((85, 55, 35), 0.05, 0.6, (0.40, 0.29))
TORTOISESHELL = Spectacles((80, 48, 25), 0.06, 0.7, (0.40, 0.30), 0.35)
THIN = Spectacles((45, 40, 38), 0.018, 1.0, (0.38, 0.32))


def window_of(picture: np.ndarray) -> tuple[Window, np.ndarray]:
    face = find_faces(picture)[0]
    window = head_window(picture, face.landmarks)
    return window, window.from_photo(face.landmarks)


def rendered(person: str, row: int, column: int) -> tuple[Window, np.ndarray]:
    """A head made of an invented person: in row 1, columns 1 and 2, turned to both sides."""
    sheet = load_photo(GALLERY / f"{person}.jpg").image
    return window_of(np.ascontiguousarray(sheet[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]))


@pytest.fixture(scope="module")
def sample() -> tuple[Window, np.ndarray]:
    return window_of(astronaut())


@pytest.fixture(scope="module")
def turned() -> tuple[Window, np.ndarray]:
    return rendered("sam", 1, 1)


def shares(image: np.ndarray, marks: np.ndarray, frame: Spectacles) -> tuple[float, float]:
    """How much of a frame before the face is found, and how much of what is found is not farther off than its smear."""
    picture, true = wearing(image, marks, frame)
    found = obstructions(picture, marks)
    assert "glasses" in found.warnings[0]
    face = np.zeros(true.shape, np.uint8)
    cv2.fillConvexPoly(face, np.rint(marks[list(FACE_OVAL), :2]).astype(np.int32), (1,))
    near = cv2.dilate(true.astype(np.uint8), np.ones((9, 9))) > 0  # 4 of about 110 pixels between the pupils
    return float(found.mask[true & (face > 0)].mean()), float(near[found.mask & (face > 0)].mean())


@pytest.mark.parametrize("frame", [DARK, THICK, RECTANGULAR, BROWN, TORTOISESHELL, THIN])
def test_a_frame_is_found_to_the_pixel(sample, frame: Spectacles):
    recall, precision = shares(sample[0].image, sample[1], frame)
    assert recall > (0.85 if frame.mottled else 0.92)  # the light spots of tortoiseshell are as light as skin
    assert precision > 0.97


def test_a_thin_frame_of_a_lighter_colour_is_told(sample):
    picture, _ = wearing(sample[0].image, sample[1], Spectacles((80, 70, 60), 0.018))
    assert "glasses" in " ".join(obstructions(picture, sample[1]).warnings)


@pytest.mark.parametrize("frame", [DARK, THICK, BROWN])
def test_a_frame_on_a_turned_head(turned, frame: Spectacles):
    recall, precision = shares(turned[0].image, turned[1], frame)
    assert recall > 0.85
    assert precision > 0.9


def test_the_eyes_behind_the_lenses_stay(sample):
    marks = sample[1]
    found = obstructions(wearing(sample[0].image, marks, THICK)[0], marks).mask
    eyes = np.zeros(found.shape, np.uint8)
    for outline in ((33, 160, 158, 133, 153, 144), (362, 385, 387, 263, 373, 380)):
        cv2.fillConvexPoly(eyes, np.rint(marks[list(outline), :2]).astype(np.int32), (1,))
    assert not found[eyes > 0].any()


def test_a_bare_face_keeps_every_pixel(sample):
    faces = [sample]
    faces += [rendered(person, *place) for person in ("ada", "sam") for place in ((0, 2), (1, 2))]
    for window, marks in faces:
        found = obstructions(window.image, marks)
        assert not found.mask.any()
        assert found.warnings == ()


def test_faces_of_a_group_keep_every_pixel():
    picture = load_photo(group_photo()).image
    for face in find_faces(picture):
        window = head_window(picture, face.landmarks)
        found = obstructions(window.image, window.from_photo(face.landmarks))
        assert not found.mask.any()
        assert found.warnings == ()


def test_a_hand_over_the_chin_is_told(sample):
    window, marks = sample
    unit, chin = float(np.linalg.norm(marks[473, :2] - marks[468, :2])), marks[152, :2]
    skin = np.median(window.image[tuple(marks[[50, 280, 205, 425], 1::-1].astype(int).T)], axis=0)
    picture = window.image.copy()
    for offset in (-0.45, -0.18, 0.09, 0.36):
        wrist, tip = chin + (offset * unit + 0.15 * unit, 0.9 * unit), chin + (offset * unit, -0.25 * unit)
        for share, radius in ((0.55, 0.14), (0.95, 0.12)):  # a finger and the shadow round it
            ends = np.rint(np.stack([wrist, tip])).astype(np.int32)
            cv2.polylines(picture, [ends], False, (skin * share).tolist(), round(2 * radius * unit), cv2.LINE_AA)
    assert "hand" in " ".join(obstructions(picture, marks).warnings)


@pytest.mark.parametrize("side", [1, -1])
def test_a_hand_is_covered_with_the_gaps_between_its_fingers(sample, side: int):
    window, marks = sample
    unit = float(np.linalg.norm(marks[473, :2] - marks[468, :2]))
    picture, hand = with_hand(window.image, marks[152, :2] + (0.1 * unit, 0.45 * unit), 1.4 * unit, side)
    found = obstructions(picture, marks)
    assert "hand" in found.warnings[0]
    assert found.mask[hand].mean() > 0.95
    far = cv2.distanceTransform((~hand).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) > 0.25 * unit
    assert (found.mask & far).sum() < 0.02 * hand.sum()  # a finger's width, and the gap beside the thumb
