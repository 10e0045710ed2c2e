"""What hinders a head is named: each hindrance is drawn onto the sample portrait, faces are found anew in it."""

from __future__ import annotations

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


@pytest.fixture(scope="module")
def face() -> Face:
    return find_faces(astronaut())[0]


def remarks(picture: np.ndarray) -> str:
    face = find_faces(picture)[0]
    window = head_window(picture, face.landmarks)
    return " ".join(hindrances(window.image, window.from_photo(face.landmarks)))


def in_light(picture: np.ndarray, light: np.ndarray) -> np.ndarray:
    linear = srgb_to_linear(picture.astype(np.float32) / 255) * light.astype(np.float32)
    return np.rint(np.clip(linear_to_srgb(linear), 0, 1) * 255).astype(np.uint8)


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


def test_a_huge_photo(face: Face) -> None:
    scale = 8000 / 512
    (warning,) = check_face(Face(face.landmarks * scale, 0.9), (8000, 8000))
    assert "8000 x 8000" in warning
