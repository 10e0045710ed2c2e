# SPDX-License-Identifier: GPL-3.0-or-later
"""head.glb before Khronos' own validator."""

from __future__ import annotations

import struct
from pathlib import Path

from node import run_node

EXPECTED_WARNINGS = {"NODE_SKINNED_MESH_NON_ROOT", "UNUSED_MESH_TANGENT"}
"""Blender hangs skinned meshes below their armature. Harmless: the specification has readers ignore the parent. And it
writes tangents for all parts of a mesh or for none, though only some have a normal map."""


def validate(path: Path) -> dict:
    return run_node("validate.mjs", str(path), packages=("gltf-validator",))["issues"]


def test_the_glb_has_no_errors(each_glb: Path) -> None:
    issues = validate(each_glb)
    assert issues["numErrors"] == 0, issues["messages"]
    assert {message["code"] for message in issues["messages"]} <= EXPECTED_WARNINGS


def test_the_validator_would_tell(exported: dict[str, Path], tmp_path: Path) -> None:
    data = bytearray(exported["glb"].read_bytes())
    start = 20 + struct.unpack_from("<I", data, 12)[0] + 8
    struct.pack_into("<f", data, start, float("nan"))  # the first coordinate of the first mesh
    broken = tmp_path / "broken.glb"
    broken.write_bytes(data)
    assert validate(broken)["numErrors"] > 0
