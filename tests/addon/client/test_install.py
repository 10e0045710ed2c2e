"""The session while it installs; `tests/backend/test_install.py` installs in earnest."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from addon.client import session as session_module
from addon.client.backend import Backend
from addon.client.draining import drain, drain_installation
from addon.client.errors import ClientError
from addon.client.events import Event, Installed, InstallStep, ProgressMade, Warned
from addon.client.installer import SCRIPT, Action, Installation, events_from_line, own_version
from addon.client.session import Session
from addon.client.state import State

SHAM = Path(__file__).parents[1] / "sham_installer.py"
PEER = Path(__file__).parents[1] / "peer.py"


class Place:
    """A folder in which the sham installer works, and the session that calls it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.session = Session(None, folder.parent / "backend.log")
        self.told: list[Event] = []

    def find(self) -> Backend:
        if not (self.folder / "backend").exists():
            raise ClientError("backend_missing", "There is none.")
        return Backend((sys.executable, str(PEER), "well"), "in the test")

    def steps(self, action: Action = Action.INSTALL):
        return self.session.install(Installation(self.folder, action, script=SHAM), self.find)

    def install(self, action: Action = Action.INSTALL) -> Installed:
        return drain_installation(self.steps(action), self.told.append, self.session.cancel)

    def step_until_told(self, steps) -> None:
        while not next(steps):
            time.sleep(0.01)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path):
    place = Place(tmp_path / getattr(request, "param", "good"))
    yield place
    place.session.close()


def test_what_is_not_installed_is_installed_and_then_makes_heads(place: Place, tmp_path: Path):
    session = place.session
    assert session.state is State.NOT_INSTALLED
    with pytest.raises(ClientError, match="Press Install"):
        next(session.generate({"photos": ["portrait.jpg"]}, tmp_path / "job"))

    assert place.install() == Installed(str(place.folder), "1.2.3")
    assert place.told == [
        InstallStep("environment", "Making the environment"),
        ProgressMade(10.0, 100.0, None),
        Warned("this Python is Blender's own"),
        Installed(str(place.folder), "1.2.3"),
    ]
    assert session.state is State.STOPPED

    drain(session.generate({"photos": ["portrait.jpg"]}, tmp_path / "job"), lambda event: None, session.cancel)
    assert session.state is State.READY


def test_a_running_worker_is_stopped_before_its_environment_is_changed(place: Place, tmp_path: Path):
    place.install()
    session = place.session
    drain(session.generate({"photos": ["portrait.jpg"]}, tmp_path / "job"), lambda event: None, session.cancel)
    worker = session._process
    assert worker is not None
    assert place.install(Action.REMOVE).version == ""
    assert worker.exit_status == 0
    assert session.state is State.NOT_INSTALLED


@pytest.mark.parametrize("place", ["stuck"], indirect=True)
def test_installing_is_shown_and_nothing_else_begins_meanwhile(place: Place, tmp_path: Path):
    steps = place.steps()
    place.step_until_told(steps)
    assert place.session.state is State.INSTALLING
    for other in (place.steps(), place.session.generate({"photos": ["portrait.jpg"]}, tmp_path / "job")):
        with pytest.raises(ClientError, match="being installed") as failure:
            next(other)
        assert failure.value.kind == "busy"
    assert place.session.state is State.INSTALLING
    steps.close()
    assert place.session.state is State.NOT_INSTALLED


@pytest.mark.parametrize("place", ["stuck", "deaf"], indirect=True)
def test_cancel_ends_the_installer(place: Place, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(session_module, "CANCEL_SECONDS", 1.0)
    steps = place.steps()
    place.step_until_told(steps)
    process = place.session._process
    asked = time.monotonic()
    place.session.cancel()
    assert place.session.cancelling
    with pytest.raises(ClientError, match="installation was cancelled") as failure:
        for _ in steps:
            time.sleep(0.01)
    assert failure.value.kind == "cancelled"
    assert time.monotonic() - asked < 2.0
    assert process is not None
    while process.exit_status is None:  # nobody waits for it
        assert time.monotonic() - asked < 5.0
        time.sleep(0.01)
    assert place.session.state is State.NOT_INSTALLED


@pytest.mark.parametrize(
    ("place", "words"), [("bad", "The disk is full"), ("dead", "No module named 'venv'")], indirect=["place"]
)
def test_a_failed_installation_is_told_and_can_be_tried_again(place: Place, words: str):
    for _ in range(2):
        with pytest.raises(ClientError, match=words) as failure:
            place.install()
        assert failure.value.hint
        assert place.session.state is State.ERROR
        assert place.session.error is failure.value


@pytest.mark.parametrize("place", ["noisy"], indirect=True)
def test_noise_among_the_lines_does_no_harm(place: Place):
    place.install()
    assert [type(event) for event in place.told] == [InstallStep, ProgressMade, Warned, Installed]


@pytest.mark.parametrize(
    "line",
    [b"", b"\xff", b"[]", b"{}", b"3", b"[" * 9000, b'{"error": 5}', b'{"finished": {}}', b'{"step": 1, "done": []}'],
)
def test_no_line_makes_reading_fail(line: bytes):
    assert events_from_line(line) == ()


def test_the_command_names_folder_device_wheels_and_what_to_do(tmp_path: Path):
    command = Installation(tmp_path, Action.UPGRADE, "cuda", "/wheels", "/usr/bin/python3").command()
    text = " ".join(command)
    assert command[0] == "/usr/bin/python3"
    assert f"--json --folder {tmp_path} --device cuda --upgrade --wheels /wheels" in text
    assert str(SCRIPT) in command


def test_our_own_version_is_the_manifests():
    assert own_version().count(".") == 2
