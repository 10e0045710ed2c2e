import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

ENOUGH = 60.0  # seconds; nothing here takes a tenth of that on an idle machine


class Peer:
    """The other end of a real worker's pipes."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "portrait_head", "worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.lines: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.put(line)

    def send_bytes(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, number, method, **params) -> None:
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        self.send_bytes(json.dumps(message).encode() + b"\n")

    def receive(self) -> dict:
        message = json.loads(self.lines.get(timeout=ENOUGH))
        assert message["jsonrpc"] == "2.0"
        return message

    def answer_to(self, number) -> dict:
        while True:
            message = self.receive()
            if "method" not in message and message["id"] == number:
                return message

    def notification(self, method: str) -> dict:
        while True:
            message = self.receive()
            if message.get("method") == method:
                return message["params"]


@pytest.fixture
def worker():
    peer = Peer()
    yield peer
    peer.process.kill()
    peer.process.wait()


def generate(worker: Peer, folder: Path, number=1) -> None:
    worker.send(number, "generate", request={"photos": ["sample"]}, job=str(folder))


def test_hello_tells_protocol_version_and_device(worker):
    worker.send(1, "hello", protocol=1)

    assert worker.answer_to(1)["result"] == {
        "protocol": 1,
        "version": "0.1.0",
        "device": "cpu",
        "vram_mb": 0,
        "packs": [],
    }


def test_it_survives_garbage_and_still_answers(worker):
    noise = random.Random(5)
    for _ in range(300):
        worker.send_bytes(noise.randbytes(noise.randrange(1, 200)).replace(b"\n", b"") + b"\n")
    for line in (
        b"[]",
        b"17",
        b'{"id": 3}',
        b'{"method": 5}',
        b'{"method": "hello", "params": [1]}',
        b'{"method": "x"}',
    ):
        worker.send_bytes(line + b"\n")
    worker.send("last", "hello")

    assert worker.answer_to("last")["result"]["protocol"] == 1


def test_a_bad_request_is_refused_with_a_hint(worker, tmp_path):
    worker.send(1, "generate", request={"photos": ["sample"], "colour": "red"}, job=str(tmp_path))
    error = worker.answer_to(1)["error"]
    assert "colour" in error["message"] and error["data"]["hint"]

    worker.send(2, "generate", request={"photos": ["sample"]})
    assert "job" in worker.answer_to(2)["error"]["message"]


def test_a_photo_that_is_not_there_is_an_error_event(worker, tmp_path):
    worker.send(1, "generate", request={"photos": [str(tmp_path / "none.jpg")]}, job=str(tmp_path / "job"))
    failed = worker.notification("error")

    assert "none.jpg" in failed["message"] and failed["hint"] and failed["kind"] != "unexpected"


def test_cancel_answers_within_a_second_and_the_job_can_go_on(worker, tmp_path):
    generate(worker, tmp_path / "job")
    while worker.notification("stage")["name"] != "fit":
        pass
    asked = time.monotonic()
    worker.send(2, "cancel")
    assert worker.answer_to(2)["result"] == {"cancelled": True}
    assert time.monotonic() - asked < 1.0
    assert worker.notification("error")["kind"] == "cancelled"
    assert not (tmp_path / "job" / "asset").exists()

    generate(worker, tmp_path / "job", 3)
    done = worker.notification("done")
    assert (Path(done["asset"]) / "asset.json").exists()
    assert json.loads(Path(done["report"]).read_text())["stages"][0]["resumed"] is True


def test_a_dead_engine_is_told_and_the_worker_lives(worker, tmp_path):
    generate(worker, tmp_path / "job")
    worker.notification("progress")
    children = Path(f"/proc/{worker.process.pid}/task/{worker.process.pid}/children")
    if not children.exists():
        pytest.skip("needs /proc to find the engine")
    for child in children.read_text().split():
        os.kill(int(child), signal.SIGKILL)
    assert worker.notification("error")["kind"] == "engine_died"

    worker.send(9, "hello")
    assert worker.answer_to(9)["result"]


@pytest.mark.parametrize("busy", [False, True])
def test_it_ends_when_its_parent_closes_the_pipe(worker, tmp_path, busy):
    worker.send(1, "hello")
    worker.answer_to(1)
    if busy:
        generate(worker, tmp_path / "job", 2)
        worker.notification("progress")
    worker.process.stdin.close()

    assert worker.process.wait(timeout=5) == 0


def test_shutdown_ends_it(worker):
    worker.send(1, "shutdown")
    worker.answer_to(1)

    assert worker.process.wait(timeout=5) == 0
