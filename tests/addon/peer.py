"""A worker that speaks the real protocol over real pipes, with the manners its argument names. No head is computed.

    python peer.py MANNER [FOLDER]

MANNER: well, other, slow, deaf, crash, killed, noisy, old, refuse, mute, unread. FOLDER: a head asset to copy.
A photo whose name contains "bad" fails with `no_face`, whatever the manner.
"""

import json
import os
import shutil
import signal
import sys
import threading
import time
import tomllib
from pathlib import Path

MANNER = sys.argv[1]
VERSION = tomllib.loads((Path(__file__).parents[2] / "blender_manifest.toml").read_text(encoding="utf-8"))["version"]
ASSET = Path(sys.argv[2]) if len(sys.argv) > 2 else None
cancelled = threading.Event()
lock = threading.Lock()


def write(message: dict) -> None:
    with lock:
        sys.stdout.buffer.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        sys.stdout.buffer.flush()


def tell(method: str, **params: object) -> None:
    write({"method": method, "params": params})


def reply(identifier: int, **result: object) -> None:
    write({"id": identifier, "result": result})


def make(request: dict, job: Path) -> None:
    job.mkdir(parents=True, exist_ok=True)
    (job / "request.json").write_text(json.dumps(request))
    if "bad" in request["photos"][0]:
        tell("error", kind="no_face", message="No face was found.", hint="Choose another photo.")
        return
    tell("stage", name="portrait", index=1, count=2)
    tell("progress", done=0.25, total=1.0, eta_s=1.5)
    if MANNER == "crash":
        print("it all went wrong here", file=sys.stderr, flush=True)
        os._exit(3)
    if MANNER == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if MANNER == "noisy":
        with lock:
            sys.stdout.buffer.write(
                b'\xff\xfe not a message\n\n[1, 2]\n{"method": 5}\n{"id": "x"}\n' + b"[" * 9000 + b"\n"
            )
            for piece in (
                b'{"jsonrpc": "2.0", "method": "warn',
                b'ing", "params": {"message": "in two ',
                b'pieces"}}\r\n',
            ):
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
                time.sleep(0.1)
        tell("progress", done="much", total=None, eta_s=[])
        tell("dance", steps=3)
    if MANNER in ("slow", "deaf"):
        for step in range(3000):
            if cancelled.is_set():
                tell("error", kind="cancelled", message="The job was cancelled.", hint="")
                return
            tell("progress", done=0.25 + step / 6000, total=1.0, eta_s=1.0)
            time.sleep(0.01)
    tell("warning", message="the chin is in shadow")
    tell("stage", name="fit", index=2, count=2)
    tell("progress", done=1.0, total=1.0, eta_s=0.0)
    asset = job / "asset"
    if ASSET is not None:
        shutil.copytree(ASSET, asset, dirs_exist_ok=True)
    stages = [{"name": name, "seconds": 0.1, "peak_memory_mb": 10.0} for name in ("portrait", "fit")]
    report = {"tier": "embedded", "device": "cpu", "total_seconds": 0.2, "stages": stages, "warnings": []}
    (job / "report.json").write_text(json.dumps({**report, "request": request}))
    tell("done", asset=str(asset), report=str(job / "report.json"))


def main() -> None:
    if MANNER == "unread":
        time.sleep(60)
    for line in sys.stdin.buffer:
        message = json.loads(line)
        identifier, params = message["id"], message["params"]
        match message["method"]:
            case "hello" if MANNER == "mute":
                pass
            case "hello":
                protocol = 0 if MANNER == "old" else 1
                version = "0.0.9" if MANNER == "other" else VERSION
                reply(identifier, protocol=protocol, version=version, device="cpu", vram_mb=0, packs=[])
            case "generate" if MANNER == "refuse":
                data = {"kind": "bad_request", "message": "The request's seed is -1.", "hint": "Give 0 or more."}
                write({"id": identifier, "error": {"code": -32602, "message": "invalid params", "data": data}})
            case "generate":
                cancelled.clear()
                reply(identifier, job=params["job"])
                threading.Thread(target=make, args=(params["request"], Path(params["job"])), daemon=True).start()
            case "cancel" if MANNER != "deaf":
                cancelled.set()
                reply(identifier, cancelled=True)
            case "shutdown":
                return


main()
