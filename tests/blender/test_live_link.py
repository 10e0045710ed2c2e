# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of Live Link Face: read, timed, and played on a head."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs the bpy wheel")

from mathutils import Vector

from addon.scene import compat, face_controls
from addon.scene.arkit import ARKIT_NAMES
from addon.scene.importer import ImportedHead, import_head
from addon.scene.live_link import RecordingError, read_recording
from addon.scene.performance import apply_recording

ANGLES = tuple(f"{part}{angle}" for part in ("Head", "LeftEye", "RightEye") for angle in ("Yaw", "Pitch", "Roll"))
# The app's order is not ours: right before left in some pairs. Columns are found by name.
COLUMNS = (*(name[:1].upper() + name[1:] for name in reversed(ARKIT_NAMES)), *ANGLES)
Motion = Callable[[float], dict[str, float]]


def timecode(seconds: float, rate: int) -> str:
    frame = round(seconds * rate * 1000) / 1000
    whole = int(frame) // rate
    inside = frame - whole * rate
    clock = ":".join(f"{part:02d}" for part in (whole // 3600 % 24, whole // 60 % 60, whole % 60, int(inside)))
    return f"{clock}.{round(inside % 1 * 1000):03d}"


def write_recording(
    path: Path, motion: Motion, seconds: float, rate: int = 60, start: float = 0.0, lost: tuple[int, ...] = ()
) -> Path:
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("Timecode", "BlendShapeCount", *COLUMNS))
        for number in range(int(seconds * rate) + 1):
            code = timecode(start + number / rate, rate)
            if number in lost:
                table.writerow((code, 0))
                continue
            values = motion(number / rate)
            table.writerow((code, 61, *(f"{values.get(name, 0.0):.6f}" for name in COLUMNS)))
    return path


def nod(seconds: float) -> dict[str, float]:
    """Looks up and down and opens the jaw; the eyes follow with Apple's keys."""
    wave = math.sin(2 * math.pi * seconds / 2)
    return {
        "JawOpen": 0.5 + 0.5 * wave,
        "HeadYaw": 0.4 * wave,
        "HeadPitch": -0.3,
        "HeadRoll": 0.2,
        "LeftEyeYaw": 0.3 * wave,
        "RightEyeYaw": 0.3 * wave,
        "LeftEyePitch": 0.1 * wave,
        "RightEyePitch": 0.1 * wave,
        f"EyeLookOut{'Left' if wave > 0 else 'Right'}": abs(wave),
        f"EyeLookIn{'Right' if wave > 0 else 'Left'}": abs(wave),
        **{f"EyeLook{'Up' if wave > 0 else 'Down'}{side}": 0.4 * abs(wave) for side in ("Left", "Right")},
    }


@pytest.fixture
def head(blender: ModuleType, asset_folder: Path) -> ImportedHead:
    return import_head(asset_folder)


def front_of(head: ImportedHead, bone: str) -> Vector:
    """Where `bone` has turned the direction that the head looks in at rest."""
    posed, rest = head.armature.pose.bones[bone].matrix, head.armature.data.bones[bone].matrix_local
    return posed.to_3x3() @ rest.to_3x3().inverted() @ Vector((0, -1, 0))


@pytest.mark.parametrize("rate", [24, 25, 30, 60])
def test_time_is_told_by_the_timecode(tmp_path: Path, rate: int) -> None:
    path = write_recording(tmp_path / "take.csv", nod, 3.0, rate, start=9 * 3600 + 59.5)
    recording = read_recording(path)
    assert recording.rate == rate
    np.testing.assert_allclose(recording.seconds, np.arange(3 * rate + 1) / rate, atol=1e-4)
    assert set(recording.weights) == set(ARKIT_NAMES)
    sample = rate // 2
    assert recording.weights["jawOpen"][sample] == pytest.approx(nod(sample / rate)["JawOpen"], abs=1e-5)


def test_a_take_over_midnight_goes_on(tmp_path: Path) -> None:
    recording = read_recording(write_recording(tmp_path / "take.csv", nod, 4.0, start=24 * 3600 - 2))
    assert recording.seconds[-1] == pytest.approx(4.0, abs=1e-3)
    assert np.all(np.diff(recording.seconds) > 0)


def test_moments_without_a_face_are_bridged(tmp_path: Path) -> None:
    recording = read_recording(write_recording(tmp_path / "take.csv", nod, 3.0, lost=tuple(range(60, 66))))
    assert recording.lost == 6
    bridged = recording.at(np.array([63 / 60]))
    ends = [nod(59 / 60)["JawOpen"], nod(66 / 60)["JawOpen"]]
    assert min(ends) < bridged.weights["jawOpen"][0] < max(ends)


@pytest.mark.parametrize("mirrored", [1.0, -1.0])
def test_left_is_the_subject_s_left_whichever_way_the_phone_was_held(tmp_path: Path, mirrored: float) -> None:
    def held(seconds: float) -> dict[str, float]:
        values = nod(seconds)
        return {name: mirrored * value if name in ANGLES else value for name, value in values.items()}

    recording = read_recording(write_recording(tmp_path / "take.csv", held, 3.0))
    quarter = 30
    assert recording.angles["Head"][quarter] == pytest.approx([0.4, -0.3, 0.2], abs=1e-5)


@pytest.mark.parametrize("fps", [24, 60])
def test_the_performance_lasts_as_long_as_it_did(
    blender: ModuleType, head: ImportedHead, tmp_path: Path, fps: int
) -> None:
    recording = read_recording(write_recording(tmp_path / "take.csv", nod, 3.0))
    made = apply_recording(head, recording, "take", 101, fps)
    assert (made.first, made.last) == (101, 101 + 3 * fps)
    assert set(made.keys) == set(ARKIT_NAMES)
    assert made.bones == ("head",)
    scene = blender.context.scene
    for second in (0.5, 1.0, 1.5):
        scene.frame_set(101 + int(second * fps))
        expected = nod(second)
        weights = face_controls.weights(head)
        assert weights["jawOpen"] == pytest.approx(expected["JawOpen"], abs=1e-3)
        assert weights["eyeLookUpLeft"] == pytest.approx(expected.get("EyeLookUpLeft", 0.0), abs=1e-3)
        front = front_of(head, "head")
        yaw, pitch = math.atan2(front.x, -front.y), math.asin(front.z)
        assert yaw == pytest.approx(expected["HeadYaw"], abs=1e-3)
        assert pitch == pytest.approx(expected["HeadPitch"], abs=1e-3)
        assert front_of(head, "eye.L").angle(front) < 1e-3, "the gaze keys turn the eyes, not the bones too"


def test_the_eyes_can_be_turned_by_their_bones_instead(blender: ModuleType, head: ImportedHead, tmp_path: Path) -> None:
    recording = read_recording(write_recording(tmp_path / "take.csv", nod, 3.0))
    made = apply_recording(head, recording, "take", 1, 60, head_motion=0.0, eyes_by_bones=True)
    assert set(made.bones) == {"eye.L", "eye.R"}
    assert not [name for name in made.keys if name.startswith("eyeLook")]
    blender.context.scene.frame_set(31)
    for bone in made.bones:
        front = front_of(head, bone)
        assert math.atan2(front.x, -front.y) == pytest.approx(0.3, abs=1e-3)
        assert math.asin(front.z) == pytest.approx(0.1, abs=1e-3)


@pytest.mark.parametrize("mode", ["XYZ", "ZYX", "AXIS_ANGLE"])
def test_a_rig_with_another_rotation_mode_turns_the_same(
    blender: ModuleType, head: ImportedHead, tmp_path: Path, mode: str
) -> None:
    head.armature.pose.bones["head"].rotation_mode = mode
    apply_recording(head, read_recording(write_recording(tmp_path / "take.csv", nod, 3.0)), "take", 1, 60)
    blender.context.scene.frame_set(31)
    front = front_of(head, "head")
    assert math.atan2(front.x, -front.y) == pytest.approx(0.4, abs=1e-3)


def test_an_animation_that_was_there_is_kept_in_the_file(
    blender: ModuleType, head: ImportedHead, tmp_path: Path
) -> None:
    face_controls.set_weights(head, {"jawOpen": 0.3})
    face_controls.insert_keys(head, ["jawOpen"], 1)
    old = head.head.data.shape_keys.animation_data.action
    recording = read_recording(write_recording(tmp_path / "take.csv", nod, 1.0))
    apply_recording(head, recording, "take", 1, 24)
    apply_recording(head, recording, "take", 1, 24)
    assert old.use_fake_user
    assert len(compat.action_curves(old)) == 1
    keys = head.head.data.shape_keys
    assert len(compat.action_curves(keys.animation_data.action, keys)) == 52


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no recording"),
        ("Time,Value\n1,2\n", "no recording"),
        ("Timecode,BlendShapeCount,JawOpen\n", "no frame"),
        ("Timecode,BlendShapeCount,JawOpen\n00:00:00:00.000,61,much\n", "much"),
        ("Timecode,BlendShapeCount,JawOpen\n00:00:00:00.000,61,nan\n", "nan"),
        ("Timecode,BlendShapeCount,JawOpen\nnoon,61,0.5\n", "noon"),
    ],
)
def test_what_is_no_recording_is_refused_in_a_sentence(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "take.csv"
    path.write_text(text)
    with pytest.raises(RecordingError, match=expected):
        read_recording(path)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="cannot be read"):
        read_recording(tmp_path / "none.csv")
    (tmp_path / "picture.csv").write_bytes(b"\xff\xd8\xff\xe0" * 40)
    with pytest.raises(RecordingError, match="no table"):
        read_recording(tmp_path / "picture.csv")
