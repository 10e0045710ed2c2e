# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads recordings of Live Link Face. Needs numpy only, never bpy.

The app writes one line a captured frame: `Timecode` (HH:MM:SS:FF.fff; frames and thousandths of a frame),
`BlendShapeCount`, the 52 ARKit weights in PascalCase, then yaw, pitch and roll of head, left eye and right eye. A line
of a moment without a tracked face has a count of 0 and no numbers.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .arkit import ARKIT_NAMES

TURNS = ("Head", "LeftEye", "RightEye")
ANGLES = ("Yaw", "Pitch", "Roll")
RATES = (24, 25, 30, 48, 50, 60, 120)
"""Frames a second that timecode counts in."""
APP_RATE = 60
"""What the app records with unless told otherwise; taken for recordings too short to tell."""
DAY = 24 * 3600
_TIMECODE = re.compile(r"(\d+):(\d+):(\d+)[:;](\d+(?:\.\d+)?)")
SURE = 0.2
"""Correlation of the eyes' angles with the gaze keys from which their sign is believed."""


class RecordingError(ValueError):
    """A file that is no recording: one sentence on what is wrong, one on what to do."""


@dataclass(frozen=True)
class Recording:
    """What was captured.

    Attributes:
        seconds: [T] from the first sample on, increasing.
        weights: ARKit name -> [T], 0..1; only the columns that the file has.
        angles: Head, LeftEye, RightEye -> [T, 3] radians: yaw to the subject's left, pitch up, roll towards the
            subject's left shoulder; only those that the file has.
        rate: captured frames a second.
        lost: lines without a tracked face.
    """

    seconds: np.ndarray
    weights: dict[str, np.ndarray]
    angles: dict[str, np.ndarray]
    rate: float
    lost: int

    def at(self, seconds: np.ndarray) -> Recording:
        """The recording at other moments, linearly between its samples."""

        def sampled(values: np.ndarray) -> np.ndarray:
            return np.interp(seconds, self.seconds, values)

        turned = {
            name: np.stack([sampled(column) for column in np.unwrap(values, axis=0).T], axis=1)
            for name, values in self.angles.items()
        }
        weights = {name: sampled(values) for name, values in self.weights.items()}
        return Recording(seconds, weights, turned, self.rate, self.lost)


def read_recording(path: Path) -> Recording:
    """Reads the CSV file that Live Link Face shares. Raises `RecordingError`."""
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file) if any(cell.strip() for cell in line)]
    except OSError as error:
        raise RecordingError(
            f"{path} cannot be read ({error.strerror}). Choose the CSV file of the recording."
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(f"{path} is no table of text ({error}). Choose the CSV file of the recording.") from error
    header = [cell.strip().casefold() for cell in lines[0]] if lines else []
    columns = {name: header.index(name.casefold()) for name in ARKIT_NAMES if name.casefold() in header}
    if "timecode" not in header or not columns:
        raise RecordingError(
            f"{path.name} is no recording of Live Link Face: its first line names no Timecode and no ARKit key. "
            "In the app, share the take and choose the file that ends in .csv."
        )
    tracked = [line for line in lines[1:] if len(line) >= len(header)]
    if not tracked:
        raise RecordingError(f"{path.name} holds no frame with a tracked face. Record the take again.")
    numbers = np.array([[_number(cell, path) for cell in line[: len(header)]] for line in _without(tracked, header)])
    order = header[:]
    order.remove("timecode")
    seconds, rate = _seconds([line[header.index("timecode")] for line in tracked], path)
    kept = np.concatenate([[True], np.diff(seconds) > 0])
    weights = {name: np.clip(numbers[kept, order.index(name.casefold())], 0.0, 1.0) for name in columns}
    angles = {}
    for name in TURNS:
        wanted = [f"{name}{angle}".casefold() for angle in ANGLES]
        if set(wanted) <= set(order):
            angles[name] = numbers[kept][:, [order.index(each) for each in wanted]]
    return Recording(seconds[kept], weights, _subject_s(angles, weights), rate, len(lines) - 1 - len(tracked))


def _without(lines: list[list[str]], header: list[str]) -> list[list[str]]:
    """The lines without their timecode."""
    index = header.index("timecode")
    return [[*line[:index], *line[index + 1 : len(header)]] for line in lines]


def _number(cell: str, path: Path) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise RecordingError(f"{path.name} has {cell!r} where a number should be. Share the take from the app again.")
    return value


def _seconds(codes: list[str], path: Path) -> tuple[np.ndarray, float]:
    """Seconds [T] since the first timecode, and the frames a second that it counts in."""
    parts = []
    for code in codes:
        found = _TIMECODE.fullmatch(code.strip())
        if found is None:
            raise RecordingError(f"{path.name} has the timecode {code!r}, not HH:MM:SS:FF.fff. Share the take again.")
        parts.append([float(part) for part in found.groups()])
    hours, minutes, whole, frames = np.array(parts).T
    clock = hours * 3600 + minutes * 60 + whole
    clock += np.cumsum(np.concatenate([[0], np.diff(clock) < -DAY / 2])) * DAY  # past midnight
    # Frames count up to the rate and start again: the highest one tells it, once a whole second has been seen.
    full = clock[-1] - clock[0] >= 2
    rate = next((each for each in RATES if each > frames.max()), None) if full else None
    rate = rate or max(APP_RATE, int(frames.max()) + 1)
    seconds = clock + frames / rate
    return seconds - seconds[0], float(rate)


def _subject_s(angles: dict[str, np.ndarray], weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Angles as seen by the subject, whatever way round the phone was held.

    The app's signs depend on its orientation and on mirroring, but one rule holds for head and eyes, and the gaze keys
    say which way the eyes really looked.
    """
    yaw = pitch = 1.0
    gaze = {f"eyeLook{way}{side}" for way in ("In", "Out", "Up", "Down") for side in ("Left", "Right")}
    if gaze <= set(weights) and {"LeftEye", "RightEye"} <= set(angles):
        left = weights["eyeLookOutLeft"] - weights["eyeLookInLeft"]
        left = left + weights["eyeLookInRight"] - weights["eyeLookOutRight"]
        up = sum(weights[f"eyeLookUp{side}"] - weights[f"eyeLookDown{side}"] for side in ("Left", "Right"))
        both = angles["LeftEye"] + angles["RightEye"]
        yaw, pitch = _sign(both[:, 0], left), _sign(both[:, 1], np.asarray(up))
    # Turning and tilting change their signs together, as they do in a mirror.
    return {name: values * [yaw, pitch, yaw] for name, values in angles.items()}


def _sign(angle: np.ndarray, gaze: np.ndarray) -> float:
    """-1 where `angle` runs against `gaze`, 1 where it runs along or nothing can be told."""
    if min(np.ptp(angle), np.ptp(gaze)) < 1e-6:
        return 1.0
    return -1.0 if np.corrcoef(angle, gaze)[0, 1] < -SURE else 1.0
