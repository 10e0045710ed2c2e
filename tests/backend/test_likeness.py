"""Likeness in texture and fit, on real people: the sample portrait and the picture of six that insightface carries."""

import importlib.util
from pathlib import Path

import pytest
from portrait_head.evaluation.likeness import SAME_PERSON
from portrait_head.evaluation.likeness_table import evaluate_likeness

pytest.importorskip("dlib", reason="needs dlib-bin of the dev extra")


def group_picture() -> Path | None:
    spec = importlib.util.find_spec("insightface")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "data/images/t1.jpg"


@pytest.fixture(scope="module")
def likeness(tmp_path_factory):
    photo = group_picture()
    if photo is None:
        pytest.skip("needs the picture in insightface: pip install --no-deps insightface")
    return evaluate_likeness(("sample", str(photo)), tmp_path_factory.mktemp("likeness"))


def test_every_face_of_the_picture_is_made(likeness):
    assert [person["name"] for person in likeness["people"]] == ["sample_1", *(f"t1_{face}" for face in range(1, 7))]


def test_the_network_knows_everyone_again_from_every_side(likeness):
    for person in likeness["people"]:
        for yaw, found in person["distance"].items():
            assert found < SAME_PERSON, (person["name"], yaw)
            assert found < person["nearest_other"][yaw], (person["name"], yaw)


def test_the_face_rendered_again_in_the_photos_camera_is_the_photo(likeness):
    for person in likeness["people"]:
        assert person["ssim"] >= 0.85, person["name"]


def test_landmarks_are_met(likeness):
    before, after = ([person[name] for person in likeness["people"]] for name in ("nme_before", "nme_after"))

    assert sum(before) / len(before) <= 0.03
    assert sum(after) / len(after) <= 0.005
    # One face is turned by 50 degrees: MediaPipe guesses its far half.
    assert max(after) <= 0.012
