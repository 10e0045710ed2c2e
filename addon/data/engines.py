# SPDX-License-Identifier: GPL-3.0-or-later
"""What each engine expects of a head: file format, names, units, levels of detail.

Sources: Unity manual (FBX importer, LOD groups by the suffix _LOD0; humanoid avatar bones), Epic's mannequin skeleton
(neck_01, head) and ARKit curve names (EARFaceBlendShape), Godot's SkeletonProfileHumanoid, three.js'
PropertyBinding (node names lose dots and brackets), pixiv/three-vrm and the VRM 1.0 specification (humanoid bones and
expression presets).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .expressions import PRESETS, VISEMES, both

TEXTURE_SIZES = (512, 1024, 2048, 4096)
LOD_SHARES = (0.5, 0.25, 0.1)
"""Triangles of level 1, 2, 3 as a share of the full head's: each about half the one before, as engines switch them."""

HUMANOID = {"root": "Root", "neck": "Neck", "head": "Head", "jaw": "Jaw", "eye.L": "LeftEye", "eye.R": "RightEye"}


@dataclass(frozen=True)
class Engine:
    """How a head is written for one engine.

    Attributes:
        identifier: stable word.
        label: what the artist reads.
        description: what is special about it.
        kind: glb or fbx.
        bones: our bone name -> the engine's; bones that are not named keep their names.
        pascal_keys: write `JawOpen` instead of `jawOpen`.
        centimetres: sizes in the file are centimetres, so that nothing in it has to be scaled.
        lods_in_one_file: levels of detail as objects of one file instead of a file each.
        flipped_green: normal maps are DirectX's, whose green grows downwards.
        expressions: further keys made of the 52: name -> weights.
    """

    identifier: str
    label: str
    description: str
    kind: str
    bones: Mapping[str, str] = field(default_factory=dict)
    pascal_keys: bool = False
    centimetres: bool = False
    lods_in_one_file: bool = False
    flipped_green: bool = False
    expressions: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def key_name(self, name: str) -> str:
        """What the engine calls the key `name`."""
        return name[:1].upper() + name[1:] if self.pascal_keys else name

    def bone_name(self, name: str) -> str:
        """What the engine calls the bone `name`."""
        return self.bones.get(name, name)


VRM_EXPRESSIONS: Mapping[str, Mapping[str, float]] = {
    **{name: PRESETS[name].weights for name in ("happy", "angry", "sad", "relaxed", "surprised")},
    **{
        name: PRESETS[viseme].weights
        for name, viseme in zip(["aa", "ih", "ou", "ee", "oh"], ["aa", "ih", "ou", "E", "oh"], strict=True)
    },
    "blink": both(eyeBlink=1.0),
    "blinkLeft": {"eyeBlinkLeft": 1.0},
    "blinkRight": {"eyeBlinkRight": 1.0},
    "lookUp": both(eyeLookUp=1.0),
    "lookDown": both(eyeLookDown=1.0),
    "lookLeft": {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0},
    "lookRight": {"eyeLookInLeft": 1.0, "eyeLookOutRight": 1.0},
}
"""VRM's expression presets, each as one key; `neutral` is the head at rest."""

VISEME_KEYS: Mapping[str, Mapping[str, float]] = {f"viseme_{each.identifier}": each.weights for each in VISEMES}
"""Meta's visemes under the names that lip-sync tools look for."""

ENGINES: tuple[Engine, ...] = (
    Engine("GLTF", "glTF (any)", "GLB as it is: ARKit names, metres. For everything that reads glTF", "glb"),
    Engine(
        "UNITY",
        "Unity",
        "FBX in metres, humanoid bone names; levels of detail become a LOD Group",
        "fbx",
        bones=HUMANOID,
        lods_in_one_file=True,
    ),
    Engine(
        "UNREAL",
        "Unreal",
        "FBX in centimetres, mannequin bone names, curves named as Live Link names them; one file a level of detail",
        "fbx",
        bones={"neck": "neck_01", "eye.L": "eye_l", "eye.R": "eye_r"},
        pascal_keys=True,
        centimetres=True,
        flipped_green=True,
    ),
    Engine(
        "GODOT",
        "Godot",
        "GLB with the bone names of Godot's humanoid profile, so that retargeting finds them",
        "glb",
        bones=HUMANOID,
    ),
    Engine(
        "THREE",
        "three.js",
        "GLB with bone names that three.js can address: no dots",
        "glb",
        bones=HUMANOID,
    ),
    Engine(
        "VRM",
        "VRM names",
        "GLB with VRM's bone names and its expressions as further keys, to be put on a body in a VRM tool",
        "glb",
        bones={"eye.L": "leftEye", "eye.R": "rightEye"},
        expressions=VRM_EXPRESSIONS,
    ),
)

BY_IDENTIFIER: dict[str, Engine] = {each.identifier: each for each in ENGINES}
