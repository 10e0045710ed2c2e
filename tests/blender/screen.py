# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of Xvfb's screen, read from the file that `Xvfb -fbdir` keeps it in: no screenshot program is needed."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from synthetic_asset import write_png

HEADER_SIZE, VERSION, WIDTH, HEIGHT, BITS, BYTES_A_LINE, COLOURS = 0, 1, 4, 5, 11, 12, 19
"""Which 32-bit numbers of an XWD header (X11/XWDFile.h) tell what."""
COLOUR_BYTES = 12


def shoot(frame_buffer: Path, target: Path) -> None:
    """Writes what is on the screen as a PNG file."""
    data = (frame_buffer / "Xvfb_screen0").read_bytes()
    header = struct.unpack(">25I", data[:100])
    assert header[VERSION] == 7
    assert header[BITS] == 32
    start = header[HEADER_SIZE] + header[COLOURS] * COLOUR_BYTES
    size = header[HEIGHT] * header[BYTES_A_LINE]
    rows = np.frombuffer(data, np.uint8, size, start).reshape(header[HEIGHT], header[BYTES_A_LINE] // 4, 4)
    write_png(target, np.ascontiguousarray(rows[:, : header[WIDTH], 2::-1]))
