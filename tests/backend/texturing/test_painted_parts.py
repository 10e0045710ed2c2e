"""Eyes, mouth and lashes: judged by what a person sees there."""

import cv2
import numpy as np
import pytest
from portrait_head.head_model import load_head_model
from portrait_head.rendering.lighting import LUMINANCE
from portrait_head.texturing.eyes import EyeConfig, iris_colour, paint_eyes
from portrait_head.texturing.grey import grey_like, is_grey
from portrait_head.texturing.lashes import paint_lashes, strip_coordinates
from portrait_head.texturing.mouth import arch_length, paint_mouth
from portrait_head.texturing.photo_regions import EYE_LEFT, EYE_RIGHT, IRIS_LEFT, IRIS_RIGHT
from portrait_head.texturing.uv_raster import head_raster

SIZE = 512
BLUE = np.array([0.08, 0.13, 0.22], np.float32)


@pytest.fixture(scope="module")
def eyes():
    model, raster = load_head_model(), head_raster("eyes", SIZE)
    colour = raster.flat(paint_eyes(model, raster, BLUE, seed=0))
    points, quad = raster.spread(model.vertices), raster.triangle // 2
    angles = np.zeros(len(points))
    for name in ("eye_left", "eye_right"):
        part = model.part(name)
        mine = (quad >= part.faces[0]) & (quad < part.faces[1])
        ball = model.vertices[slice(*part.vertices)]
        direction = points[mine] - (ball.min(axis=0) + ball.max(axis=0)) / 2
        angles[mine] = np.degrees(np.arccos(direction[:, 2] / np.linalg.norm(direction, axis=1)))
    return colour, angles


def test_pupil_iris_and_sclera_lie_where_they_should(eyes):
    colour, angle = eyes
    light = colour @ LUMINANCE
    assert light[angle < 6].max() < 0.02
    iris = colour[(angle > 10) & (angle < 19)]
    assert np.argmax(iris.mean(axis=0)) == 2
    assert abs(np.median(iris @ LUMINANCE) / (BLUE @ LUMINANCE) - 1) < 0.4
    sclera = colour[(angle > 27) & (angle < 40)]
    assert 0.25 < np.median(sclera @ LUMINANCE) < 0.65
    assert np.median(sclera[:, 0] / sclera[:, 2]) > 1.0  # slightly warm
    assert light[(angle > 20) & (angle < 22)].mean() < light[(angle > 12) & (angle < 16)].mean()  # limbal ring


def test_eyes_hold_no_catchlight(eyes):
    colour, angle = eyes
    assert (colour[angle < 20] @ LUMINANCE).max() < 3 * (BLUE @ LUMINANCE)


def drawn_eyes(open_by: float, colour: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A picture of two eyes with catchlights, lids `open_by` pixels apart, and its landmarks."""
    image = np.full((240, 400, 3), (205, 160, 140), np.uint8)
    marks = np.zeros((478, 3), np.float32)
    for outline, iris, x in ((EYE_RIGHT, IRIS_RIGHT, 120), (EYE_LEFT, IRIS_LEFT, 280)):
        half = len(outline) // 2
        for place, index in enumerate(outline):
            t = place / half if place < half else (place - half) / half
            side = -1 if outline is EYE_RIGHT else 1
            across = side * (40 - 80 * t) if place < half else side * (-40 + 80 * t)
            down = np.sin(np.pi * t) * open_by / 2 * (1 if place < half else -1)
            marks[index] = x + across, 120 + down, 0
        points = marks[list(outline), :2].round().astype(np.int32)
        mask = np.zeros(image.shape[:2], np.uint8)
        cv2.fillPoly(mask, [points], (255,))
        ball = np.full_like(image, 235)
        cv2.circle(ball, (x, 120), 16, colour, -1)
        cv2.circle(ball, (x, 120), 6, (10, 10, 10), -1)
        cv2.circle(ball, (x + 5, 115), 3, (255, 255, 255), -1)
        image[mask > 0] = ball[mask > 0]
        marks[iris[0]] = x, 120, 0
        for index, (dx, dy) in zip(iris[1:], ((16, 0), (0, -16), (-16, 0), (0, 16)), strict=True):
            marks[index] = x + dx, 120 + dy, 0
    return image, marks


def test_the_iris_of_the_photo_is_measured():
    colour, seen = iris_colour(*drawn_eyes(30, (90, 120, 150)), gain=1.0)
    assert seen
    assert np.argmax(colour) == 2
    wanted = ((np.array([90, 120, 150]) / 255 + 0.055) / 1.055) ** 2.4
    np.testing.assert_allclose(colour / colour.sum(), wanted / wanted.sum(), atol=0.02)


def test_closed_eyes_give_the_usual_colour():
    colour, seen = iris_colour(*drawn_eyes(3, (90, 120, 150)), gain=1.0)
    assert not seen
    np.testing.assert_allclose(colour, EyeConfig().default_iris)


def test_the_light_of_the_photo_cannot_make_red_eyes():
    colour, seen = iris_colour(*drawn_eyes(30, (190, 40, 20)), gain=1.0)
    assert seen
    assert colour[1] > 0.5 * colour[0]


@pytest.fixture(scope="module")
def mouth():
    model, raster = load_head_model(), head_raster("mouth", SIZE * 2)
    colour = raster.flat(paint_mouth(model, raster, seed=0))
    return model, raster, raster.spread(model.vertices), raster.triangle // 2, colour


@pytest.mark.parametrize("name", ["teeth_upper", "teeth_lower"])
def test_teeth_are_separate_and_stand_in_gums(mouth, name):
    model, _, points, quad, colour = mouth
    part = model.part(name)
    mine = (quad >= part.faces[0]) & (quad < part.faces[1])
    vertices = model.vertices[slice(*part.vertices)]
    height = (points[mine, 1] - vertices[:, 1].min()) / np.ptp(vertices[:, 1])
    height = height if name == "teeth_upper" else 1 - height
    crown = (height > 0.12) & (height < 0.3)
    length = arch_length(points[mine], vertices)
    light = colour[mine] @ LUMINANCE
    bins = np.arange(0, 0.03, 0.0004)
    slices = [light[crown & (length >= low) & (length < low + 0.0004)] for low in bins[:-1]]
    row = np.array([np.median(values) for values in slices if len(values)])
    gaps = ((row[1:-1] < row[:-2]) & (row[1:-1] <= row[2:]) & (row[1:-1] < 0.6 * np.median(row))).sum()
    assert 2 <= gaps <= 6
    gum = colour[mine][height > 0.8]
    assert (gum[:, 0] > 2 * gum[:, 1]).mean() > 0.95
    front = length < 0.015  # the back teeth lie in the dark
    assert np.median(light[crown & front]) > 2.5 * np.median(gum @ LUMINANCE)
    assert np.median(light[crown & (length > 0.03)]) < 0.7 * np.median(light[crown & front])


def test_the_cavity_darkens_inwards(mouth):
    model, _, points, quad, colour = mouth
    part = model.part("mouth")
    mine = (quad >= part.faces[0]) & (quad < part.faces[1])
    depth = points[mine, 2]
    light = colour[mine] @ LUMINANCE
    front, back = np.percentile(depth, [85, 15])
    assert light[depth < back].mean() < 0.5 * light[depth > front].mean()
    assert light.max() < 0.2


def test_lashes_are_fine_dark_brown_hairs():
    model, raster = load_head_model(), head_raster("lashes", SIZE * 2)
    image = paint_lashes(model, raster, seed=0)
    alpha = raster.flat(image)[:, 3]
    assert 0.08 < alpha.mean() < 0.45  # neither bald nor a black block
    colour = image[..., :3].reshape(-1, 3)
    assert (colour == colour[0]).all()  # no light fringe in any mip level
    assert colour[0, 0] > colour[0, 2] > 0
    _, outward, _ = strip_coordinates(model)
    out = raster.spread(outward)
    assert alpha[out < 0.3].mean() > 1.5 * alpha[out > 0.8].mean()  # they taper
    outside = raster.sparse_image(np.ones(len(alpha))) == 0
    assert image[outside, 3].max() == 0


def test_roots_are_at_the_lid():
    model = load_head_model()
    part = model.part("lashes")
    along, outward, upper = strip_coordinates(model)
    mine = slice(*part.vertices)
    assert outward[mine].min() == 0
    assert outward[mine].max() == 1
    assert 0.3 < upper[mine].mean() < 0.7
    assert np.ptp(along[mine]) == 1


def test_grey_photos_are_told_from_coloured_ones():
    grey = np.repeat(np.random.default_rng(0).integers(0, 256, (40, 40, 1)), 3, axis=2).astype(np.uint8)
    assert is_grey(grey)
    coloured = grey.copy()
    coloured[..., 2] //= 2
    assert not is_grey(coloured)
    hued = np.random.default_rng(1).random((5, 5, 4)).astype(np.float32)
    out = grey_like(hued)
    assert np.ptp(out[..., :3], axis=-1).max() == 0
    np.testing.assert_array_equal(out[..., 3], hued[..., 3])
