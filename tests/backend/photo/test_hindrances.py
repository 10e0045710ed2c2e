"""What hinders a head is named: each hindrance is drawn onto the sample portrait, faces are found anew in it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from portrait_head.photo.decode import load_photo
from portrait_head.photo.faces import Face, find_faces
from portrait_head.photo.hindrances import hindrances
from portrait_head.photo.quality import check_face
from portrait_head.photo.window import head_window
from portrait_head.rendering.lighting import linear_to_srgb, srgb_to_linear

from tests.backend.photo.pictures import astronaut, group_photo

FINE = 4  # things are drawn so many times larger and scaled down, as a lens would smooth them


@pytest.fixture(scope="module")
def face() -> Face:
    return find_faces(astronaut())[0]


def remarks(picture: np.ndarray) -> str:
    face = find_faces(picture)[0]
    window = head_window(picture, face.landmarks)
    return " ".join(hindrances(window.image, window.from_photo(face.landmarks)))


def pupils(face: Face) -> tuple[np.ndarray, np.ndarray, float]:
    right, left = face.landmarks[468, :2], face.landmarks[473, :2]
    return right, left, float(np.linalg.norm(left - right))


def in_light(picture: np.ndarray, light: np.ndarray) -> np.ndarray:
    linear = srgb_to_linear(picture.astype(np.float32) / 255) * light.astype(np.float32)
    return np.rint(np.clip(linear_to_srgb(linear), 0, 1) * 255).astype(np.uint8)


def drawn(picture: np.ndarray, draw: Callable[[np.ndarray], None]) -> np.ndarray:
    large = cv2.resize(picture, None, fx=FINE, fy=FINE, interpolation=cv2.INTER_CUBIC)
    draw(large)
    return cv2.resize(large, picture.shape[1::-1], interpolation=cv2.INTER_AREA)


def pixel(point: np.ndarray) -> tuple[int, int]:
    return int(point[0] * FINE), int(point[1] * FINE)


def test_faces_without_hindrance_have_no_remarks() -> None:
    assert remarks(astronaut()) == ""
    picture = load_photo(group_photo()).image
    for found in find_faces(picture):
        window = head_window(picture, found.landmarks)
        assert hindrances(window.image, window.from_photo(found.landmarks)) == ()


@pytest.mark.parametrize("side", [1, -1])
def test_half_a_face_in_hard_shadow(face: Face, side: int) -> None:
    picture = astronaut()
    top, chin = face.landmarks[10, :2], face.landmarks[152, :2]
    down = (chin - top) / np.linalg.norm(chin - top)
    columns, rows = np.meshgrid(np.arange(512), np.arange(512))
    across = side * ((columns - top[0]) * -down[1] + (rows - top[1]) * down[0])
    shade = 1 - 0.75 / (1 + np.exp(-across))
    assert "hard shadow" in remarks(in_light(picture, shade[..., None]))


@pytest.mark.parametrize("light", [(0.45, 0.7, 1.3), (1.3, 0.8, 0.4), (0.6, 1.1, 0.6)])
def test_coloured_light(light: tuple[float, float, float]) -> None:
    assert "coloured" in remarks(in_light(astronaut(), np.array(light)))


def test_a_grey_picture_has_no_coloured_light() -> None:
    grey = cv2.cvtColor(astronaut(), cv2.COLOR_RGB2GRAY)
    assert remarks(np.repeat(grey[..., None], 3, axis=-1)) == ""


@pytest.mark.parametrize(("colour", "width"), [((35, 30, 28), 0.03), ((80, 70, 60), 0.018)])
def test_glasses(face: Face, colour: tuple[int, int, int], width: float) -> None:
    right, left, unit = pupils(face)
    turn = np.degrees(np.arctan2(*(left - right)[::-1]))
    thick = max(1, round(width * unit * FINE))

    def draw(picture: np.ndarray) -> None:
        for eye in (right, left):
            size = (int(0.4 * unit * FINE), int(0.28 * unit * FINE))
            centre = pixel(eye + (0, 0.05 * unit))
            cv2.ellipse(picture, centre, size, float(turn), 0, 360, colour, thick, cv2.LINE_AA)
        middle = (right + left) / 2
        cv2.line(picture, pixel(middle - (0.1 * unit, 0)), pixel(middle + (0.1 * unit, 0)), colour, thick, cv2.LINE_AA)

    assert "glasses" in remarks(drawn(astronaut(), draw))


def test_a_hand_over_the_chin(face: Face) -> None:
    unit, chin = pupils(face)[2], face.landmarks[152, :2]
    cheeks = face.landmarks[[50, 280, 205, 425], :2].astype(int)
    skin = np.median(astronaut()[cheeks[:, 1], cheeks[:, 0]], axis=0)

    def draw(picture: np.ndarray) -> None:
        for offset in (-0.45, -0.18, 0.09, 0.36):
            wrist, tip = chin + (offset * unit + 0.15 * unit, 0.9 * unit), chin + (offset * unit, -0.25 * unit)
            for share, radius in ((0.55, 0.14), (0.95, 0.12)):  # a finger and the shadow round it
                colour = tuple(float(value) for value in skin * share)
                cv2.line(picture, pixel(wrist), pixel(tip), colour, int(2 * radius * unit * FINE), cv2.LINE_AA)

    assert "hand" in remarks(drawn(astronaut(), draw))


def test_a_huge_photo(face: Face) -> None:
    scale = 8000 / 512
    (warning,) = check_face(Face(face.landmarks * scale, 0.9), (8000, 8000))
    assert "8000 x 8000" in warning
