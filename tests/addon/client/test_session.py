from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from addon.client import session as session_module
from addon.client.backend import Backend
from addon.client.draining import drain
from addon.client.errors import ClientError
from addon.client.events import Event, FacesFound, Finished, ProgressMade, StageStarted, Warned
from addon.client.session import Session
from addon.client.state import State

REQUEST = {"photos": ["portrait.jpg"]}


def run(session: Session, job: Path, request: dict = REQUEST) -> tuple[Finished, list[Event]]:
    events: list[Event] = []
    return drain(session.generate(request, job), events.append, session.cancel), events


def step_until(steps, reached) -> None:
    """Step as the modal timer does until `reached()`."""
    deadline = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < deadline
        next(steps)
        time.sleep(0.01)


def test_a_job_tells_its_stages_and_ends_with_its_result(open_session, tmp_path: Path):
    session = open_session("well")
    finished, events = run(session, tmp_path / "job")
    assert finished == Finished(str(tmp_path / "job" / "asset"), str(tmp_path / "job" / "report.json"))
    assert [type(event) for event in events] == [
        StageStarted, ProgressMade, Warned, StageStarted, ProgressMade, Finished,
    ]  # fmt: skip
    assert session.state is State.READY
    assert session.hello["device"] == "cpu"


def test_the_worker_stays_for_the_next_job(open_session, tmp_path: Path):
    session = open_session("well")
    run(session, tmp_path / "one")
    process = session._process
    run(session, tmp_path / "two")
    assert session._process is process


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("state", [State.STARTING, State.RUNNING])
def test_a_step_never_waits(open_session, tmp_path: Path, state: State):
    """However slow the machine: a step that waits for a worker that stands still would have to be woken."""
    session = open_session("slow")
    steps = session.generate(REQUEST, tmp_path / "job")
    step_until(steps, lambda: session.state is state)
    worker = session._process._process
    worker.send_signal(signal.SIGSTOP)
    waker = threading.Timer(30.0, worker.send_signal, (signal.SIGCONT,))
    waker.start()
    for _ in range(200):
        next(steps)
    assert waker.is_alive(), "a step has waited until the worker was woken"
    waker.cancel()
    worker.send_signal(signal.SIGCONT)


def test_what_the_backend_reports_reaches_the_user_and_it_can_go_on(open_session, tmp_path: Path):
    session = open_session("well")
    with pytest.raises(ClientError) as failure:
        run(session, tmp_path / "bad", {"photos": ["bad.jpg"]})
    assert (failure.value.kind, failure.value.message) == ("no_face", "No face was found.")
    assert failure.value.hint == "Choose another photo."
    assert session.state is State.READY
    run(session, tmp_path / "good")


def test_a_refused_request_is_told_with_its_reason(open_session, tmp_path: Path):
    with pytest.raises(ClientError, match="seed is -1") as failure:
        run(open_session("refuse"), tmp_path)
    assert failure.value.kind == "bad_request"


def test_garbage_between_the_messages_does_no_harm_and_is_kept(open_session, tmp_path: Path):
    session = open_session("noisy")
    _, events = run(session, tmp_path / "job")
    assert Warned("in two pieces") in events
    assert isinstance(events[-1], Finished)
    assert "not a message" in session.log.read_text(encoding="utf-8")


def test_a_crash_is_told_with_the_last_words(open_session, tmp_path: Path):
    session = open_session("crash")
    with pytest.raises(ClientError, match="it all went wrong here") as failure:
        run(session, tmp_path)
    assert failure.value.kind == "backend_died"
    assert str(session.log) in failure.value.hint
    assert session.state is State.ERROR


def test_after_a_crash_the_next_job_starts_a_new_worker(open_session, tmp_path: Path):
    session = open_session("crash")
    for _ in range(2):
        with pytest.raises(ClientError, match="went wrong"):
            run(session, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_worker_is_explained(open_session, tmp_path: Path):
    with pytest.raises(ClientError, match="memory") as failure:
        run(open_session("killed"), tmp_path)
    assert "smaller" in failure.value.hint


def test_another_protocol_is_refused_with_both_numbers(open_session, tmp_path: Path):
    with pytest.raises(ClientError, match=r"version \d.*protocol 0.*speaks 1") as failure:
        run(open_session("old"), tmp_path)
    assert failure.value.kind == "protocol"


def test_a_backend_that_never_answers_is_given_up(open_session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(session_module, "HELLO_SECONDS", 0.5)
    with pytest.raises(ClientError, match="did not answer"):
        run(open_session("mute"), tmp_path)


def test_a_command_that_does_not_exist_is_named(tmp_path: Path):
    session = Session(Backend((str(tmp_path / "nothing"),), "test"), tmp_path / "log")
    with pytest.raises(ClientError, match="nothing") as failure:
        run(session, tmp_path)
    assert failure.value.kind == "backend_missing"


def test_a_python_without_the_backend_is_explained(tmp_path: Path):
    session = Session(Backend((sys.executable, "-m", "portrait_head_that_is_not_there"), "test"), tmp_path / "log")
    with pytest.raises(ClientError, match="no portrait_head in it") as failure:
        run(session, tmp_path)
    assert "pip install" in failure.value.hint


def test_cancel_ends_the_job_soon_and_keeps_the_worker(open_session, tmp_path: Path):
    session = open_session("slow")
    steps = session.generate(REQUEST, tmp_path / "job")
    step_until(steps, lambda: session.state is State.RUNNING)
    started = time.monotonic()
    session.cancel()
    with pytest.raises(ClientError) as failure:
        step_until(steps, lambda: False)
    assert failure.value.kind == "cancelled"
    assert time.monotonic() - started < 1.0
    assert session.state is State.READY


def test_a_worker_that_ignores_cancel_is_ended(open_session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(session_module, "CANCEL_SECONDS", 0.3)
    session = open_session("deaf")
    steps = session.generate(REQUEST, tmp_path / "job")
    step_until(steps, lambda: session.state is State.RUNNING)
    session.cancel()
    with pytest.raises(ClientError) as failure:
        step_until(steps, lambda: False)
    assert failure.value.kind == "cancelled"
    assert session.state is State.STOPPED


def test_cancel_while_the_backend_starts(open_session, tmp_path: Path):
    session = open_session("mute")
    steps = session.generate(REQUEST, tmp_path / "job")
    next(steps)
    session.cancel()
    with pytest.raises(ClientError, match="cancelled"):
        step_until(steps, lambda: False)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_cancels_a_drained_job(open_session, tmp_path: Path):
    session = open_session("slow")
    before = signal.getsignal(signal.SIGINT)
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(ClientError) as failure:
        run(session, tmp_path)
    assert failure.value.kind == "cancelled"
    assert session.state is State.READY, "the worker was asked, not killed by the same Ctrl-C"
    assert signal.getsignal(signal.SIGINT) is before


def test_one_head_at_a_time(open_session, tmp_path: Path):
    session = open_session("slow")
    steps = session.generate(REQUEST, tmp_path / "one")
    next(steps)
    with pytest.raises(ClientError, match="already"):
        next(session.generate(REQUEST, tmp_path / "two"))
    next(steps)


def test_a_dropped_job_leaves_no_worker_behind(open_session, tmp_path: Path):
    session = open_session("slow")
    steps = session.generate(REQUEST, tmp_path / "job")
    step_until(steps, lambda: session.state is State.RUNNING)
    process = session._process
    steps.close()
    assert process is not None
    assert process.exit_status is not None
    assert session.state is State.STOPPED


def test_a_worker_that_will_not_end_holds_nobody_up(open_session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    session = open_session("stubborn")
    run(session, tmp_path / "one")
    first = session._process
    session.renew(session.backend)
    assert first.exit_status is None, "it was not waited for"
    assert session.state is State.STOPPED
    assert session.hello == {}, "the next one is asked anew"
    run(session, tmp_path / "two")
    assert session._process is not first
    monkeypatch.setattr(session_module, "SHUTDOWN_SECONDS", 0.3)
    give_up = time.monotonic() + 10
    while first.exit_status is None:
        assert time.monotonic() < give_up
        assert session.state is State.READY, "looking at the state ends what is overdue"
        time.sleep(0.01)
    second = session._process
    session.renew(session.backend)
    session.close()
    assert second.exit_status is not None


def test_a_session_without_a_backend_any_more_is_not_installed(open_session, tmp_path: Path):
    session = open_session("well")
    run(session, tmp_path)
    session.renew(None)
    assert session.state is State.NOT_INSTALLED


def look(session: Session, photo: str) -> FacesFound:
    events: list[Event] = []
    for told in session.look(photo):
        events += told
        time.sleep(0.01)
    (found,) = events
    assert isinstance(found, FacesFound)
    return found


def test_the_faces_of_a_photo_are_told_by_a_backend_that_is_ready(open_session, tmp_path: Path):
    session = open_session("well")
    with pytest.raises(ClientError, match="not free"):
        look(session, "group.jpg")
    assert session.state is State.STOPPED, "nothing is started for it"
    run(session, tmp_path / "one")
    large, small = look(session, "group.jpg").faces
    assert (large.pixels, large.trouble, small.trouble) == (300, "", "The face is too small.")
    assert large.box == (0.5, 0.2, 0.9, 0.8)
    assert large.picture.startswith(b"\x89PNG")
    with pytest.raises(ClientError) as failure:
        look(session, "bad.jpg")
    assert (failure.value.kind, failure.value.hint) == ("no_face", "Choose another photo.")
    assert session.state is State.READY
    assert len(look(session, "anna.jpg").faces) == 1
    session.close()
    with pytest.raises(ClientError, match="not free"):
        look(session, "group.jpg")


def test_looking_never_waits_and_gives_way_to_a_job(open_session, tmp_path: Path):
    session = open_session("slow")
    steps = session.generate(REQUEST, tmp_path / "one")
    step_until(steps, lambda: session.state is State.RUNNING)
    session.cancel()
    with pytest.raises(ClientError):
        step_until(steps, lambda: False)

    looking = session.look("group.jpg")
    assert next(looking) == (), "the peer thinks for a second"
    with pytest.raises(ClientError, match="not free"):
        next(session.look("anna.jpg"))
    steps = session.generate(REQUEST, tmp_path / "two")
    step_until(steps, lambda: session.state is State.RUNNING)
    with pytest.raises(ClientError) as failure:
        next(looking)
    assert failure.value.kind == "cancelled"
    time.sleep(1.2)  # the answer that nobody waits for any more arrives among the job's events
    assert all(isinstance(event, ProgressMade | StageStarted) for event in next(steps))
    steps.close()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_backend_that_dies_while_it_looks_is_told(open_session, tmp_path: Path):
    session = open_session("well")
    run(session, tmp_path)
    looking = session.look("group.jpg")
    session._process._process.send_signal(signal.SIGSTOP)
    next(looking)
    session._process.kill()
    with pytest.raises(ClientError) as failure:
        step_until(looking, lambda: False)
    assert failure.value.kind == "backend_died"
    assert session.state is State.STOPPED


def test_a_backend_of_another_release_is_named_once(open_session, tmp_path: Path):
    session = open_session("other")
    _, events = run(session, tmp_path / "one")
    warnings = [event.message for event in events if isinstance(event, Warned)]
    assert "version 0.0.9" in warnings[0]
    assert "same release" in warnings[0]
    _, events = run(session, tmp_path / "two")
    assert len([event for event in events if isinstance(event, Warned)]) == len(warnings) - 1


def test_a_worker_that_ends_while_nobody_needs_it_is_noticed_and_started_anew(open_session, tmp_path: Path):
    session = open_session("well")
    run(session, tmp_path / "one")
    assert session.state is State.READY
    assert session._process is not None
    session._process.kill()
    assert session.state is State.STOPPED
    run(session, tmp_path / "two")
    assert session.state is State.READY


def test_the_states_of_one_job_in_order(open_session, tmp_path: Path):
    session = open_session("slow")
    seen = [session.state]
    steps = session.generate(REQUEST, tmp_path / "job")

    def look(until: State) -> bool:
        if session.state is not seen[-1]:
            seen.append(session.state)
        return session.state is until

    step_until(steps, lambda: look(State.RUNNING))
    session.cancel()
    assert session.cancelling
    with pytest.raises(ClientError):
        step_until(steps, lambda: False)
    look(State.READY)
    assert seen in (
        [State.STOPPED, State.STARTING, State.READY, State.RUNNING, State.READY],
        [State.STOPPED, State.STARTING, State.RUNNING, State.READY],  # ready is passed within one step
    )
    assert not session.cancelling
