"""What of the photo may be painted on skin: not the hair that hangs over it, but shade and shine."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from portrait_head import storage
from portrait_head.stages.portrait import Portrait
from portrait_head.texturing.photo_regions import (
    FACE_OVAL,
    LIPS_OUTER,
    UPPER_LIP_SKIN,
    PhotoView,
    interocular,
    photo_masks,
    polygon,
)
from portrait_head.texturing.strands import hair_over_face

SIDE, UNIT = 200, 44
SKIN, HAIR = (214, 160, 130), (120, 72, 44)
EYES, MOUTH, CHIN = 90, 130, 150  # rows


def drawn_face(strand: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A round face that darkens to the colour of hair towards its right, under hair; a strand may hang on the left.

    Returns the picture, landmarks, the face's area and the mask of the hair, which ends above the eyes.
    """
    row, column = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    shade = np.clip((column - 110) / 40, 0, 1)[..., None]
    image = np.array(SKIN, np.float32) + shade * (np.array(HAIR, np.float32) - SKIN)
    face = ((column - 100) / 52) ** 2 + ((row - 100) / 62) ** 2 < 1
    hair = (row < 62) & (row > 10) & (np.abs(column - 100) < 75)
    image[~face] = 235
    image[hair] = HAIR
    if strand:
        image[(row > 30) & (row < 130) & (np.abs(column - 68) < 9)] = HAIR
    marks = np.zeros((478, 3), np.float32)
    marks[:, :2] = 100, 110
    for indices, place in (
        ((33, 468), (-22, EYES)),
        ((263, 473), (22, EYES)),
        ((61,), (-14, MOUTH)),
        ((291,), (14, MOUTH)),
    ):
        marks[list(indices), :2] = 100 + place[0], place[1]
    marks[152, :2] = 100, CHIN
    return image.astype(np.uint8), marks, face, hair.astype(np.float32)


def found(strand: bool, hair: float = 1.0) -> np.ndarray:
    image, marks, face, mask = drawn_face(strand)
    person = np.maximum(face, mask).astype(np.float32)
    return hair_over_face(image, marks, face, person, hair * mask, face.astype(np.float32)) > 0.5


def test_a_strand_over_the_cheek_is_hair_and_a_cheek_as_dark_is_not():
    strand, plain = found(strand=True), found(strand=False)
    assert strand[80:125, 64:72].mean() > 0.95
    assert not plain[80:125, 64:72].any()
    assert not strand[80:130, 80:].any()  # the right is as dark as hair
    assert not strand[95:125, 80:84].any()  # beside the strand


def test_a_bald_head_has_no_strands():
    assert not found(strand=True, hair=0.0).any()


@pytest.fixture(scope="module")
def sample(sample_job) -> PhotoView:
    made = storage.load(sample_job / "01_portrait", Portrait)
    return PhotoView(made.image, made.valid, made.landmarks, made.person, made.hair, made.skin, made.occluder)


def test_strands_drawn_over_the_samples_cheek_are_not_painted_on_its_skin(sample):
    unit = interocular(sample.landmarks)
    outline, oval = sample.landmarks[list(FACE_OVAL), :2], polygon(sample.landmarks, FACE_OVAL, sample.hair.shape) > 0
    left = outline[:, 0].min() + 0.09 * unit
    brow, mouth = sample.landmarks[70, 1], sample.landmarks[61, 1]
    image = sample.image.copy()
    colour = np.median(image[sample.hair > 0.9], axis=0)
    width = max(round(0.2 * unit), 2)
    cv2.line(image, (round(left), round(brow - unit)), (round(left), round(mouth)), colour.tolist(), width)
    cheek = np.zeros(oval.shape, bool)
    half = width // 4
    cheek[round(brow + 0.3 * unit) : round(mouth - 0.2 * unit), round(left) - half : round(left) + half] = True
    cheek &= oval
    before, after = photo_masks(sample).surface, photo_masks(replace(sample, image=image)).surface
    assert before[cheek].mean() > 0.3  # trust is soft towards the hair
    assert after[cheek].mean() < 0.02
    far = oval & (np.arange(oval.shape[1]) > left + unit)
    assert np.abs(before - after)[far].mean() < 0.01


def test_a_shining_forehead_is_skin(sample):
    """Brighter than skin usually is, above the landmarks' outline: with the fringe taken off, it is seen."""
    unit = interocular(sample.landmarks)
    top = sample.landmarks[10, :2]
    row, column = np.mgrid[: sample.hair.shape[0], : sample.hair.shape[1]]
    forehead = np.hypot(column - top[0], row - top[1]) < 0.4 * unit
    light = sample.image.copy()
    light[forehead] = 250, 238, 228
    hair = np.where(row < top[1] - 0.45 * unit, sample.hair, 0).astype(np.float32)
    skin = np.maximum(sample.skin, forehead.astype(np.float32))
    masks = photo_masks(replace(sample, image=light, hair=hair, skin=skin))
    assert masks.surface[forehead & (row < top[1]) & (row > top[1] - 0.15 * unit)].mean() > 0.5


def test_a_smile_may_have_folded_the_skin_over_the_lip_but_not_the_lip(sample):
    masks, shape = photo_masks(sample), sample.hair.shape
    lips = polygon(sample.landmarks, LIPS_OUTER, shape) > 0
    over_lip = (polygon(sample.landmarks, UPPER_LIP_SKIN, shape, -2.0) > 0) & ~lips
    assert masks.folded[over_lip].mean() > 0.6
    assert masks.plain[over_lip].mean() < 0.8 * masks.folded[over_lip].mean()  # near nose and lip no light is measured
    assert (masks.folded >= masks.plain).all()
    assert not masks.folded[lips & (masks.lips > 0)].any()
    assert (masks.reddened >= masks.lips).all()


def test_nothing_is_painted_from_a_hand_and_no_tone_measured_on_a_frame(sample):
    unit, chin = interocular(sample.landmarks), sample.landmarks[152, :2].astype(int)
    finger, rim = np.zeros(sample.hair.shape, np.uint8), np.zeros(sample.hair.shape, np.uint8)
    for offset in (-0.3, 0.0, 0.3):
        tip = (int(chin[0] + offset * unit), int(chin[1] - 0.6 * unit))
        cv2.line(finger, (tip[0], chin[1]), tip, (1,), round(0.35 * unit))
    cheek = sample.landmarks[50, :2].astype(int)
    cv2.circle(rim, cheek.tolist(), round(0.2 * unit), (1,), round(0.08 * unit))
    before = photo_masks(sample)
    after = photo_masks(replace(sample, occluder=(finger + rim) > 0))
    assert before.surface[finger > 0].mean() > 0.4
    assert after.surface[finger > 0].max() < 0.1
    assert after.lips[finger > 0].max() == 0
    assert before.plain[rim > 0].mean() > 0.5
    assert after.plain[rim > 0].max() == 0
    assert after.bare[rim > 0].max() == 0
    kept = (rim > 0) & (cv2.dilate(finger, np.ones((31, 31), np.uint8)) == 0)
    assert np.abs(after.surface - before.surface)[kept].max() < 0.1  # bridged in the picture, and painted


@pytest.mark.parametrize("like_hair", [False, True])
def test_a_beard_belongs_to_the_face(sample, like_hair):
    """Strokes over chin and jaw, dark or of the very colour of the hair on top, are painted, not taken for strands."""
    unit, shape = interocular(sample.landmarks), sample.hair.shape
    jaw = sample.landmarks[list(FACE_OVAL[8:29]), :2]
    place = np.zeros(shape, np.uint8)
    cv2.polylines(place, [np.rint(jaw).astype(np.int32)], False, (1,), round(0.5 * unit))
    place[: round(sample.landmarks[1, 1])] = 0
    place[(polygon(sample.landmarks, FACE_OVAL, shape) == 0) | (sample.hair > 0.5)] = 0
    colour = np.median(sample.image[sample.hair > 0.9], axis=0) if like_hair else np.array([45, 32, 25])
    random = np.random.default_rng(0)
    rows, columns = np.nonzero(place)
    image = sample.image.copy()
    for index in random.integers(len(rows), size=len(rows) // 4):
        x, y = int(columns[index]), int(rows[index])
        end = (round(x + random.normal(0, 0.02) * unit), round(y + random.uniform(0.05, 0.1) * unit))
        cv2.line(image, (x, y), end, (colour * random.uniform(0.6, 1.3)).tolist(), 1, cv2.LINE_AA)
    taken = hair_over_face(image, sample.landmarks, place > 0, sample.person, sample.hair, sample.skin)
    assert (taken > 0.5).mean() < 0.01
    before, after = photo_masks(sample).surface, photo_masks(replace(sample, image=image)).surface
    assert after[(place > 0) & (before > 0.9)].mean() > 0.9
