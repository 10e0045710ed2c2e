"""A small Hugging Face and a small file host on 127.0.0.1, with the faults that real ones have."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NEXT_COMMIT = "fedcba9876543210fedcba9876543210fedcba98"


@dataclass
class Hub:
    """What the server has and what it was asked.

    Attributes:
        repositories: repository id -> commit -> path -> contents; "main" is an alias in `branches`.
        files: path -> contents of the plain file host.
        breaks_after: path -> bytes after which the connection is cut, once.
        flips: paths whose first byte arrives changed, once.
        busy: paths answered with 503, once.
        claimed_sizes: path -> a size told in listings instead of the true one.
        sent: path -> bytes sent altogether.
    """

    repositories: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    breaks_after: dict[str, int] = field(default_factory=dict)
    flips: set[str] = field(default_factory=set)
    busy: set[str] = field(default_factory=set)
    claimed_sizes: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    address: str = ""


def serve(hub: Hub) -> ThreadingHTTPServer:
    """Start the server; its address is written into `hub`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

        def answer(self, body: bool) -> None:
            hub.asked.append(f"{self.command} {self.path}")
            path = self.path.split("?")[0].lstrip("/")
            if path.startswith("api/models/"):
                self.list_repository(path.removeprefix("api/models/"))
            elif "/resolve/" in path:
                repository, _, rest = path.partition("/resolve/")
                commit, _, name = rest.partition("/")
                self.send(name, hub.repositories.get(repository, {}).get(commit, {}).get(name), body)
            else:
                self.send(path, hub.files.get(path), body)

        def list_repository(self, path: str) -> None:
            repository, _, revision = path.partition("/revision/")
            commit = hub.branches.get(revision, revision)
            files = hub.repositories.get(repository, {}).get(commit)
            if files is None:
                self.plain(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
                return
            siblings = [
                {"rfilename": name, "size": hub.claimed_sizes.get(name, len(contents)), "blobId": "0" * 40}
                | ({"lfs": lfs_of(contents)} if name.endswith((".safetensors", ".bin", ".onnx")) else {})
                for name, contents in files.items()
            ]
            document = {"id": repository, "modelId": repository, "sha": commit, "siblings": siblings, "tags": []}
            self.plain(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

        def send(self, name: str, contents: bytes | None, body: bool) -> None:
            if contents is None:
                self.plain(404, b"")
                return
            if name in hub.busy and body:
                hub.busy.discard(name)
                self.plain(503, b"")
                return
            etag = hashlib.sha256(contents).hexdigest()
            wanted = self.headers.get("Range")
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            if wanted and start >= len(contents):
                self.plain(416, b"")
                return
            if name in hub.flips and body:
                hub.flips.discard(name)
                contents = bytes([contents[0] ^ 1]) + contents[1:]
            rest = contents[start:]
            headers = {"ETag": f'"{etag}"', "Accept-Ranges": "bytes", "Content-Length": str(len(rest))}
            if wanted:
                headers["Content-Range"] = f"bytes {start}-{len(contents) - 1}/{len(contents)}"
            self.send_response(206 if wanted else 200)
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            if not body:
                return
            if name in hub.breaks_after:
                rest = rest[: hub.breaks_after.pop(name)]
                self.close_connection = True
            hub.sent[name] = hub.sent.get(name, 0) + len(rest)
            self.wfile.write(rest)

        def plain(self, status: int, contents: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for key, value in {**(headers or {}), "Content-Length": str(len(contents))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(contents)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


def lfs_of(contents: bytes) -> dict[str, object]:
    return {"sha256": hashlib.sha256(contents).hexdigest(), "size": len(contents), "pointerSize": 100}
