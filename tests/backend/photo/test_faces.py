"""Faces are found wherever they are in the picture, however they lean, and only where there are some."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
from portrait_head.photo.decode import load_photo
from portrait_head.photo.faces import Face, find_faces, find_faces_any_way_up, head_pose, refine_landmarks

from tests.backend.photo.pictures import astronaut, group_photo

# Middle of each of the six faces, pixels, read off the picture.
GROUP = ((112, 345), (310, 222), (517, 350), (790, 415), (938, 140), (1175, 340))


@pytest.fixture(scope="module")
def sample() -> Face:
    return find_faces(astronaut())[0]


@pytest.fixture(scope="module")
def group() -> list[Face]:
    return find_faces(load_photo(group_photo()).image)


def centre(face: Face) -> np.ndarray:
    return (face.box[:2] + face.box[2:]) / 2


def test_the_sample_has_one_face_in_its_place(sample: Face) -> None:
    assert len(find_faces(astronaut())) == 1
    assert np.linalg.norm(centre(sample) - (222, 120)) < 15
    assert 38 < sample.interocular < 48


def test_all_six_people_of_the_group_are_found_largest_first(group: list[Face]) -> None:
    assert len(group) == 6
    for place in GROUP:
        assert min(np.linalg.norm(centre(face) - place) for face in group) < 40
    sizes = [face.size for face in group]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(
    "name", ["coffee", "chelsea", "brick", "rocket", "coins", "gravel", "grass", "clock", "page", "hubble_deep_field"]
)
def test_no_face_where_there_is_none(name: str) -> None:
    picture = np.asarray(getattr(skimage.data, name)())
    if picture.ndim == 2:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    assert find_faces(picture) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (30, 30), (2000, 24)])
def test_tiny_and_narrow_pictures_have_no_face(size: tuple[int, int]) -> None:
    assert find_faces(np.full((*size, 3), 127, np.uint8)) == []


def test_a_wide_frame_does_not_hide_the_face(sample: Face) -> None:
    """A 16:9 frame squeezed into the detector's square makes faces thin."""
    picture = astronaut()
    wide = cv2.copyMakeBorder(picture, 20, 20, 700, 120, cv2.BORDER_REFLECT)[:, 360:1320]
    places = [centre(face) for face in find_faces(np.ascontiguousarray(wide))]
    assert min(np.linalg.norm(place - centre(sample) - (340, 20)) for place in places) < 8


@pytest.mark.parametrize("angle", [-40.0, -20.0, 15.0, 35.0])
def test_landmarks_follow_a_tilted_picture(angle: float, sample: Face) -> None:
    picture = astronaut()
    middle = centre(sample)
    turn = cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), angle, 1.0)
    tilted = cv2.warpAffine(picture, turn, (512, 512), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    face = find_faces(tilted)[0]
    expected = refine_landmarks(picture, sample)[:, :2] @ turn[:, :2].T + turn[:, 2]
    error = np.linalg.norm(refine_landmarks(tilted, face)[:, :2] - expected, axis=1).mean() / sample.interocular
    # The mesh itself moves by about one per cent when its crop changes.
    assert error < 0.03
    assert abs(head_pose(face.landmarks).roll - head_pose(sample.landmarks).roll + angle) < 4


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_photo_on_its_side_is_turned(turns: int, sample: Face) -> None:
    faces, needed = find_faces_any_way_up(np.ascontiguousarray(np.rot90(astronaut(), turns)))
    assert (turns + needed) % 4 == 0
    assert np.linalg.norm(centre(faces[0]) - centre(sample)) < 6


def test_pose_has_the_documented_signs(group: list[Face], sample: Face) -> None:
    pose = head_pose(sample.landmarks)
    assert max(abs(pose.yaw), abs(pose.pitch), abs(pose.roll)) < 8
    by_place = {place: min(group, key=lambda face: float(np.linalg.norm(centre(face) - place))) for place in GROUP}
    left_leaning = head_pose(by_place[GROUP[0]].landmarks)
    assert left_leaning.roll < -15  # counter-clockwise in the picture
    assert head_pose(by_place[GROUP[4]].landmarks).yaw < -35  # the standing man looks to the picture's left


def test_mirroring_the_picture_mirrors_the_pose(sample: Face) -> None:
    mirrored = find_faces(np.ascontiguousarray(astronaut()[:, ::-1]))[0]
    assert abs(head_pose(mirrored.landmarks).yaw + head_pose(sample.landmarks).yaw) < 4
    assert abs(head_pose(mirrored.landmarks).roll + head_pose(sample.landmarks).roll) < 3


def test_the_same_picture_gives_the_same_bytes(sample: Face) -> None:
    again = find_faces(astronaut())[0]
    assert again.landmarks.tobytes() == sample.landmarks.tobytes()
    picture = astronaut()
    assert refine_landmarks(picture, again).tobytes() == refine_landmarks(picture, sample).tobytes()


def test_small_faces_are_found_down_to_the_size_that_is_refused() -> None:
    small = cv2.resize(astronaut(), None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    scene = np.full((900, 1600, 3), 150, np.uint8)
    scene[300 : 300 + small.shape[0], 900 : 900 + small.shape[1]] = small
    faces = find_faces(scene)
    assert len(faces) == 1
    assert 14 < faces[0].interocular < 20
