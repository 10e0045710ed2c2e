"""The face network sees the same person through size, turn and light, and says so the same way every time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from portrait_head.errors import PortraitHeadError
from portrait_head.evaluation import likeness
from portrait_head.photo.faces import find_faces
from skimage import data

pytest.importorskip("dlib", reason="dlib is in the development extra")


@pytest.fixture(scope="module")
def portrait() -> tuple[np.ndarray, np.ndarray]:
    image = data.astronaut()
    return image, likeness.points_of_mesh(find_faces(image)[0].landmarks)


def test_the_chip_is_upright_and_the_points_lie_where_they_should(portrait):
    image, points = portrait
    marked = np.zeros_like(image)
    for x, y in points:
        cv2.circle(marked, (round(x - 0.5), round(y - 0.5)), 2, (255, 255, 255), -1)
    (chip,) = likeness.face_chips(marked, points)
    eyes = chip[:75, :, 0].astype(float)
    rows, columns = np.nonzero(eyes > 60)
    assert abs(rows.mean() - 48) < 6
    assert abs(columns.mean() - 74) < 6


def test_same_picture_same_numbers_whatever_its_size_and_turn(portrait):
    image, points = portrait
    first = likeness.embedding(image, points, jitters=2)
    assert first.shape == (128,)
    np.testing.assert_array_equal(first, likeness.embedding(image, points, jitters=2))
    turned = np.ascontiguousarray(cv2.resize(np.rot90(image), None, fx=1.5, fy=1.5))
    turned_points = np.stack([points[:, 1], image.shape[1] - points[:, 0]], axis=1) * 1.5
    assert likeness.distance(first, likeness.embedding(turned, turned_points, jitters=2)) < 0.15
    dimmed = (image * 0.7).astype(np.uint8)
    assert likeness.distance(first, likeness.embedding(dimmed, points, jitters=2)) < 0.3


def test_the_box_and_the_mesh_place_the_same_face(portrait):
    image, points = portrait
    box = find_faces(image)[0].box
    assert np.abs(likeness.points_in_box(image, box) - points).max() < 5
    mirrored = np.ascontiguousarray(image[:, ::-1])
    width = image.shape[1]
    other = likeness.points_in_box(mirrored, np.array([width - box[2], box[1], width - box[0], box[3]]))
    one = likeness.embedding(image, points, jitters=4)
    assert likeness.distance(one, likeness.embedding(mirrored, other, jitters=4)) < likeness.SAME_PERSON


def test_a_missing_package_is_named():
    with pytest.raises(PortraitHeadError, match="no_such_package_of_faces") as caught:
        likeness._require("no_such_package_of_faces")
    assert caught.value.kind == "missing_package"
