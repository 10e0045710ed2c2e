"""The client with the real worker, and what both must know alike."""

from __future__ import annotations

import importlib
import sys
import time
import tomllib
from pathlib import Path

import pytest

from addon.client import request
from addon.client.backend import find_backend
from addon.client.errors import ClientError
from addon.client.request import HeadSettings
from addon.client.session import Session, State, drain

portrait_head = pytest.importorskip("portrait_head", reason="the backend is not installed in this Python")
backend_request = importlib.import_module("portrait_head.request")
ROOT = Path(__file__).parents[3]


@pytest.fixture
def session(tmp_path: Path):
    session = Session(find_backend(sys.executable), tmp_path / "backend.log")
    yield session
    session.close()


def run(session: Session, settings: HeadSettings, job: Path):
    return drain(session.generate(settings.to_request(), job), lambda event: None, session.cancel)


def test_both_sides_know_the_same_settings():
    assert request.PRESETS == backend_request.PRESETS
    assert request.TEXTURE_SIZES == backend_request.TEXTURE_SIZES
    backend_request.HeadRequest.from_dict(HeadSettings("anna.jpg").to_request())


def test_the_extension_and_the_backend_have_one_version():
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
    assert manifest["version"] == portrait_head.__version__


def test_a_photo_that_is_none_is_told_with_a_hint_and_the_worker_stays(session: Session, tmp_path: Path):
    (tmp_path / "note.jpg").write_text("no picture")
    for _ in range(2):
        with pytest.raises(ClientError) as failure:
            run(session, HeadSettings(str(tmp_path / "note.jpg")), tmp_path / "job")
        assert failure.value.kind not in ("unexpected", "backend_died")
        assert failure.value.hint
        assert session.state is State.READY
    assert session.hello["version"] == portrait_head.__version__


def test_a_setting_out_of_range_is_refused_by_name(session: Session, tmp_path: Path):
    with pytest.raises(ClientError, match="seed is -1") as failure:
        run(session, HeadSettings("sample", seed=-1), tmp_path / "job")
    assert failure.value.kind == "bad_request"


def test_cancel_answers_within_a_second_and_the_worker_stays(session: Session, tmp_path: Path):
    steps = session.generate(HeadSettings("sample").to_request(), tmp_path / "job")
    while session.state is not State.WORKING:
        next(steps)
        time.sleep(0.02)
    next(steps)
    session.cancel()
    asked = time.monotonic()
    with pytest.raises(ClientError) as failure:
        while True:
            next(steps)
            time.sleep(0.02)
    assert failure.value.kind == "cancelled"
    assert time.monotonic() - asked < 1.0
    assert session.state is State.READY


def test_the_worker_ends_when_asked(session: Session, tmp_path: Path):
    with pytest.raises(ClientError):
        run(session, HeadSettings("sample", seed=-1), tmp_path / "job")
    process = session._process
    assert process is not None
    session.close()
    assert process.exit_status == 0
