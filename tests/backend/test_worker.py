import base64
import errno
import io
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
from portrait_head.worker import Worker

ENOUGH = 180.0  # seconds; nothing here takes a tenth of that on an idle machine


class Peer:
    """The other end of a real worker's pipes."""

    def __init__(self, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "portrait_head", "worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **environment},
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

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def worker():
    peer = Peer()
    yield peer
    peer.end()


def generate(worker: Peer, folder: Path, number=1) -> None:
    request = {"photos": ["sample"], "preset": "quick", "texture_size": 1024}
    worker.send(number, "generate", request=request, job=str(folder))


def engines(worker: Peer) -> list[int]:
    children = Path(f"/proc/{worker.process.pid}/task/{worker.process.pid}/children")
    if not children.exists():
        pytest.skip("needs /proc to find the engine")
    return [int(child) for child in children.read_text().split()]


def test_hello_tells_protocol_version_device_and_packs(tmp_path):
    for name in ("sd15", "auraface"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pack.json").write_text("{}")
    peer = Peer(PORTRAIT_HEAD_MODELS=str(tmp_path), CUDA_VISIBLE_DEVICES="")
    try:
        peer.send(1, "hello", protocol=1)
        told = peer.answer_to(1)["result"]
    finally:
        peer.end()

    assert (told["protocol"], told["version"]) == (1, "0.1.0")
    assert (told["device"], told["vram_mb"]) == ("cpu", 0)
    assert told["device_name"]
    assert told["packs"] == ["auraface", "sd15"]
    assert told["tiers"]["embedded"]["reason"] == ""
    assert "NVIDIA" in told["tiers"]["diffusion"]["reason"]
    assert told["tiers"]["diffusion"]["hint"]


@pytest.fixture(scope="module")
def group_photo(tmp_path_factory) -> str:
    """The sample portrait twice, enlarged: on the right 75 pixels lie between the pupils, on the left half as many."""
    from PIL import Image
    from portrait_head.photo.sample import photo_path

    person = Image.open(photo_path("sample")).convert("RGB")
    both = Image.new("RGB", (person.width * 3 // 2, person.height), (128, 128, 128))
    both.paste(person.reduce(2), (0, 0))
    both.paste(person, (person.width // 2, 0))
    both = both.resize((both.width * 7 // 4, both.height * 7 // 4))
    path = tmp_path_factory.mktemp("photos") / "group.jpg"
    both.save(path, quality=95)
    return str(path)


def test_the_faces_of_a_photo_can_be_asked_for_before_a_run(worker, group_photo, tmp_path):
    from PIL import Image

    worker.send(1, "faces", photo=group_photo)
    worker.send(2, "faces", photo=group_photo)
    worker.send(3, "generate", request={"photos": [blank_photo(tmp_path)]}, job=str(tmp_path / "job"))
    assert worker.answer_to(2)["error"]["data"]["kind"] == "busy"
    assert worker.answer_to(3)["result"], "a job need not wait for the answer"
    found = worker.answer_to(1)["result"]
    assert worker.notification("error")["kind"] == "no_face", "it follows"

    large, small = found["faces"]
    assert found["default"] == 1
    assert large["pixels"] == pytest.approx(2 * small["pixels"], rel=0.1)
    for face, (left, right) in ((large, (1 / 3, 1)), (small, (0, 1 / 3))):
        assert left < face["box"][0] < face["box"][2] < right
        assert 0 < face["box"][1] < face["box"][3] < 1
        assert face["trouble"] == ""
        assert Image.open(io.BytesIO(base64.b64decode(face["picture"]))).size == (96, 96)
    assert large["warnings"] == []
    assert "small" in small["warnings"][0]

    worker.send(4, "faces", photo="sample")
    assert len(worker.answer_to(4)["result"]["faces"]) == 1


def test_a_photo_without_faces_or_that_is_none_is_told_with_a_hint(worker, tmp_path):
    (tmp_path / "note.jpg").write_text("no picture")
    photos = {blank_photo(tmp_path): "no_face", str(tmp_path / "none.jpg"): "photo_missing", "\ud800": None}
    photos |= {str(tmp_path / "note.jpg"): "photo_format", str(tmp_path): "photo_is_folder", "": "bad_request"}
    for number, (photo, kind) in enumerate(photos.items()):
        worker.send(number, "faces", photo=photo)
        error = worker.answer_to(number)["error"]
        assert error["message"] and error["data"]["hint"]
        assert error["data"]["kind"] == kind or (kind is None and error["data"]["kind"].startswith("photo")), error
    worker.send("last", "faces", photo=[1])
    assert worker.answer_to("last")["error"]["data"]["kind"] == "bad_request"


def test_looking_at_a_photo_can_be_cancelled_and_its_engine_may_die(worker, group_photo):
    worker.send(1, "faces", photo=group_photo)
    asked = time.monotonic()
    worker.send(2, "cancel")
    assert worker.answer_to(2)["result"] == {"cancelled": True}
    assert worker.answer_to(1)["error"]["data"]["kind"] == "cancelled"
    assert time.monotonic() - asked < 1.0

    worker.send(3, "faces", photo=group_photo)
    worker.send(4, "hello")
    worker.answer_to(4)  # by now the engine has been started
    for child in engines(worker):
        os.kill(child, signal.SIGKILL)
    assert worker.answer_to(3)["error"]["data"]["kind"] == "engine_died"
    worker.send(5, "cancel")
    assert worker.answer_to(5)["result"] == {"cancelled": False}


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
    for child in engines(worker):
        os.kill(child, signal.SIGKILL)
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


def test_a_refusal_says_what_and_what_to_do(worker, tmp_path):
    worker.send(1, "hello", protocol=99)
    worker.send(2, "sing")
    worker.send(3, "generate", request={"photos": ["sample"]}, job="")
    worker.send_bytes(b'{"id": 4, "method": "hello", "params": [1]}\n{"id": [5], "method": "hello"}\n{"id": 6}\n')
    kinds = {}
    for number in (1, 2, 3, 4, None, None):
        message = worker.receive()
        assert message["id"] == number
        assert message["error"]["message"] and message["error"]["data"]["hint"]
        kinds[number] = message["error"]["data"]["kind"]
    assert kinds == {1: "protocol", 2: "unknown_method", 3: "bad_request", 4: "bad_request", None: "bad_request"}


def test_what_has_no_end_is_no_line_and_what_is_too_long_is_one_refusal(worker):
    piece = b'{"' * (1 << 19)
    for _ in range(5):
        worker.send_bytes(piece)
    worker.send_bytes(b"\n" + b"[" * 100_000 + b'\n\n\r\n{"id": 1, "method": "hel')
    worker.send_bytes(b'lo"}\r\n{"id": 2, "meth')
    answers = [worker.receive() for _ in range(3)]
    assert [answer.get("error", {}).get("code") for answer in answers] == [-32700, -32700, None]
    worker.process.stdin.close()
    assert worker.process.wait(timeout=5) == 0


@pytest.fixture
def unread_worker():
    """A worker whose answers nobody reads until the test does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "portrait_head", "worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    yield process
    process.kill()
    process.wait()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to look at memory")
def test_a_flood_to_a_worker_whose_answers_nobody_reads_waits_and_fills_no_memory(unread_worker):
    count = 100_000
    flood = b"".join(b'{"id": %d, "method": "hello"}\n' % number for number in range(count))
    writer = threading.Thread(target=lambda: (unread_worker.stdin.write(flood), unread_worker.stdin.close()))
    writer.start()
    time.sleep(2.0)
    memory = next(
        line for line in Path(f"/proc/{unread_worker.pid}/status").read_text().splitlines() if "VmRSS" in line
    )
    assert int(memory.split()[1]) < 100_000  # kB; the flood's answers alone are 11 MB, as Python objects far more
    assert writer.is_alive(), "it does not accept what it cannot answer"

    numbers = [json.loads(line)["id"] for line in unread_worker.stdout]
    assert numbers == list(range(count))
    writer.join()
    assert unread_worker.wait(timeout=5) == 0


def test_a_slow_reader_does_not_hold_up_the_job_and_misses_nothing_but_old_progress(unread_worker, tmp_path):
    requests = [{"id": number, "method": "hello"} for number in range(700)]  # more than a pipe holds, fewer than wait
    job = {"photos": [str(tmp_path / "none.jpg")]}
    for folder in ("one", "two"):
        requests.append({"id": folder, "method": "generate", "params": {"request": job, "job": str(tmp_path / folder)}})
    for request in requests:
        unread_worker.stdin.write(json.dumps(request).encode() + b"\n")
    unread_worker.stdin.flush()
    log = tmp_path / "one" / "events.jsonl"
    give_up = time.monotonic() + ENOUGH
    while not log.exists():
        assert time.monotonic() < give_up
        time.sleep(0.05)

    messages = []
    while not messages or messages[-1].get("method") != "error":
        messages.append(json.loads(unread_worker.stdout.readline()))
    assert [message["id"] for message in messages if "id" in message] == [*range(700), "one", "two"]
    assert next(message for message in messages if message.get("id") == "two")["error"]["data"]["kind"] == "busy"


def blank_photo(folder: Path) -> str:
    from PIL import Image

    Image.new("RGB", (640, 640), (120, 130, 140)).save(folder / "blank.jpg")
    return str(folder / "blank.jpg")


def test_the_second_job_finds_imports_and_models_warm(worker, tmp_path):
    request = {"photos": [blank_photo(tmp_path)]}
    begun, over = [], []
    for number in range(2):
        started = time.monotonic()
        worker.send(number, "generate", request=request, job=str(tmp_path / "job"))
        worker.notification("stage")
        begun.append(time.monotonic() - started)
        assert worker.notification("error")["kind"] == "no_face"
        over.append(time.monotonic() - started)
    print(f"first stage after {begun[0]:.2f}, then {begun[1]:.3f} s; faces sought after {over[0]:.2f}, {over[1]:.2f} s")
    assert begun[1] < begun[0] / 5  # nothing is imported again
    assert over[1] - begun[1] < over[0] - begun[0]  # the face networks are not loaded again


STRANGE = (None, True, -1, 1e400, "", "\0", "ä\ud800", [], {}, [[]], {"a": {"b": 1}}, "x" * 5000, 10**30)
JOBS = ("job", "", "\0", 5, None, ["job"])


def strange_requests(chance: random.Random, count: int) -> list[bytes]:
    """Random bytes, broken JSON, and real methods with any parameters, in any order."""
    lines = []
    for number in range(count):
        kind = chance.randrange(4)
        if kind == 0:
            lines.append(chance.randbytes(chance.randrange(300)).replace(b"\n", b""))
            continue
        method = chance.choice(("hello", "generate", "faces", "cancel", "hello!", ""))
        request = {
            "photos": ["none.jpg"],
            chance.choice(("seed", "tier", "photos", "face", "?")): chance.choice(STRANGE),
        }
        params = {"protocol": chance.choice((1, *STRANGE)), "job": chance.choice(JOBS), "request": request}
        params["photo"] = chance.choice(("none.jpg", *STRANGE))
        message = {"jsonrpc": "2.0", "id": chance.choice((number, *STRANGE)), "method": method, "params": params}
        if kind == 1:
            message[chance.choice(tuple(message))] = chance.choice(STRANGE)
        line = json.dumps(message).encode()
        lines.append(line[: chance.randrange(len(line))] if kind == 2 and method != "generate" else line)
    return lines


def test_no_request_however_strange_hangs_or_crashes_it(tmp_path):
    chance = random.Random(20)
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "portrait_head", "worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        cwd=tmp_path,
    )
    assert process.stdin and process.stdout
    started = time.monotonic()
    answered = 0
    try:
        for round_ in range(60):
            lines = [*strange_requests(chance, 40), json.dumps({"id": f"round {round_}", "method": "hello"}).encode()]
            process.stdin.write(b"\n".join(lines) + b"\n")
            process.stdin.flush()
            while (message := json.loads(process.stdout.readline())).get("id") != f"round {round_}":
                assert message["jsonrpc"] == "2.0"
                answered += 1
        process.stdin.close()
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.wait()
        log.close()
    print(f"{60 * 40} strange requests, {answered} answers and events, {time.monotonic() - started:.1f} s")
    assert time.monotonic() - started < 30
    text = (tmp_path / "log").read_text(errors="replace")
    assert "Traceback" not in text, text[-2000:]
    assert {path.name for path in tmp_path.iterdir()} <= {"log", "job"}


def test_a_computer_that_cannot_start_the_engine_is_not_busy_with_it():
    class Starved(Worker):
        def _warm_engine(self):
            raise OSError(errno.ENOMEM, "Cannot allocate memory")

    requests, answers = os.pipe(), os.pipe()
    for number, method in enumerate(("generate", "generate", "faces", "faces")):
        params = {"request": {"photos": ["sample"]}, "job": "job", "photo": "sample"}
        os.write(requests[1], json.dumps({"id": number, "method": method, "params": params}).encode() + b"\n")
    os.close(requests[1])
    Starved(requests[0], answers[1]).run()
    told = [json.loads(line) for line in os.read(answers[0], 1 << 16).splitlines()]

    assert [message["id"] for message in told] == [0, 1, 2, 3]
    assert {message["error"]["data"]["kind"] for message in told} == {"out_of_memory"}
