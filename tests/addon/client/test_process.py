from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from addon.client import process as process_module
from addon.client.errors import ClientError
from addon.client.process import WorkerProcess

REPOSITORY = Path(__file__).parents[3]


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", textwrap.dedent(code))


def receive_until_end(process: WorkerProcess) -> list[bytes]:
    lines = []
    deadline = time.monotonic() + 20
    while not process.ended:
        assert time.monotonic() < deadline
        lines += process.receive()
        time.sleep(0.005)
    return lines + process.receive()


def test_lines_go_out_and_come_back(tmp_path: Path):
    process = WorkerProcess(python("print(input()[::-1])"), tmp_path / "log")
    process.send("Müller\n".encode())
    assert receive_until_end(process) == ["rellüM".encode()]
    assert process.exit_status == 0
    process.close()


def test_a_last_line_without_end_is_received(tmp_path: Path):
    process = WorkerProcess(python("print('first'); print('last', end='')"), tmp_path / "log")
    assert receive_until_end(process) == [b"first", b"last"]
    process.close()


def test_writing_to_a_child_that_does_not_read_never_waits(tmp_path: Path):
    process = WorkerProcess(python("import time; time.sleep(60)"), tmp_path / "log")
    started = time.perf_counter()
    for _ in range(64):
        process.send(b"x" * 65536 + b"\n")
    assert process.receive() == []
    assert time.perf_counter() - started < 30.0, "the child sleeps for a minute"
    process.close(grace=0.0)


def test_a_line_larger_than_the_pipe_arrives_in_the_end(tmp_path: Path):
    process = WorkerProcess(python("import time; time.sleep(.3); print(len(input()))"), tmp_path / "log")
    process.send(b"x" * 1_000_000 + b"\n")
    assert receive_until_end(process) == [b"1000000"]
    process.close()


def test_a_flood_is_taken_in_portions(tmp_path: Path):
    process = WorkerProcess(python("import os\nwhile True: os.write(1, b'y' * 65535 + b'\\n')"), tmp_path / "log")
    time.sleep(0.3)
    for _ in range(5):
        received = sum(len(line) for line in process.receive())
        assert received <= process_module.READ_AT_MOST + process_module.CHUNK
    process.close(grace=0.0)


def test_however_many_messages_wait_a_call_hands_out_few_and_loses_none(tmp_path: Path):
    """What a call costs does not grow with what has piled up, on however slow a machine."""
    count = 5000
    process = WorkerProcess(python(f"for number in range({count}): print(number)"), tmp_path / "log")
    deadline = time.monotonic() + 20
    while process.exit_status is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    portions = []
    while not process.ended:
        portions.append(process.receive())
    assert max(len(portion) for portion in portions) <= process_module.LINES_AT_MOST
    assert [int(line) for portion in portions for line in portion] == list(range(count))
    process.close()


def test_writing_to_a_dead_child_is_no_crash(tmp_path: Path):
    process = WorkerProcess(python("pass"), tmp_path / "log")
    receive_until_end(process)
    process.send(b"anyone?\n")
    assert process.receive() == []
    process.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGPIPE")
def test_a_dead_child_does_not_kill_a_host_with_default_signals(tmp_path: Path):
    """Programs that embed Python may leave SIGPIPE at its default, which ends them."""
    host = f"""
        import signal, sys, time
        sys.path.insert(0, {str(REPOSITORY)!r})
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        from pathlib import Path
        from addon.client.process import WorkerProcess
        process = WorkerProcess((sys.executable, "-c", "pass"), Path({str(tmp_path / "log")!r}))
        while process.exit_status is None: time.sleep(.01)
        process.send(b"anyone?\\n")
        process.receive()
        print("alive")
    """
    assert subprocess.run(python(host), capture_output=True, text=True, timeout=30).stdout == "alive\n"


def test_stderr_goes_to_the_log_and_only_our_part_is_quoted(tmp_path: Path):
    log = tmp_path / "logs" / "backend.log"
    for word in ("first", "second"):
        process = WorkerProcess(python(f"import sys; sys.stderr.write({word!r} + chr(10))"), log)
        receive_until_end(process)
        assert process.log_tail() == word
        process.close()
    assert log.read_text() == "first\nsecond\n"


def test_a_long_log_starts_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process_module, "LOG_LIMIT", 10)
    log = tmp_path / "log"
    log.write_text("a" * 11)
    process = WorkerProcess(python("pass"), log)
    receive_until_end(process)
    process.close()
    assert log.read_text() == ""
    assert (tmp_path / "log.1").read_text() == "a" * 11


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ClientError, match="log file") as failure:
        WorkerProcess(python("pass"), tmp_path / "file" / "log")
    assert failure.value.kind == "log_unwritable"


def test_close_lets_the_child_end_by_itself(tmp_path: Path):
    process = WorkerProcess(python("import sys; sys.stdin.read(); sys.exit(7)"), tmp_path / "log")
    process.close(grace=10.0)
    assert process.exit_status == 7


def test_close_ends_a_child_that_will_not(tmp_path: Path):
    process = WorkerProcess(python("import time; time.sleep(60)"), tmp_path / "log")
    started = time.monotonic()
    process.close(grace=0.2)
    assert process.exit_status not in (None, 0)
    assert time.monotonic() - started < 5


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal is Linux's; elsewhere the end of stdin does it")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs util-linux' setpriv")
def test_the_worker_dies_with_its_parent_even_when_busy(tmp_path: Path):
    host = f"""
        import sys, time
        sys.path.insert(0, {str(REPOSITORY)!r})
        from pathlib import Path
        from addon.client.process import WorkerProcess
        process = WorkerProcess((sys.executable, "-c", "while True: pass"), Path({str(tmp_path / "log")!r}))
        print(process._process.pid, flush=True)
        time.sleep(60)
    """
    parent = subprocess.Popen(python(host), stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    deadline = time.monotonic() + 10
    while not any(b"while True" in word for word in Path(f"/proc/{worker}/cmdline").read_bytes().split(b"\0")[2:3]):
        assert time.monotonic() < deadline, "it has not got beyond setpriv"
        time.sleep(0.01)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 5
    while _runs(worker):
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
