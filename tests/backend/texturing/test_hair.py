import cv2
import numpy as np
import pytest
from portrait_head.geometry.capsule import Capsule
from portrait_head.rendering.preview import orbit_camera
from portrait_head.texturing.hair import hair_uvs, paint_hair
from portrait_head.texturing.scalp import hair_tone

SHAPE = (256, 512)
PICTURE = 400


@pytest.fixture(scope="module")
def cap():
    """A dome of hair 10 cm in radius, open below, with its capsule."""
    rows, columns = 24, 72
    polar = np.linspace(0.02, 1.9, rows)[:, None]
    turn = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    centre = np.array([0.0, 0.05, 0.0])
    points = (
        np.stack(
            [np.sin(polar) * np.sin(turn), np.cos(polar) + 0 * turn, np.sin(polar) * np.cos(turn)], axis=-1
        ).reshape(-1, 3)
        * 0.1
        + centre
    )
    index = np.arange(rows * columns).reshape(rows, columns)
    right = np.roll(index, -1, axis=1)
    triangles = np.concatenate([
        np.stack([index[:-1], index[1:], right[1:]], axis=-1).reshape(-1, 3),
        np.stack([index[:-1], right[1:], right[:-1]], axis=-1).reshape(-1, 3),
    ])  # fmt: skip
    return points, triangles, Capsule(centre, 60)


def photographed() -> np.ndarray:
    """Chestnut hair with a bright mark on the subject's left."""
    rng = np.random.default_rng(0)
    image = (np.array([95, 62, 40]) * (0.7 + 0.6 * rng.random((PICTURE, PICTURE, 1)))).astype(np.uint8)
    image[150:200, 260:300] = 230, 215, 180
    return image


def paint(cap, image: np.ndarray):
    """The texture of the dome in that photo, and the colours of its hair."""
    points, triangles, capsule = cap
    mask = np.ones(image.shape[:2], np.float32)
    camera = orbit_camera(0, 0, PICTURE, capsule.centre, 0.13)
    head = np.array([[0, 0, -1], [0.01, 0, -1], [0, 0.01, -1]], float), np.array([[0, 1, 2]])
    uvs = hair_uvs(points, triangles, capsule)
    tone = hair_tone(image, mask)
    return paint_hair(points, triangles, uvs, capsule, image, mask, camera, head, tone, SHAPE, seed=0), tone


@pytest.fixture(scope="module")
def painted(cap):
    return paint(cap, photographed())


def test_no_triangle_is_stretched_over_the_seam(cap):
    points, triangles, capsule = cap
    uvs = hair_uvs(points, triangles, capsule)
    away_from_the_pole = points[triangles][:, :, 1].max(axis=1) < 0.13
    assert np.ptp(uvs[away_from_the_pole, :, 0], axis=1).max() < 0.05
    assert uvs[..., 0].min() >= 0
    assert uvs[..., 1].min() >= 0
    assert uvs[..., 1].max() <= 1


def test_the_photo_is_where_the_camera_looked(painted):
    texture, _ = painted
    u = 0.06  # the mark, a little to the subject's left of the front
    column = int(u * SHAPE[1])
    strip = texture[:, max(column - 12, 0) : column + 25, :3].mean(axis=2)
    assert strip.max() > 0.7
    back = texture[:, SHAPE[1] // 2 - 40 : SHAPE[1] // 2 + 40, :3]
    assert back.mean(axis=2).max() < 0.6


def test_a_parting_is_not_mirrored_onto_hair_that_was_seen(painted):
    texture, _ = painted
    there = texture[..., :3].mean(axis=2) > 0.7  # the bright mark
    assert there[:, : SHAPE[1] // 8].any()
    assert not there[:, -SHAPE[1] // 8 :].any()


def test_drawn_strands_stand_out_no_more_than_the_photos(cap, painted):
    """A blurred photo has hair of the same colours, but no strands."""
    slope = np.linspace(0.7, 1.3, PICTURE)[:, None, None] * np.ones((1, PICTURE, 1))
    blurred, _ = paint(cap, (np.array([95, 62, 40]) * slope).astype(np.uint8))
    back = np.s_[40:140, SHAPE[1] // 2 - 60 : SHAPE[1] // 2 + 60]
    sharp, soft = (np.abs(np.diff(texture[back][..., 0], axis=1)).mean() for texture in (painted[0], blurred))
    assert 0.2 * sharp < soft < 0.7 * sharp


def test_drawn_strands_are_as_fine_as_the_photos(cap):
    """Two photos of one contrast, one of single strands, one of broad locks."""
    noise = np.random.default_rng(0).standard_normal((PICTURE, PICTURE, 1)).astype(np.float32)
    shares = []
    for width in (1.0, 5.0):
        soft = cv2.GaussianBlur(noise, (0, 0), width)[..., None]
        light = np.clip(1 + 0.25 * soft / soft.std(), 0, 2)
        texture, _ = paint(cap, (np.array([120, 80, 52]) * light).astype(np.uint8))
        back = texture[40:140, SHAPE[1] // 2 - 60 : SHAPE[1] // 2 + 60, :3].mean(axis=2)
        shares.append((back - cv2.GaussianBlur(back, (0, 0), 1.0)).std() / back.std())
    assert shares[0] > 1.2 * shares[1]


def test_hair_that_was_not_seen_has_the_colours_of_that_which_was(painted):
    texture, tone = painted
    back = texture[40:120, SHAPE[1] // 2 - 60 : SHAPE[1] // 2 + 60, :3].reshape(-1, 3)
    dark, light = tone.at(np.array(0.02)).mean(), tone.at(np.array(0.98)).mean()
    grey = back.mean(axis=1)
    assert dark - 0.05 < grey.min()
    assert grey.max() < light + 0.05
    assert grey.std() > 0.01  # strands, not one tone
    hue = back / back.mean(axis=1, keepdims=True)
    wanted = tone.middle / tone.middle.mean()
    np.testing.assert_allclose(np.median(hue, axis=0), wanted, atol=0.1)


def test_the_back_is_not_a_barcode(painted):
    texture, _ = painted
    back = texture[40:140, SHAPE[1] // 2 - 60 : SHAPE[1] // 2 + 60, :3].mean(axis=2)
    columns = back.mean(axis=0)
    assert columns.std() < 0.6 * back.std()  # a stripe from crown to nape would make both equal


def test_the_texture_repeats_round_the_head(painted):
    texture, _ = painted
    body = texture[40:120, :, :3]
    across = np.abs(body[:, 0] - body[:, -1]).mean()
    inside = np.abs(np.diff(body, axis=1)).mean()
    assert across < 2 * inside


def test_hair_ends_in_strands(painted):
    texture, _ = painted
    alpha = texture[..., 3]
    assert (alpha[40:100] == 1).mean() > 0.99
    partly = (alpha > 0.05) & (alpha < 0.95)
    assert 0.002 < partly.mean() < 0.2


def test_hair_that_cannot_be_measured_is_brown():
    tone = hair_tone(photographed(), np.zeros((PICTURE, PICTURE), np.float32))
    assert not tone.measured
    assert tone.middle[0] > tone.middle[2]
