"""Warp starts without a word on stdout, wherever its kernels can be kept."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import torch
from portrait_head.rendering.rasteriser import make_rasteriser
from portrait_head.rendering.tensor_camera import look_at
rasteriser = make_rasteriser("cpu")
camera = look_at(torch.tensor([0.0, 0.0, 1.0]), torch.zeros(3), 30.0, 8, 8)
triangle = torch.tensor([[-1.0, -1.0, 0.0], [1.0, -1.0, 0.0], [0.0, 1.0, 0.0]])
covered = rasteriser.rasterise(triangle, torch.tensor([[0, 1, 2]]), camera).covered
assert bool(covered[4, 4])
"""


def test_kernels_are_compiled_elsewhere_when_their_folder_cannot_be_written(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("no folder can be made in here")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    # A proxy that refuses every connection: nothing may be fetched.
    nowhere = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    places = {"WARP_CACHE_PATH": str(blocked / "cache"), "TMPDIR": str(temporary)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **nowhere, **places},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""  # it belongs to the worker's protocol
    assert "for this process only" in done.stderr
    assert list(temporary.iterdir()) == []  # and nothing stays behind
