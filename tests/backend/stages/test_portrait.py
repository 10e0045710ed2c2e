"""The portrait stage: one face of one photo, described for the stages that follow, or a sentence why not."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from portrait_head import storage
from portrait_head.errors import PortraitHeadError
from portrait_head.photo.sample import photo_path
from portrait_head.progress import Progress
from portrait_head.request import HeadRequest
from portrait_head.stages import portrait
from portrait_head.stages.portrait import Portrait

from tests.backend.photo.pictures import astronaut, group_photo


def run(photo: str | Path, face: int | None = None) -> Portrait:
    return portrait.run(HeadRequest(photos=(str(photo),), face=face), Progress())


def refusal(photo: str | Path, face: int | None = None) -> PortraitHeadError:
    with pytest.raises(PortraitHeadError) as caught:
        run(photo, face)
    assert caught.value.message.endswith(".")
    assert caught.value.hint.endswith(".")
    return caught.value


def saved(picture: np.ndarray, folder: Path, name: str = "photo.png") -> Path:
    path = folder / name
    Image.fromarray(picture).save(path)
    return path


@dataclass(frozen=True)
class Made:
    portrait: Portrait
    fractions: tuple[float, ...]


@pytest.fixture(scope="module")
def sample() -> Made:
    fractions: list[float] = []
    made = portrait.run(HeadRequest(photos=("sample",)), Progress(fractions.append))
    return Made(made, tuple(fractions))


def test_more_photos_are_not_left_out_without_a_word() -> None:
    made = portrait.run(HeadRequest(photos=("sample", "other.jpg")), Progress())

    assert any("alone" in warning and "diffusion" in warning for warning in made.warnings)


def test_the_sample_portrait(sample: Made) -> None:
    made = sample.portrait
    side = made.image.shape[0]
    assert made.image.shape == (side, side, 3)
    assert 512 <= side <= 1280
    assert made.landmarks.shape == (478, 3)
    assert made.landmarks.dtype == np.float32
    assert made.valid.shape == made.person.shape == made.hair.shape == made.skin.shape == (side, side)
    assert made.valid.dtype == np.bool_
    assert made.hair_style == "volume"
    assert made.faces.shape == (1, 4)
    assert made.face == 0
    assert 38 < made.interocular < 48
    (warning,) = made.warnings
    assert "The face is small (43 pixels between the pupils)" in warning


def test_window_pixels_map_back_to_the_photo(sample: Made) -> None:
    x0, y0, scale = sample.portrait.window
    in_photo = sample.portrait.landmarks[:, :2] * scale + (x0, y0)
    left, top, right, bottom = sample.portrait.faces[0]
    low, high = in_photo.min(axis=0), in_photo.max(axis=0)
    assert np.abs(low - (left, top)).max() < 3
    assert np.abs(high - (right, bottom)).max() < 3
    apart = np.linalg.norm(in_photo[473] - in_photo[468])
    assert abs(apart - sample.portrait.interocular) < 0.1


def test_progress_rises_to_one(sample: Made) -> None:
    assert list(sample.fractions) == sorted(sample.fractions)
    assert sample.fractions[-1] == 1.0
    assert len(sample.fractions) >= 3


def test_the_result_can_be_stored(sample: Made, tmp_path: Path) -> None:
    storage.save(tmp_path, sample.portrait)
    again = storage.load(tmp_path, Portrait)
    for field in fields(Portrait):
        assert np.array_equal(getattr(again, field.name), getattr(sample.portrait, field.name)), field.name


def test_each_person_of_a_group_can_be_chosen() -> None:
    photo = group_photo()
    everyone = [run(photo, number) for number in (1, 3, 6)]
    centres = [one.faces[one.face].reshape(2, 2).mean(axis=0) for one in everyone]
    for one, centre in zip(everyone, centres, strict=True):
        x0, y0, scale = one.window
        middle = one.landmarks[:, :2].mean(axis=0) * scale + (x0, y0)
        assert np.linalg.norm(middle - centre) < 0.3 * (one.faces[one.face][2] - one.faces[one.face][0])
    assert [one.face for one in everyone] == [0, 2, 5]
    largest = run(photo)
    assert largest.face == 0
    assert "6 faces" in largest.warnings[0]
    error = refusal(photo, 7)
    assert error.kind == "bad_face"
    assert "6 faces" in error.message


def test_a_turned_photo_gives_the_same_head(sample: Made, tmp_path: Path) -> None:
    made = run(saved(np.ascontiguousarray(np.rot90(astronaut())), tmp_path))
    assert "turned upright" in made.warnings[0]
    assert np.abs(made.landmarks - sample.portrait.landmarks).max() < 6


def stick_figure() -> np.ndarray:
    picture = np.full((500, 500, 3), 255, np.uint8)
    cv2.circle(picture, (250, 250), 160, (0, 0, 0), 5)
    for x in (190, 310):
        cv2.circle(picture, (x, 210), 14, (0, 0, 0), -1)
    cv2.line(picture, (200, 330), (300, 330), (0, 0, 0), 5)
    return picture


def cartoon() -> np.ndarray:
    picture = np.full((500, 500, 3), (200, 220, 255), np.uint8)
    cv2.ellipse(picture, (250, 250), (130, 170), 0, 0, 360, (240, 200, 170), -1)
    for x in (200, 300):
        cv2.ellipse(picture, (x, 220), (26, 14), 0, 0, 360, (255, 255, 255), -1)
        cv2.circle(picture, (x, 220), 10, (60, 40, 20), -1)
        cv2.line(picture, (x - 28, 190), (x + 28, 190), (80, 50, 30), 7)
    cv2.ellipse(picture, (250, 270), (16, 22), 0, 0, 180, (200, 150, 120), 4)
    cv2.ellipse(picture, (250, 330), (50, 22), 0, 0, 180, (190, 60, 60), -1)
    cv2.ellipse(picture, (250, 150), (135, 95), 0, 180, 360, (90, 50, 20), -1)
    return picture


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (400, 600, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "picture",
    [np.full((300, 400, 3), 128, np.uint8), np.zeros((1, 1, 3), np.uint8), noise()],
    ids=["flat", "one pixel", "noise"],
)
def test_no_face(picture: np.ndarray, tmp_path: Path) -> None:
    assert refusal(saved(picture, tmp_path)).kind == "no_face"


@pytest.mark.parametrize("name", ["drawing.png", "drawing.jpg"])
@pytest.mark.parametrize("picture", [stick_figure(), cartoon()], ids=["stick figure", "cartoon"])
def test_a_drawing_is_refused(picture: np.ndarray, name: str, tmp_path: Path) -> None:
    """MediaPipe takes both for faces."""
    assert refusal(saved(picture, tmp_path, name)).kind in ("drawing", "no_face")


def test_a_distant_face_is_too_small(tmp_path: Path) -> None:
    scene = np.full((900, 1200, 3), 150, np.uint8)
    small = cv2.resize(astronaut(), None, fx=0.32, fy=0.32, interpolation=cv2.INTER_AREA)
    scene[300 : 300 + small.shape[0], 500 : 500 + small.shape[1]] = small
    assert refusal(saved(scene, tmp_path)).kind in ("face_too_small", "no_face")


def test_a_face_60_pixels_wide_works_with_a_warning(tmp_path: Path) -> None:
    made = run(saved(cv2.resize(astronaut(), None, fx=0.66, fy=0.66, interpolation=cv2.INTER_AREA), tmp_path))
    left, _, right, _ = made.faces[0]
    assert 45 < right - left < 70
    assert any("small" in warning for warning in made.warnings)


def test_a_large_photo_is_reduced_to_the_window(sample: Made, tmp_path: Path) -> None:
    large = cv2.resize(astronaut(), None, fx=7, fy=7, interpolation=cv2.INTER_CUBIC)
    made = run(saved(large, tmp_path, "large.jpg"))
    assert made.image.shape[0] <= 1280
    assert abs(made.interocular / sample.portrait.interocular - 7) < 0.2
    assert made.hair_style == "volume"


@pytest.mark.parametrize("crop", [(60, 190, 170, 280), (0, 512, 100, 330), (40, 512, 0, 512)])
def test_tight_and_uneven_crops(crop: tuple[int, int, int, int], tmp_path: Path) -> None:
    top, bottom, left, right = crop
    made = run(saved(astronaut()[top:bottom, left:right], tmp_path))
    assert not made.hair[~made.valid].any()
    assert not made.person[~made.valid].any()
    inner = made.landmarks[:, :2].mean(axis=0).astype(int)
    assert made.person[inner[1], inner[0]] > 0.9
    assert made.skin[inner[1], inner[0]] > 0.5


@pytest.mark.parametrize("name", ["no such.jpg", "empty.jpg", "text.jpg"])
def test_unreadable_photos_are_sentences(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_bytes(b"hello" * 100)
    assert refusal(tmp_path / name).kind in ("photo_missing", "photo_empty", "photo_format")


SCRIPT = """
import hashlib, sys
from dataclasses import fields
import numpy as np
from portrait_head.progress import Progress
from portrait_head.request import HeadRequest
from portrait_head.stages import portrait
made = portrait.run(HeadRequest(photos=(sys.argv[1],)), Progress())
digest = hashlib.sha256()
for field in fields(made):
    value = getattr(made, field.name)
    digest.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
sys.stderr.write("digest " + digest.hexdigest())
"""


def test_another_process_gives_the_same_bytes_and_keeps_the_streams_clean(sample: Made) -> None:
    """Standard output belongs to the worker's protocol, and MediaPipe's notices are of no use in a log."""
    digest = hashlib.sha256()
    for field in fields(Portrait):
        value = getattr(sample.portrait, field.name)
        digest.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    search = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(photo_path("sample"))],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": search},
        check=True,
    )
    assert done.stdout == ""
    assert done.stderr == "digest " + digest.hexdigest()
