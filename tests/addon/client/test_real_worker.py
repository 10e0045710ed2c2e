"""The client with the real worker, and what both must know alike."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import tomllib
from pathlib import Path

import pytest

from addon.client import request
from addon.client.backend import Backend, find_backend
from addon.client.draining import drain
from addon.client.errors import ClientError
from addon.client.events import StageStarted
from addon.client.request import HeadSettings
from addon.client.session import Session, Steps
from addon.client.state import State

portrait_head = pytest.importorskip("portrait_head", reason="the backend is not installed in this Python")
backend_request = importlib.import_module("portrait_head.request")
ROOT = Path(__file__).parents[3]


STAGES = ("portrait", "fit", "guide", "sculpt", "texture", "expressions", "assemble")
QUICK = HeadSettings("sample", preset="quick", texture_size=1024).to_request()
needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to look at processes")


@pytest.fixture
def session(tmp_path: Path):
    session = Session(find_backend(sys.executable), tmp_path / "backend.log")
    yield session
    session.close()


def reach(session: Session, job: Path, stage: str) -> Steps:
    """Start or continue a job and step until `stage` has begun; everything before it is resumed."""
    steps = session.generate(QUICK, job)
    for events in steps:
        if any(isinstance(event, StageStarted) and event.name == stage for event in events):
            return steps
        time.sleep(0.01)
    raise AssertionError(f"{stage} never began")


def step_to_failure(steps: Steps) -> ClientError:
    with pytest.raises(ClientError) as failure:
        for _ in steps:
            time.sleep(0.01)
    return failure.value


def family(pid: int) -> set[int]:
    """A process and all that come of it."""
    found = {pid}
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found |= family(int(child))
    return found


def run_still(pids: set[int]) -> set[int]:
    alive = set()
    for pid in pids:
        status = Path(f"/proc/{pid}/stat")
        if status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z":
            alive.add(pid)
    return alive


def wait_for_end(pids: set[int], seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while alive := run_still(pids):
        assert time.monotonic() < give_up, f"{alive} of {pids} live on"
        time.sleep(0.02)


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
    while session.state is not State.RUNNING:
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


@needs_proc
def test_in_each_stage_a_cancel_answers_within_a_second_and_a_dead_worker_is_told(session: Session, tmp_path: Path):
    job = tmp_path / "job"
    answers = []
    for stage in STAGES:
        steps = reach(session, job, stage)
        asked = time.monotonic()
        session.cancel()
        assert step_to_failure(steps).kind == "cancelled"
        answers.append(time.monotonic() - asked)
        assert session.state is State.READY

        steps = reach(session, job, stage)
        assert session._process is not None
        processes = family(session._process._process.pid)
        assert len(processes) >= 2, "the worker and its engine"
        os.kill(session._process._process.pid, signal.SIGKILL)
        error = step_to_failure(steps)
        assert error.kind == "backend_died"
        assert "memory" in error.message
        assert error.hint
        assert session.state is State.ERROR
        wait_for_end(processes, 3.0)
    print("cancel answered after", ", ".join(f"{one:.2f}" for one in answers), "s")
    assert max(answers) < 1.0

    finished = drain(session.generate(QUICK, job), lambda event: None, session.cancel)
    report = json.loads(Path(finished.report).read_text(encoding="utf-8"))
    assert [cost["resumed"] for cost in report["stages"][:-1]] == [True] * (len(STAGES) - 1)
    assert (Path(finished.asset) / "asset.json").exists()


@needs_proc
@pytest.mark.parametrize("tied", [True, False], ids=["with the death signal", "by the end of the pipe alone"])
def test_when_blender_dies_during_a_job_nothing_of_the_backend_stays(tmp_path: Path, tied: bool):
    if tied and (sys.platform != "linux" or shutil.which("setpriv") is None):
        pytest.skip("needs util-linux' setpriv")
    blender = textwrap.dedent(f"""
        import sys, time
        sys.path.insert(0, {str(ROOT)!r})
        from pathlib import Path
        from addon.client import lifetime
        from addon.client.backend import Backend, find_backend
        from addon.client.events import StageStarted
        from addon.client.session import Session
        if not {tied}:
            lifetime.tied = list
        session = Session(find_backend(sys.executable), Path({str(tmp_path / "backend.log")!r}))
        for events in session.generate({QUICK!r}, Path({str(tmp_path / "job")!r})):
            if any(isinstance(event, StageStarted) and event.name == "fit" for event in events):
                print(session._process._process.pid, flush=True)
            time.sleep(0.02)
    """)
    process = subprocess.Popen([sys.executable, "-c", blender], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    processes = family(int(process.stdout.readline()))
    assert len(processes) >= 2
    process.kill()
    process.wait()
    wait_for_end(processes, 3.0)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_too_little_memory_is_told_and_the_job_continues_with_more(tmp_path: Path, session: Session):
    job = tmp_path / "job"
    steps = reach(session, job, "texture")
    session.cancel()
    step_to_failure(steps)
    finished = {file: file.stat().st_mtime_ns for file in job.glob("*/stage.json")}
    assert len(finished) == 4

    for megabytes in (400, 700):  # the first is too little to load the packages, the second to work with them
        limited = f"ulimit -v {megabytes * 1024}; exec '{sys.executable}' -m portrait_head worker"
        starved = Session(Backend(("sh", "-c", limited), "in the test"), tmp_path / "starved.log")
        try:
            error = step_to_failure(starved.generate(QUICK, job))
        finally:
            starved.close()
        assert error.kind in ("out_of_memory", "engine_died", "backend_died")
        assert "memory" in error.message
        assert "Close other programs" in error.hint

    reach(session, job, "expressions").close()
    assert {file: file.stat().st_mtime_ns for file in finished} == finished
