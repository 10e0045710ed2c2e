# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of Xvfb's screen, read from the file that `Xvfb -fbdir` keeps it in: no screenshot program is needed."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from synthetic_asset import write_png

HEADER_SIZE, VERSION, WIDTH, HEIGHT, BITS, BYTES_A_LINE, COLOURS = 0, 1, 4, 5, 11, 12, 19
"""Which 32-bit numbers of an XWD header (X11/XWDFile.h) tell what."""
COLOUR_BYTES = 12
TABS = 32
"""Pixels at the right edge of a sidebar, where the tabs stand."""
MARGIN = 8
"""Pixels below the last row of a part that shows something."""


def shoot(frame_buffer: Path, target: Path, part: Sequence[int] = ()) -> None:
    """Writes what is on the screen as a PNG file.

    Args:
        frame_buffer: the folder named to Xvfb.
        target: the file.
        part: left, bottom, width and height in pixels from the bottom left corner, as Blender counts; empty for the
            whole screen. What is empty at the bottom of a part is left out.
    """
    data = (frame_buffer / "Xvfb_screen0").read_bytes()
    header = struct.unpack(">25I", data[:100])
    assert header[VERSION] == 7
    assert header[BITS] == 32
    start = header[HEADER_SIZE] + header[COLOURS] * COLOUR_BYTES
    size = header[HEIGHT] * header[BYTES_A_LINE]
    rows = np.frombuffer(data, np.uint8, size, start).reshape(header[HEIGHT], header[BYTES_A_LINE] // 4, 4)
    picture = rows[:, : header[WIDTH], 2::-1]
    if part:
        left, bottom, width, height = part
        picture = picture[len(picture) - bottom - height : len(picture) - bottom, left : left + width]
        inner = picture[:, :-TABS]
        filled = np.flatnonzero((inner != inner[:, :1]).any(axis=(1, 2)))
        picture = picture[: filled[-1] + MARGIN]
    write_png(target, np.ascontiguousarray(picture))
