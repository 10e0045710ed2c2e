"""The photographs of known heads: repeatable, different within a pair, and faces to a face detector."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_head.errors import PortraitHeadError
from portrait_head.evaluation.hard_pairs import IMAGE_SIZE, draw_people, ggx, photograph
from portrait_head.evaluation.ict import SKIN, load_known_heads
from portrait_head.photo.faces import find_faces


def test_people_are_the_same_whatever_their_number(heads):
    three, five = draw_people(heads, 3, seed=4), draw_people(heads, 5, seed=4)
    for first, second in zip(three, five[:3], strict=True):
        np.testing.assert_array_equal(first.vertices, second.vertices)
        assert first.shots[1].yaw == second.shots[1].yaw
    apart = np.linalg.norm(five[0].vertices - five[1].vertices, axis=1)[SKIN].mean()
    assert 0.002 < apart < 0.02


def test_the_second_picture_is_the_hard_one(heads):
    for person in draw_people(heads, 8, seed=0):
        plain, hard = person.shots
        assert 10 <= abs(hard.yaw) <= 20
        assert 0.3 <= hard.expression["mouthSmile_L"] + hard.expression["mouthSmile_R"] <= 1.4
        assert plain.light[0] * hard.light[0] < 0
        assert plain.distance > 2 * hard.distance


def test_a_pair_shows_one_face_each_where_the_detector_finds_it(heads):
    person = draw_people(heads, 1, seed=0)[0]
    for shot in person.shots:
        image = photograph(heads, person, shot)
        assert image.shape == (IMAGE_SIZE, IMAGE_SIZE, 3)
        (face,) = find_faces(image)
        left, top, right, bottom = face.box
        assert 250 < bottom - top < 450
        assert 200 < (left + right) / 2 < 568
    np.testing.assert_array_equal(photograph(heads, person, person.shots[1]), image)


def test_the_lobe_of_highlights_reflects_no_more_light_than_comes():
    generator = np.random.default_rng(0)
    view = np.array([[0.0, 0.6, 0.8]])
    lights = generator.normal(size=(4000, 3))
    lights /= np.linalg.norm(lights, axis=1, keepdims=True)
    up = np.array([[0.0, 0.0, 1.0]])
    reflected = [ggx(up, view, light, np.array([0.45]))[0] for light in lights if light[2] > 0]
    # ggx leaves out the pi of a matte surface's radiance, as its albedo does: the mean over the half space times two.
    assert 0.01 < 2 * np.mean(reflected) < 0.2


def test_a_folder_without_the_model_is_named(tmp_path):
    with pytest.raises(PortraitHeadError, match="ict_facekit") as caught:
        load_known_heads(tmp_path)
    assert caught.value.kind == "no_data"
