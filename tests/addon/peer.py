"""A worker that speaks the real protocol over real pipes, with the manners its argument names. No head is computed.

    python peer.py MANNER [FOLDER]

MANNER: well, other, slow, deaf, flood, crash, killed, noisy, old, refuse, mute, unread, stubborn.
FOLDER: a head asset to copy. A photo whose name contains "bad" fails with `no_face`, whatever the manner; in one whose
name contains "group" there are two faces, a red one on the right and a smaller, blue one on the left, which is no good.
The faces of one whose name contains "late" are found after a second.
"""

import base64
import json
import os
import shutil
import signal
import struct
import sys
import threading
import time
import tomllib
import zlib
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


def plain_picture(red: int, green: int, blue: int) -> bytes:
    """A PNG file of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes((red, green, blue)) * 32) * 32
    header = struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def face(box: list[float], pixels: int, colour: tuple[int, int, int], trouble: str = "") -> dict:
    picture = base64.b64encode(plain_picture(*colour)).decode()
    return {"box": box, "pixels": pixels, "trouble": trouble, "warnings": [], "picture": picture}


def look(identifier: int, photo: str) -> None:
    if MANNER in ("slow", "deaf") or "late" in photo:
        time.sleep(1.0)
    if "bad" in photo:
        data = {"kind": "no_face", "hint": "Choose another photo."}
        write({"id": identifier, "error": {"code": -32002, "message": "No face was found.", "data": data}})
        return
    faces = [face([0.5, 0.2, 0.9, 0.8], 300, (200, 30, 30))]
    if "group" in photo:
        faces.append(face([0.1, 0.4, 0.2, 0.6], 60, (30, 30, 200), "The face is too small."))
    reply(identifier, faces=faces, default=1)


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
    if MANNER == "flood":  # progress as fast as the pipe takes it, and new pictures
        started, number = time.monotonic(), 0
        while time.monotonic() - started < 3.0:
            tell("progress", done=0.25, total=1.0, eta_s=1.0)
            number += 1
            if number % 500 == 0:
                (job / "preview.png").write_bytes(plain_picture(number // 500 % 2 * 255, 128, 0))
                tell("preview", path=str(job / "preview.png"))
    if MANNER in ("slow", "deaf"):
        for step in range(30_000):
            if cancelled.is_set():
                tell("error", kind="cancelled", message="The job was cancelled.", hint="")
                return
            tell("progress", done=0.25 + step / 60_000, total=1.0, eta_s=1.0)
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
                refused = {"reason": "Model packs are missing (sd15, 2 GB).", "hint": "Get them."}
                told = {"device": "cpu", "device_name": "Abacus 3000", "vram_mb": 0, "packs": ["auraface"]}
                reply(identifier, protocol=protocol, version=version, tiers={"diffusion": refused}, **told)
            case "faces":
                threading.Thread(target=look, args=(identifier, params["photo"]), daemon=True).start()
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
            case "shutdown" if MANNER != "stubborn":
                return
    if MANNER == "stubborn":
        time.sleep(60)


main()
