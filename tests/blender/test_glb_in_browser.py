# SPDX-License-Identifier: GPL-3.0-or-later
"""head.glb in three.js in a real browser: the three keys that everyone knows move the right part of the face."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from node import run_node

from addon.scene.arkit import ARKIT_NAMES
from addon.scene.asset import HeadAsset, read_asset

SIZE = 384
KEYS = ("jawOpen", "eyeBlinkLeft", "mouthSmileLeft")
MOVED = 0.0002
"""Metres that a vertex must move to count; a third of a pixel."""
MARGIN = 0.008
"""Metres around what moves. The normals of the next faces turn, and with them their shade."""
VISIBLE = 8
"""Of 255: a change that is more than rounding."""


@dataclass(frozen=True)
class Session:
    """What the browser showed: facts about the loaded head, pictures [SIZE, SIZE, 3] and the scale of the view."""

    loaded: dict
    pictures: dict[str, np.ndarray]
    asset: HeadAsset
    metres: float
    middle: np.ndarray

    def expected_box(self, key: str) -> np.ndarray:
        """Lowest and highest (column, row) [2, 2] between which a key moves anything, seen from the front."""
        assert self.asset.head.shape_keys is not None
        offsets = self.asset.head.shape_keys[ARKIT_NAMES.index(key)]
        moving = np.linalg.norm(offsets, axis=1) > MOVED
        rest = self.asset.head.vertices[moving]
        points = np.concatenate([rest, rest + offsets[moving]])[:, :2]
        box = np.array([points.min(axis=0) - MARGIN, points.max(axis=0) + MARGIN])
        return np.sort(((box - self.middle[:2]) / self.metres * [1, -1] + 0.5) * SIZE, axis=0)

    def changed(self, key: str) -> np.ndarray:
        """[SIZE, SIZE] bool: the pixels that the key changes."""
        return np.abs(self.pictures[key] - self.pictures["rest"]).max(axis=-1) > VISIBLE


@pytest.fixture(scope="module")
def session(each_glb: Path, each_asset_folder: Path) -> Session:
    asset = read_asset(each_asset_folder)
    low, high = asset.head.vertices.min(axis=0), asset.head.vertices.max(axis=0)
    metres, middle = float((high - low).max() * 1.1), (low + high) / 2
    wishes = {
        "size": SIZE,
        "metres": metres,
        "middle": middle.tolist(),
        "looks": {"rest": {}, "again": {}, **{key: {key: 1.0} for key in KEYS}},
    }
    told = run_node(
        "shoot.mjs", str(each_glb), json.dumps(wishes), packages=("three", "playwright-core"), chromium=True
    )
    # Software rendering remarks that reading pixels is slow.
    assert not [line for line in told["complaints"] if "GPU stall" not in line]
    pictures = {
        name: np.frombuffer(base64.b64decode(text), np.uint8).reshape(SIZE, SIZE, 4)[..., :3].astype(int)
        for name, text in told["pictures"].items()
    }
    return Session(told["loaded"], pictures, asset, metres, middle)


def test_three_js_finds_keys_skin_and_textures(session: Session) -> None:
    assert all(names == list(ARKIT_NAMES) for names in session.loaded["names"])
    assert not any(weight for weights in session.loaded["weights"] for weight in weights)
    assert session.loaded["skinned"]
    assert session.loaded["textured"]


def test_the_head_is_seen_at_rest(session: Session) -> None:
    rest = session.pictures["rest"]
    assert np.array_equal(rest, session.pictures["again"])
    seen = np.abs(rest - rest[0, 0]).max(axis=-1) > VISIBLE
    assert 0.2 < seen.mean() < 0.8
    assert seen[SIZE // 2, SIZE // 2]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_changes_its_region_and_nothing_else(session: Session, key: str) -> None:
    changed = session.changed(key)
    (left, top), (right, bottom) = session.expected_box(key)
    rows, columns = np.nonzero(changed)
    assert len(rows) > 60, "nothing to be seen"
    assert left <= columns.min()
    assert columns.max() <= right
    assert top <= rows.min()
    assert rows.max() <= bottom


def test_the_regions_are_where_anatomy_has_them(session: Session) -> None:
    centres = {key: np.argwhere(session.changed(key)).mean(axis=0) for key in KEYS}
    eye = next(bone.head for bone in session.asset.bones if bone.name == "eye.L")
    eye_row, eye_column = (
        (np.array([-eye[1], eye[0]]) + session.middle[[1, 0]] * [1, -1]) / session.metres + 0.5
    ) * SIZE
    near = 0.02 / session.metres * SIZE
    assert centres["eyeBlinkLeft"] == pytest.approx([eye_row, eye_column], abs=near)
    # The subject's left is on the right of the picture; a smile and a jaw are below the eyes.
    assert centres["mouthSmileLeft"][1] > SIZE / 2
    assert centres["jawOpen"][1] == pytest.approx(SIZE / 2, abs=near)
    assert centres["jawOpen"][0] > centres["mouthSmileLeft"][0] > eye_row
