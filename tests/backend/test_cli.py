"""The command line as a user meets it: every failure is a sentence, an exit status and nothing half made."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest


def portrait_head(*arguments: object, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "portrait_head", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, **options)


def refused(done: subprocess.CompletedProcess) -> str:
    """The sentence of a run that failed as it should."""
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    sentences = done.stderr.strip().splitlines()[-1]
    assert sentences.endswith((".", "!", ")")) or "apt-get" in sentences, sentences
    return sentences


@pytest.fixture
def flat_picture(tmp_path: Path) -> Path:
    path = tmp_path / "ünï cödé photo.png"
    image = np.full((400, 400, 3), 128, np.uint8)
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    return path


def test_no_face_is_said_and_leaves_no_asset(flat_picture, tmp_path):
    said = refused(portrait_head("generate", flat_picture, "--output", tmp_path / "job"))

    assert "face" in said
    assert not (tmp_path / "job" / "asset").exists()
    assert not (tmp_path / "job" / "report.json").exists()
    assert not list((tmp_path / "job").glob(".*.part"))


def test_a_face_number_too_high_names_how_many_there_are(tmp_path):
    said = refused(portrait_head("generate", "--sample", "--face", 3, "--output", tmp_path / "job"))

    assert "3" in said and "1" in said


def test_no_photo_is_said(tmp_path):
    assert "photo" in refused(portrait_head("generate", "--output", tmp_path / "job"))


def test_a_setting_that_cannot_be_is_said_as_json_too(tmp_path):
    done = portrait_head("generate", "--sample", "--face", 0, "--output", tmp_path / "job", "--json")
    (event,) = (json.loads(line) for line in done.stdout.splitlines())

    assert done.returncode == 1
    assert (event["method"], event["kind"]) == ("error", "bad_request")
    assert not (tmp_path / "job").exists()


def test_the_diffusion_tier_is_never_silently_replaced(tmp_path):
    own = {**os.environ, "PORTRAIT_HEAD_MODELS": str(tmp_path / "models")}
    command = ("generate", "--sample", "--tier", "diffusion", "--output", tmp_path / "job")
    assert "13 of 13 model packs" in refused(portrait_head(*command, "--device", "cpu", env=own))
    said = refused(portrait_head(*command, env=own))

    assert "embedded" in said and "portrait-head models download" in said
    assert not (tmp_path / "job").exists()


@pytest.mark.skipif(os.geteuid() != 0 if hasattr(os, "geteuid") else True, reason="needs root to mount a small disk")
def test_a_full_disk_is_said_and_the_job_goes_on_when_there_is_room(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this system does not let root mount a tmpfs")
    try:
        said = refused(portrait_head("generate", "--sample", "--output", disk / "job"))
        assert "full" in said and str(disk) in said
        assert not (disk / "job" / "01_portrait").exists()

        subprocess.run(["mount", "-o", "remount,size=600m", str(disk)], check=True)
        assert portrait_head("generate", "--sample", "--output", disk / "job").returncode == 0
        assert (disk / "job" / "asset" / "asset.json").exists()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_events_as_json_lines(sample_job, tmp_path):
    done = portrait_head("generate", "--sample", "--output", sample_job, "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]

    assert done.returncode == 0
    assert events[0]["method"] == "stage" and events[-1]["method"] == "done"


def test_the_report_says_what_ran(sample_job):
    report = json.loads((sample_job / "report.json").read_text())

    assert report["tier"] == "embedded" and report["device"] == "cpu"
    names = ["portrait", "fit", "guide", "sculpt", "texture", "expressions", "assemble"]
    assert [stage["name"] for stage in report["stages"]] == names
    assert all(stage["seconds"] >= 0 and stage["peak_memory_mb"] > 0 for stage in report["stages"])
    assert 0 < report["fit"]["nme_after"] <= report["fit"]["nme_before"]


def test_doctor_finds_this_machine_well():
    done = portrait_head("doctor")

    assert done.returncode == 0, done.stdout
    assert "head model" in done.stdout
