"""What a worker tells of the faces in a photo, read without trusting it."""

from __future__ import annotations

import pytest

from addon.client.photo_faces import FoundFace, faces_from, place_in_words


def test_faces_are_named_by_their_place():
    def at(left: float) -> FoundFace:
        return FoundFace((left, 0.0, left + 0.1, 0.5), 100)

    faces = (at(0.8), at(0.1), at(0.6), at(0.3), at(0.4))
    assert [place_in_words(faces, index) for index in range(5)] == [
        "right", "left", "4. from left", "2. from left", "middle",
    ]  # fmt: skip
    assert place_in_words(faces[:1], 0) == "the only one"


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"faces": None},
        {"faces": [1]},
        {"faces": [{"box": [0, 0, 1], "pixels": 5}]},
        {"faces": [{"box": [0, 0, 1, float("nan")], "pixels": 5}]},
        {"faces": [{"box": "abcd", "pixels": 5}]},
        {"faces": [{"box": [0, 0, 1, 1], "pixels": 1e400}]},
        {"faces": [{"box": [0, 0, 1, 1], "pixels": 5, "picture": 7}]},
        {"faces": [{"box": [0, 0, 1, 1], "pixels": 5, "picture": "x"}]},
        {"faces": [{"box": [0, 0, 1, 1], "pixels": 5, "warnings": 7}]},
    ],
)
def test_an_answer_of_another_form_is_refused(answer: dict):
    with pytest.raises(ValueError, match=r"\w"):
        faces_from(answer)


def test_a_newer_worker_may_tell_more():
    told = {"box": [0, 0, 0.5, 1], "pixels": 80, "mood": "good"}
    assert faces_from({"faces": [told], "default": 1, "more": 2}) == (FoundFace((0.0, 0.0, 0.5, 1.0), 80),)
