from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.client.errors import ClientError
from addon.client.outputs import expand_photos, folder_names, make_writable, nearly_full, staged


def test_a_folder_stands_for_its_photos_in_order(tmp_path: Path):
    for file in ("b.JPG", "a.png", "notes.txt", "c.webp"):
        (tmp_path / file).touch()
    (tmp_path / "d.jpg").mkdir()
    assert expand_photos(["x.jpg", str(tmp_path)]) == [
        "x.jpg",
        *(str(tmp_path / f) for f in ("a.png", "b.JPG", "c.webp")),
    ]


def test_a_folder_without_photos_is_told(tmp_path: Path):
    with pytest.raises(ClientError, match="no photo"):
        expand_photos([str(tmp_path)])


def test_each_photo_gets_a_folder_of_its_name():
    photos = ["sample", "a/anna.jpg", "b/anna.png", "b/Anna.png", "c/anna_2.jpg", "sample.jpg", "d/père noël.jpg"]
    assert folder_names(photos) == [
        "sample", "anna", "anna_2", "Anna_3", "anna_2_2", "sample_2", "père noël",
    ]  # fmt: skip


@given(st.lists(st.text(min_size=1, max_size=6).filter(lambda text: "\0" not in text), max_size=12))
def test_no_two_photos_share_a_folder_and_none_escapes(photos: list[str]):
    names = folder_names(photos)
    assert len({name.casefold() for name in names}) == len(photos)
    assert all(name and name not in (".", "..") and "/" not in name for name in names)


def test_results_appear_together(tmp_path: Path):
    with staged(tmp_path / "anna") as staging:
        (staging / "head.glb").write_text("new")
        (staging / "report.json").write_text("new")
        assert [path.name for path in (tmp_path / "anna").iterdir()] == [staging.name]
    assert sorted(path.name for path in (tmp_path / "anna").iterdir()) == ["head.glb", "report.json"]


def test_a_failure_leaves_nothing_of_it_and_the_old_result_alone(tmp_path: Path):
    for file in ("head.glb", "report.json"):
        (tmp_path / file).write_text("old")
    with pytest.raises(ZeroDivisionError), staged(tmp_path) as staging:
        (staging / "head.glb").write_text("half")
        raise ZeroDivisionError
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"head.glb": "old", "report.json": "old"}


def test_what_a_killed_run_left_is_cleared(tmp_path: Path):
    code = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from pathlib import Path
from addon.client.outputs import staged
with staged(Path({str(tmp_path)!r})) as staging:
    (staging / "head.glb").write_text("half")
    os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    assert not (tmp_path / "head.glb").exists()
    with staged(tmp_path) as staging:
        assert list(staging.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(ClientError, match="file") as failure:
        make_writable(tmp_path / "file" / "out")
    assert failure.value.kind == "output_unwritable"
    assert failure.value.hint


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs root on Linux to mount a small disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", disk], capture_output=True).returncode:
        pytest.skip("this container may not mount")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_is_told_and_nothing_stays(small_disk: Path):
    make_writable(small_disk)
    with pytest.raises(ClientError, match="full") as failure, staged(small_disk / "anna") as staging:
        (staging / "head.glb").write_bytes(b"x" * 1_000_000)
    assert failure.value.kind == "disk_full"
    assert list((small_disk / "anna").iterdir()) == []
    assert nearly_full(small_disk / "not" / "there" / "yet")


def test_a_read_only_disk_is_told(small_disk: Path):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(ClientError) as failure:
        make_writable(small_disk / "out")
    assert failure.value.kind == "output_unwritable"
