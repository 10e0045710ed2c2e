"""A photo that will give a poor head says so, with the reason; one that cannot give a head is refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from portrait_head.errors import PortraitHeadError
from portrait_head.photo.decode import load_photo
from portrait_head.photo.faces import Face, find_faces, head_pose
from portrait_head.photo.quality import check_face, check_picture, choose_face
from portrait_head.photo.window import head_window

from tests.backend.photo.pictures import astronaut, group_photo


@pytest.fixture(scope="module")
def face() -> Face:
    return find_faces(astronaut())[0]


def remarks(picture: np.ndarray, face: Face) -> str:
    window = head_window(picture, face.landmarks)
    return " ".join(check_picture(window, window.from_photo(face.landmarks), face.interocular))


def turned(face: Face, degrees: float, axis: int) -> Face:
    """The landmarks as if the head had turned about the picture's x (0) or y (1) axis."""
    rotation = cv2.Rodrigues(np.radians(degrees) * np.eye(3)[axis])[0]
    centre = face.landmarks.mean(axis=0)
    return Face((face.landmarks - centre) @ rotation.T + centre, face.score)


def test_a_good_photo_has_no_remarks(face: Face) -> None:
    assert remarks(astronaut(), face) == ""
    assert check_face(Face(face.landmarks * 2, face.score), (1024, 1024)) == ()


def test_a_group_photo_has_no_false_remarks() -> None:
    picture = load_photo(group_photo()).image
    for found in find_faces(picture):
        assert remarks(picture, found) == ""


def test_blur(face: Face) -> None:
    assert "blurred" in remarks(cv2.GaussianBlur(astronaut(), (0, 0), 2.0), face)


def test_exposure(face: Face) -> None:
    assert "very dark" in remarks((astronaut() * 0.2).astype(np.uint8), face)
    assert "overexposed" in remarks(np.clip(astronaut() * 2.2, 0, 255).astype(np.uint8), face)


@pytest.mark.parametrize("colour", [(240, 240, 240), (60, 110, 200)])
def test_a_mask_over_the_mouth(colour: tuple[int, int, int], face: Face) -> None:
    picture = astronaut()
    outline = [234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 5]
    cv2.fillPoly(picture, [face.landmarks[outline, :2].astype(np.int32)], colour)
    assert "covered" in remarks(picture, face)


def test_a_dark_beard_is_no_mask(face: Face) -> None:
    picture = astronaut()
    outline = [58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 410, 164, 186]
    cv2.fillPoly(picture, [face.landmarks[outline, :2].astype(np.int32)], (50, 40, 34))
    assert "covered" not in remarks(picture, face)


def test_sunglasses(face: Face) -> None:
    picture = astronaut()
    for pupil in (468, 473):
        x, y = face.landmarks[pupil, :2].astype(int)
        cv2.circle(picture, (int(x), int(y)), 17, (12, 12, 12), -1)
    assert "eyes" in remarks(picture, face)


def test_size_is_refused_or_warned_of(face: Face) -> None:
    def at(interocular: float) -> tuple[str, ...]:
        scale = interocular / face.interocular
        return check_face(Face(face.landmarks * scale, 0.9), (4000, 4000))

    with pytest.raises(PortraitHeadError) as caught:
        at(14)
    assert caught.value.kind == "face_too_small"
    assert "pixels" in caught.value.message
    assert "small" in at(26)[0]  # a face 60 pixels wide
    assert "small" in at(64)[0]  # a face 150 pixels wide
    assert at(70) == ()


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("sign", [-1, 1])
def test_pose_is_refused_or_warned_of(axis: int, sign: int, face: Face) -> None:
    straight = head_pose(face.landmarks)
    large = Face(face.landmarks * 2, face.score)
    level = turned(turned(large, -straight.pitch, 0), straight.yaw, 1)
    assert check_face(turned(level, 15 * sign, axis), (1024, 1024)) == ()
    (warning,) = check_face(turned(level, 40 * sign, axis), (1024, 1024))
    assert any(f"{degrees} degrees" in warning for degrees in range(37, 44))
    with pytest.raises(PortraitHeadError) as caught:
        check_face(turned(level, 65 * sign, axis), (1024, 1024))
    assert caught.value.kind == "extreme_pose"


def test_a_face_cut_by_the_frame(face: Face) -> None:
    left = face.box[0] + 0.15 * (face.box[2] - face.box[0])
    moved = Face(face.landmarks - (left, 0, 0), 0.9)
    assert any("cuts off" in warning for warning in check_face(moved, (512, 512)))
    with pytest.raises(PortraitHeadError) as caught:
        check_face(Face(face.landmarks - (face.landmarks[1, 0], 0, 0), 0.9), (512, 512))
    assert caught.value.kind == "face_cut"


def test_choosing_among_faces(face: Face) -> None:
    second = Face(face.landmarks * 0.9, 0.8)
    index, warnings = choose_face([face, second], None, "photo.jpg")
    assert index == 0
    assert "2 faces" in warnings[0]
    assert "--face 2" in warnings[0]
    assert choose_face([face, second], 2, "photo.jpg") == (1, ())
    assert choose_face([face], None, "photo.jpg") == (0, ())
    for wished, count in ((3, "2 faces"), (0, "2 faces")):
        with pytest.raises(PortraitHeadError) as caught:
            choose_face([face, second], wished, "photo.jpg")
        assert caught.value.kind == "bad_face"
        assert count in caught.value.message
    with pytest.raises(PortraitHeadError) as caught:
        choose_face([], None, "photo.jpg")
    assert caught.value.kind == "no_face"
