"""What the panel asks for, as the backend reads it, and read back from a job folder."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from addon.client.errors import ClientError
from addon.client.request import HeadSettings, check_files

OTHERS = {
    "face": 2,
    "preset": "high",
    "seed": 5,
    "texture_size": 4096,
    "delight": 0.25,
    "hair": "none",
    "tier": "diffusion",
    "prompt": "grey beard",
    "style": "marble statue",
    "initial_mesh": "/heads/mine.ply",
}


def test_every_setting_reaches_the_request_and_comes_back_from_it():
    settings = HeadSettings("/photos/anna.jpg", **OTHERS)
    assert {each.name for each in fields(settings)} == {"photo", *OTHERS}, "the table above has them all"
    assert HeadSettings.from_request(settings.to_request()) == settings


def test_a_request_of_an_older_release_is_completed_as_usual():
    settings = HeadSettings.from_request({"photos": ["/photos/anna.jpg"], "face": None, "seed": 3, "packs": "auto"})
    assert settings == HeadSettings("/photos/anna.jpg", face=1, seed=3)


def test_paths_in_a_request_are_whole_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    request = HeadSettings("anna.jpg", initial_mesh="mine.ply").to_request()
    assert (request["photos"], request["initial_mesh"]) == ([f"{tmp_path}/anna.jpg"], f"{tmp_path}/mine.ply")
    assert HeadSettings("sample").to_request()["photos"] == ["sample"]
    assert HeadSettings("sample").to_request()["initial_mesh"] == ""


@pytest.mark.parametrize("name", ["none", "n" * 300, "null\0byte"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str):
    photo = tmp_path / "anna.jpg"
    photo.touch()
    settings = HeadSettings(str(photo))
    check_files(settings)
    check_files(replace(settings, initial_mesh=str(tmp_path)))  # a folder that PanoHead left
    with pytest.raises(ClientError, match=name) as caught:
        check_files(replace(settings, initial_mesh=str(tmp_path / name)))
    assert caught.value.kind == "mesh_missing"
    with pytest.raises(ClientError, match=name) as caught:
        check_files(replace(settings, photo=str(tmp_path / name)))
    assert caught.value.kind == "photo_missing"
