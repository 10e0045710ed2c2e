"""What the panel reads from job folders, the catalogue of packs and the log."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from addon.client.errors import ClientError
from addon.client.photo_faces import place_in_words
from addon.client.request import SKIN, HeadSettings
from addon.job_records import folder_name, read_faces, read_records
from addon.packs import RECORD, read_packs
from addon.report import failure_report


def write_job(folder: Path, photo: str, when: int, finished: bool = True, **request: object) -> Path:
    folder.mkdir(parents=True)
    path = folder / "request.json"
    path.write_text(json.dumps({"photos": [photo], **request}))
    os.utime(path, (when, when))
    if finished:
        (folder / "asset").mkdir()
        (folder / "asset" / "asset.json").write_text("{}")
    return folder


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photo that is older than what was found in it."""
    photo = tmp_path / "anna.jpg"
    photo.touch()
    os.utime(photo, (100, 100))
    return photo


def write_faces(job: Path, *boxes: tuple[float, float, float, float]) -> None:
    (job / "01_portrait").mkdir(parents=True)
    np.savez(job / "01_portrait" / "arrays.npz", faces=np.array(boxes, np.float32).reshape(-1, 4))


def test_jobs_are_listed_the_latest_first(tmp_path: Path):
    write_job(tmp_path / "a", "/photos/anna.jpg", 100, seed=3, texture_size=4096, preset="high", face=2)
    write_job(tmp_path / "b", "/photos/ben.jpg", 200, finished=False)
    later, earlier = read_records(tmp_path)
    assert (later.photo.name, later.finished) == ("ben.jpg", False)
    asked = {"seed": 3, "texture_size": 4096, "preset": "high", "face": 2}
    assert earlier.settings == HeadSettings("/photos/anna.jpg", **asked)
    assert later.settings == HeadSettings("/photos/ben.jpg", face=1)
    assert earlier.asset == tmp_path / "a" / "asset"


def other(value: Any) -> Any:
    if isinstance(value, str):
        return f"another {value}"
    return value / 2 if isinstance(value, float) else (value or 1) + 1


def test_another_head_gets_another_folder_and_another_skin_the_same():
    anna = HeadSettings("anna.jpg")
    others = {
        each.name: folder_name(dataclasses.replace(anna, **{each.name: other(getattr(anna, each.name))}))
        for each in dataclasses.fields(anna)
    }
    assert {name for name, folder in others.items() if folder == folder_name(anna)} == set(SKIN)
    assert len(set(others.values())) == 1 + len(others) - len(SKIN), "no two of them share one"
    assert folder_name(dataclasses.replace(anna, face=1)) == folder_name(anna), "the largest, named or not"


def test_heads_from_before_keep_their_folders():
    assert folder_name(HeadSettings("/photos/anna.jpg", seed=2)) == "anna-f6ee2974"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"photos": []}', '{"photos": ["a"], "seed": "x"}'])
def test_folders_that_are_no_jobs_are_passed_over(tmp_path: Path, text: str):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "request.json").write_text(text)
    (tmp_path / "file").touch()
    assert read_records(tmp_path) == ()
    assert read_records(tmp_path / "nowhere") == ()


def test_faces_are_named_by_their_place(tmp_path: Path, photo: Path):
    write_faces(tmp_path, (500, 10, 900, 400), (10, 10, 210, 200), (300, 20, 400, 120))
    faces = read_faces(tmp_path, photo)
    assert [place_in_words(faces, index) for index in range(3)] == ["right", "left", "middle"]
    assert faces[0].pixels == 395
    assert place_in_words(faces[:1], 0) == "the only one"


def test_faces_of_a_photo_that_has_been_changed_since_are_not_told_of(tmp_path: Path, photo: Path):
    write_faces(tmp_path, (500, 10, 900, 400))
    assert len(read_faces(tmp_path, photo)) == 1
    found = (tmp_path / "01_portrait" / "arrays.npz").stat().st_mtime
    os.utime(photo, (found + 1, found + 1))
    assert read_faces(tmp_path, photo) == ()
    photo.unlink()
    assert read_faces(tmp_path, photo) == ()


def test_no_faces_are_told_of_before_they_were_looked_for_or_from_a_damaged_file(tmp_path: Path, photo: Path):
    assert read_faces(tmp_path, photo) == ()
    write_faces(tmp_path / "none")
    assert read_faces(tmp_path / "none", photo) == ()
    write_faces(tmp_path / "cut", (0, 0, 1, 1))
    path = tmp_path / "cut" / "01_portrait" / "arrays.npz"
    path.write_bytes(path.read_bytes()[:40])
    assert read_faces(tmp_path / "cut", photo) == ()


def test_every_pack_of_the_catalogue_is_shown_with_its_licence(tmp_path: Path):
    packs = read_packs(tmp_path)
    assert packs
    assert all(pack.title and pack.licence and pack.url.startswith("https://") for pack in packs)
    assert all(pack.gigabytes > 0 for pack in packs)
    assert not any(pack.here for pack in packs)
    first = packs[0].name
    (tmp_path / first).mkdir()
    (tmp_path / first / RECORD).write_text("{}")
    assert [pack.name for pack in read_packs(tmp_path) if pack.here] == [first]
    assert any(not pack.commercial for pack in packs), "the non-commercial ones are told apart"


def test_a_catalogue_that_is_not_there_or_damaged_is_an_empty_list(tmp_path: Path):
    assert read_packs(tmp_path, tmp_path / "none.toml") == ()
    (tmp_path / "half.toml").write_text('[packs.a]\ntitle = "x"\n')
    assert read_packs(tmp_path, tmp_path / "half.toml") == ()


def test_a_report_says_what_happened_and_hides_the_user_s_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    log = tmp_path / "backend.log"
    log.write_text("\n".join(f"line {number} in {tmp_path}/photos" for number in range(100)))
    error = ClientError("no_face", f"No face in “{tmp_path}/anna.jpg”.", "Choose another photo.")
    text = failure_report(error, "4.5.0", "0.1.0", "in your user folder, cpu", log)
    assert "no_face: No face in “~/anna.jpg”." in text
    assert "Choose another photo." in text
    assert "line 99 in ~/photos" in text
    assert "line 3 " not in text, "the end of the log is enough"
    assert str(tmp_path) not in text
    assert "(there is no log)" in failure_report(error, "4.5.0", "0.1.0", "", tmp_path / "none.log")
