"""Person, hair and skin are told apart, and the style of the hair is honest about what cannot be seen."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from portrait_head.photo.decode import load_photo
from portrait_head.photo.faces import find_faces, refine_landmarks
from portrait_head.photo.hair import _covered
from portrait_head.photo.head_shape import HeadShape, head_shape
from portrait_head.photo.masks import Masks, head_masks
from portrait_head.photo.window import Window, head_window
from portrait_head.photo.zones import head_zones

from tests.backend.photo.pictures import astronaut, group_photo


@dataclass(frozen=True)
class Subject:
    window: Window
    landmarks: np.ndarray
    shape: HeadShape
    masks: Masks
    height: np.ndarray
    radius: np.ndarray
    oval: np.ndarray


def subject(window: Window, landmarks: np.ndarray, others: tuple[np.ndarray, ...] = ()) -> Subject:
    shape = head_shape(landmarks)
    side = window.image.shape[0]
    points = np.moveaxis(np.indices((side, side))[::-1], 0, -1) + 0.5
    return Subject(
        window=window,
        landmarks=landmarks,
        shape=shape,
        masks=head_masks(window.image, window.valid, landmarks, others),
        height=shape.height(points),
        radius=shape.skull_radius(points),
        oval=shape.fill(shape.oval, (side, side)),
    )


@pytest.fixture(scope="module")
def sample() -> Subject:
    picture = astronaut()
    landmarks = refine_landmarks(picture, find_faces(picture)[0])
    window = head_window(picture, landmarks)
    return subject(window, window.from_photo(landmarks))


@pytest.fixture(scope="module")
def group() -> list[Subject]:
    picture = load_photo(group_photo()).image
    faces = find_faces(picture)
    people = []
    for face in faces:
        landmarks = refine_landmarks(picture, face)
        window = head_window(picture, landmarks)
        others = tuple(window.from_photo(other.landmarks) for other in faces if other is not face)
        people.append(subject(window, window.from_photo(landmarks), others))
    return sorted(people, key=lambda one: float(one.window.placement[0]))


def with_head(sample: Subject, scalp: np.ndarray, beyond: float = 0.0) -> Subject:
    """The sample with her hair taken off and the colours `scalp` ([S, S, 3] CIE Lab) on the skull.

    The face stays as it was photographed; only this test's own drawing of a skull is judged.
    """
    side = sample.window.image.shape[0]
    lab = cv2.cvtColor(sample.window.image.astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab)
    background = np.median(lab[(sample.masks.person < 0.05) & sample.window.valid & (sample.height > 0.5)], axis=0)
    hair = cv2.dilate(sample.masks.hair, np.ones((45, 45), np.uint8)) > 0.2
    gone = ((sample.height > 0.35) & (sample.radius < 2.2)) | (
        hair & (sample.masks.skin < 0.5) & (sample.height > -0.25)
    )
    soft = cv2.GaussianBlur(gone.astype(np.float32), (0, 0), 3)[..., None]
    head = cv2.GaussianBlur((sample.radius < 1.0 + beyond).astype(np.float32), (0, 0), 1.5)[..., None]
    lab = lab * (1 - soft) + soft * (head * scalp + (1 - head) * background)
    image = np.clip(cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_Lab2RGB) * 255.0, 0, 255).astype(np.uint8)
    assert image.shape == (side, side, 3)
    return subject(Window(image, sample.window.valid, sample.window.placement), sample.landmarks)


def bare_skin(sample: Subject) -> np.ndarray:
    """The forehead's colour over the whole skull, darker towards its edge, [S, S, 3] CIE Lab."""
    lab = cv2.cvtColor(sample.window.image.astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab)
    forehead = np.median(lab[(sample.masks.skin > 0.9) & (sample.height > 0.25)], axis=0)
    return forehead * np.clip(1.0 - 0.25 * sample.radius**2, 0.5, 1.0)[..., None]


def strands(sample: Subject, colour: tuple[float, float, float]) -> np.ndarray:
    """Hair of one colour with grain, [S, S, 3] CIE Lab."""
    side = sample.window.image.shape[0]
    grain = np.random.default_rng(0).normal(size=(side, side)).astype(np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), 1.2) * 20
    return np.array(colour) + grain[..., None] * np.array([1.0, 0.0, 0.0])


def recoloured(sample: Subject, colour: tuple[float, float, float], contrast: float) -> Subject:
    """The sample with hair of another colour (CIE Lab)."""
    lab = cv2.cvtColor(sample.window.image.astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab)
    own = np.median(lab[sample.masks.hair > 0.9], axis=0)
    hair = sample.masks.hair[..., None]
    lab = lab * (1 - hair) + hair * ((lab - own) * np.array([contrast, 0.4, 0.4]) + np.array(colour))
    image = np.clip(cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_Lab2RGB) * 255.0, 0, 255).astype(np.uint8)
    return subject(Window(image, sample.window.valid, sample.window.placement), sample.landmarks)


def forehead(one: Subject) -> np.ndarray:
    """Skin between brows and the middle of the forehead, which is hair in none of the test's people."""
    return cv2.erode(one.oval.astype(np.uint8), np.ones((31, 31), np.uint8)).astype(bool) & (
        np.abs(one.height - 0.26) < 0.05
    )


def test_masks_of_the_sample(sample: Subject) -> None:
    masks, size = sample.masks, sample.window.image.shape[:2]
    for mask in (masks.person, masks.hair, masks.skin):
        assert mask.shape == size
        assert mask.dtype == np.float32
        assert mask.min() >= 0.0
        assert mask.max() <= 1.0
        assert not mask[~sample.window.valid].any()
    assert masks.hair_style == "volume"
    assert masks.warnings == ()
    assert (masks.hair + masks.skin).max() < 1.35
    inner = cv2.erode(sample.oval.astype(np.uint8), np.ones((41, 41), np.uint8)) > 0
    assert masks.skin[inner].mean() > 0.97
    assert masks.person[inner].min() > 0.95
    above = (sample.radius < 1.0) & (sample.height > 0.55)
    assert masks.hair[above].mean() > 0.97
    # The background left and right of the head.
    assert masks.person[(sample.height > 0.1) & (sample.radius > 2.2)].max() < 0.05


def test_the_outline_lies_on_the_pictures_edge(sample: Subject) -> None:
    """Hair against the pale wall: the darkest gradient across the outline lies within 2 % of the face's height."""
    grey = cv2.GaussianBlur(cv2.cvtColor(sample.window.image, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 3)
    offsets = []
    for angle in np.radians(np.linspace(-60, 60, 25)):
        way = np.cos(angle) * sample.shape.up + np.sin(angle) * sample.shape.across
        steps = np.arange(0.45, 1.05, 0.005) * sample.shape.size
        x, y = (sample.shape.skull_centre + steps[:, None] * way).astype(int).T
        outline = steps[np.argmax(sample.masks.person[y, x] < 0.5)]
        edge = steps[np.argmax(np.gradient(grey[y, x]))]
        offsets.append((outline - edge) / sample.shape.size)
    assert abs(np.median(offsets)) < 0.02


@pytest.mark.parametrize(
    ("colour", "contrast"),
    [((18, 1, 1), 0.5), ((85, 0, 2), 0.4), ((72, 4, 30), 1.0), ((45, 28, 38), 1.0)],
    ids=["black", "white", "blond", "ginger"],
)
def test_hair_of_any_colour_is_found(colour: tuple[float, float, float], contrast: float, sample: Subject) -> None:
    other = recoloured(sample, colour, contrast)
    assert other.masks.hair_style == "volume"
    truth, found = sample.masks.hair > 0.5, other.masks.hair > 0.5
    assert (truth & found).sum() / (truth | found).sum() > 0.85
    assert other.masks.hair[forehead(other)].mean() < 0.05


def test_a_bald_head_stays_bald(sample: Subject) -> None:
    bald = with_head(sample, bare_skin(sample))
    assert bald.masks.hair_style == "none"
    assert bald.masks.hair[(bald.radius < 0.9) & (bald.height > 0.2)].mean() < 0.05


@pytest.mark.parametrize("colour", [(25.0, 3.0, 5.0), (60.0, 5.0, 22.0)], ids=["dark", "light"])
def test_cropped_hair_is_no_topknot(colour: tuple[float, float, float], sample: Subject) -> None:
    cropped = with_head(sample, strands(sample, colour), beyond=0.04)
    assert cropped.masks.hair_style == "cropped"
    assert cropped.masks.hair[(cropped.radius < 0.9) & (cropped.height > 0.6)].mean() > 0.9
    assert cropped.masks.hair[forehead(cropped)].mean() < 0.05


def test_receding_hair_leaves_the_forehead(sample: Subject) -> None:
    upper = cv2.GaussianBlur((sample.height > 0.62).astype(np.float32), (0, 0), 4)[..., None]
    scalp = upper * strands(sample, (25.0, 3.0, 5.0)) + (1 - upper) * bare_skin(sample)
    receding = with_head(sample, scalp, beyond=0.03)
    assert receding.masks.hair_style == "cropped"
    bare = (receding.height > 0.3) & (receding.height < 0.55) & (receding.radius < 0.85)
    assert receding.masks.hair[bare].mean() < 0.05
    assert receding.masks.hair[(receding.height > 0.7) & (receding.radius < 0.9)].mean() > 0.9


def test_hair_of_the_skins_colour_is_not_claimed(sample: Subject) -> None:
    lab = cv2.cvtColor(sample.window.image.astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab)
    skin = np.median(lab[sample.masks.skin > 0.9], axis=0)
    short = with_head(sample, strands(sample, (float(skin[0]), float(skin[1]), float(skin[2]))), beyond=0.04)
    assert short.masks.hair_style == "unknown"
    assert "skin" in short.masks.warnings[0]


def test_a_photo_without_the_top_of_the_head_is_unknown(sample: Subject) -> None:
    valid = sample.window.valid & (sample.height < 0.5)
    cut = subject(Window(sample.window.image, valid, sample.window.placement), sample.landmarks)
    assert cut.masks.hair_style == "unknown"
    assert "top of the head" in cut.masks.warnings[0]


def test_a_beard_is_not_scalp_hair(sample: Subject) -> None:
    lab = cv2.cvtColor(sample.window.image.astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab)
    beard = cv2.GaussianBlur(((sample.height < -0.2) & (sample.masks.skin > 0.5)).astype(np.float32), (0, 0), 4)
    own = np.median(lab[sample.masks.hair > 0.9], axis=0)
    lab = lab * (1 - beard[..., None]) + beard[..., None] * own
    image = np.clip(cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_Lab2RGB) * 255.0, 0, 255).astype(np.uint8)
    bearded = subject(Window(image, sample.window.valid, sample.window.placement), sample.landmarks)
    assert bearded.masks.hair[bearded.height < -0.2].max(initial=0.0) < 0.5
    assert bearded.masks.hair_style == "volume"


def test_everyone_of_the_group_has_hair_and_a_bare_forehead(group: list[Subject]) -> None:
    for one in group:
        assert one.masks.hair_style in ("cropped", "volume")
        assert one.masks.hair[forehead(one)].mean() < 0.1
        assert one.masks.person[one.oval & one.window.valid].mean() > 0.97
    long_haired = [group[0], group[5]]
    assert all(one.masks.hair_style == "volume" for one in long_haired)
    assert all(one.masks.hair[one.height < -0.2].sum() > 0.05 * one.oval.sum() for one in long_haired)


def test_other_peoples_faces_are_not_this_person(group: list[Subject]) -> None:
    picture = load_photo(group_photo()).image
    faces = find_faces(picture)
    checked = 0
    for one in group:
        x0, y0, scale = one.window.placement
        side = one.window.image.shape[0]
        for face in faces:
            other = head_shape((face.landmarks - (x0, y0, 0)) / scale)
            oval = other.fill(other.oval, (side, side)) & one.window.valid
            if np.linalg.norm(other.middle - one.shape.middle) > one.shape.size and oval.sum() > 500:
                assert one.masks.person[oval].mean() < 0.1
                checked += 1
    assert checked >= 3


def test_the_same_input_gives_the_same_bytes(sample: Subject) -> None:
    again = head_masks(sample.window.image, sample.window.valid, sample.landmarks)
    for name in ("person", "hair", "skin"):
        assert getattr(again, name).tobytes() == getattr(sample.masks, name).tobytes()


def test_where_no_hair_is_nothing_is_covered_by_it(sample: Subject) -> None:
    """The rays leave the picture, and what lies beyond it must count as nothing."""
    small = cv2.resize(sample.window.image, (256, 256), interpolation=cv2.INTER_AREA)
    shape = head_shape(sample.landmarks * (256 / sample.window.image.shape[0]))
    whole = np.ones((256, 256), bool)
    zones = head_zones(small, whole, whole.astype(np.float32), shape, 0.6)
    for _ in range(4):
        beside = np.ones((720, 512), np.float32)  # memory that is likely to be used again
        del beside
        assert not _covered(~whole, zones).any()
