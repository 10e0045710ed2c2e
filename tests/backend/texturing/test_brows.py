"""A head pressed together over the eyes, photographed with a brow drawn where the landmarks say."""

import cv2
import numpy as np
import pytest
from portrait_head.head_model import load_head_model
from portrait_head.rendering.preview import orbit_camera
from portrait_head.texturing.brows import BrowConfig, brow_line, unstretched
from portrait_head.texturing.photo_regions import BROW_LEFT, BROW_RIGHT, IRIS_LEFT, IRIS_RIGHT
from portrait_head.texturing.skin import faces_of

SIDE = 600
PRESSED = 0.6  # heights over the eyes in the photo over those at rest


@pytest.fixture(scope="module")
def scene():
    """Vertices at rest and posed, camera, landmarks, picture, and height of the brows at rest in metres."""
    model = load_head_model()
    rest = model.vertices.astype(np.float64)
    rows = np.concatenate([model.regions["brow_left"], model.regions["brow_right"]])
    height = float(np.median(rest[rows, 1]))
    away = np.abs(rest[:, 1] - height)
    front = rest[:, 2] > 0.04
    posed = rest.copy()
    amount = np.clip(1 - (away - 0.012) / 0.02, 0, 1) * front
    posed[:, 1] -= (1 - PRESSED) * amount * (rest[:, 1] - height)
    camera = orbit_camera(0, 0, SIDE, np.array([0, height, 0.05]), 0.07)
    landmarks = np.zeros((478, 3))
    shift = 3.0  # pixels by which the landmarks miss the brow
    for name, outline in (("brow_right", BROW_RIGHT), ("brow_left", BROW_LEFT)):
        x = rest[model.regions[name], 0]
        outer, inner = (x.min(), x.max()) if name == "brow_right" else (x.max(), x.min())
        depth = float(np.median(rest[model.regions[name], 2]))
        for index, along in enumerate(np.linspace(outer, inner, 5)):
            at = camera.project(np.array([[along, height, depth]]))[0]
            landmarks[outline[index], :2] = at + (0, shift - 4)
            landmarks[outline[-1 - index], :2] = at + (0, shift + 4)
    eyes = np.array([[-0.031, height - 0.02, 0.09], [0.031, height - 0.02, 0.09]])
    for iris, at in zip((IRIS_RIGHT, IRIS_LEFT), camera.project(eyes), strict=True):
        landmarks[list(iris), :2] = at
    picture = np.full((SIDE, SIDE, 3), 200, np.uint8)
    row = round(float(landmarks[BROW_RIGHT[0], 1]) - shift + 4)
    cv2.line(picture, (0, row), (SIDE, row), (60, 40, 30), 5)
    return rest.astype(np.float32), posed.astype(np.float32), camera, landmarks, picture, row


def test_the_line_is_where_the_brow_is_dark(scene):
    _, _, _, landmarks, picture, row = scene
    line = brow_line(picture, landmarks, BROW_RIGHT, BrowConfig())
    np.testing.assert_allclose(line[:, 1], row + 0.5, atol=0.8)


def test_brows_have_their_own_thickness_at_rest(scene):
    rest, posed, camera, landmarks, picture, row = scene
    skin = faces_of(load_head_model(), "skin")
    read = unstretched(posed, rest, skin, picture, landmarks, camera)
    edges = skin[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    pixels = camera.project(posed.astype(np.float64))
    columns = landmarks[[BROW_RIGHT[0], BROW_RIGHT[4]], 0]
    near = (np.abs(pixels[:, 1] - row) < 14) & (pixels[:, 0] > columns[0]) & (pixels[:, 0] < columns[1])
    near &= rest[:, 2] > 0.05
    both = near[edges].all(axis=1)
    upright = np.abs(rest[edges[:, 0], 1] - rest[edges[:, 1], 1])
    tall = both & (upright > 0.8 * np.linalg.norm(rest[edges[:, 0]] - rest[edges[:, 1]], axis=1))
    assert tall.sum() > 10

    def size(vertices):
        return np.linalg.norm(vertices[edges[tall, 0]] - vertices[edges[tall, 1]], axis=1)

    assert np.median(size(posed) / size(rest)) < PRESSED + 0.1
    # Pressed by four tenths, the brow gets back more than half of it; the skin around keeps it from the rest.
    assert np.median(size(read) / size(rest)) > 0.8


def test_the_brow_stays_and_the_rest_of_the_head_too(scene):
    rest, posed, camera, landmarks, picture, row = scene
    skin = faces_of(load_head_model(), "skin")
    moved = np.linalg.norm(unstretched(posed, rest, skin, picture, landmarks, camera) - posed, axis=1)
    pixels = camera.project(posed.astype(np.float64))
    assert moved[np.abs(pixels[:, 1] - row) > 120].max() < 3e-4
    assert moved.max() < 0.006


def test_a_face_at_rest_is_read_where_it_is(scene):
    rest, _, camera, landmarks, picture, _ = scene
    skin = faces_of(load_head_model(), "skin")
    np.testing.assert_allclose(unstretched(rest, rest, skin, picture, landmarks, camera), rest, atol=1e-6)
