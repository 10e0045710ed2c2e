# SPDX-License-Identifier: GPL-3.0-or-later
"""Expressions and visemes as weights of the ARKit keys.

Expressions follow the action units that Ekman and Friesen (Facial Action Coding System, 1978; EMFACS) ascribe to each
emotion, translated to ARKit's keys. Visemes are Meta's fifteen (sil, PP, FF, TH, DD, kk, CH, SS, nn, RR, aa, E, ih, oh,
ou), each set to the mouth that the sounds are spoken with. `both` writes a movement of both sides once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class FacePreset:
    """A face to be set with one click.

    Attributes:
        identifier: stable word; for visemes Meta's.
        label: what the artist reads.
        description: when to use it.
        weights: key -> 0..1; every other key of `regions` goes to 0.
        regions: prefixes of the keys that the preset governs. A viseme leaves eyes and brows alone.
    """

    identifier: str
    label: str
    description: str
    weights: Mapping[str, float]
    regions: tuple[str, ...] = field(default=("brow", "eye", "nose", "cheek", "mouth", "jaw", "tongue"))

    def governs(self, name: str) -> bool:
        """Whether the preset says something about key `name`."""
        return name.startswith(self.regions)


def both(**weights: float) -> dict[str, float]:
    """Weights of movements that both sides make alike."""
    return {f"{stem}{side}": weight for stem, weight in weights.items() for side in ("Left", "Right")}


EXPRESSIONS: tuple[FacePreset, ...] = (
    FacePreset("neutral", "Neutral", "The face at rest", {}),
    FacePreset(
        "happy",
        "Happy",
        "Smile that reaches the eyes (action units 6 + 12)",
        both(mouthSmile=0.85, cheekSquint=0.6, eyeSquint=0.35, mouthDimple=0.25, mouthUpperUp=0.2, mouthLowerDown=0.1)
        | {"jawOpen": 0.06},
    ),
    FacePreset(
        "angry",
        "Angry",
        "Lowered brows, hard eyes, pressed lips (4 + 5 + 7 + 23)",
        both(browDown=0.95, eyeSquint=0.45, eyeWide=0.15, noseSneer=0.45, mouthPress=0.6, mouthFrown=0.3)
        | {"mouthRollLower": 0.15, "mouthShrugLower": 0.25, "jawForward": 0.2},
    ),
    FacePreset(
        "sad",
        "Sad",
        "Inner brows up, corners of the mouth down (1 + 4 + 15)",
        both(browDown=0.2, mouthFrown=0.75, eyeLookDown=0.2, eyeSquint=0.2, eyeBlink=0.12, mouthStretch=0.1)
        | {"browInnerUp": 0.85, "mouthShrugLower": 0.45, "mouthPucker": 0.1},
    ),
    FacePreset(
        "surprised",
        "Surprised",
        "Brows and lids up, jaw down (1 + 2 + 5 + 26)",
        both(browOuterUp=0.85, eyeWide=0.8, mouthUpperUp=0.1)
        | {"browInnerUp": 0.8, "jawOpen": 0.45, "mouthFunnel": 0.2},
    ),
    FacePreset(
        "disgusted",
        "Disgusted",
        "Wrinkled nose, raised upper lip (9 + 10 + 15)",
        both(noseSneer=0.9, mouthUpperUp=0.55, browDown=0.5, cheekSquint=0.45, eyeSquint=0.45, mouthFrown=0.4)
        | {"mouthShrugLower": 0.3, "mouthShrugUpper": 0.2},
    ),
    FacePreset(
        "afraid",
        "Afraid",
        "Brows up and together, wide eyes, drawn lips (1 + 2 + 4 + 5 + 20)",
        both(browOuterUp=0.35, browDown=0.25, eyeWide=0.75, mouthStretch=0.6, mouthLowerDown=0.2)
        | {"browInnerUp": 0.9, "jawOpen": 0.15},
    ),
    FacePreset(
        "relaxed",
        "Relaxed",
        "Soft eyes and a faint smile",
        both(mouthSmile=0.25, eyeSquint=0.1, eyeBlink=0.15, browOuterUp=0.05),
    ),
)

_SPEECH = ("mouth", "jaw", "tongue", "cheekPuff")


def _viseme(identifier: str, label: str, sounds: str, weights: dict[str, float]) -> FacePreset:
    return FacePreset(identifier, label, sounds, weights, _SPEECH)


VISEMES: tuple[FacePreset, ...] = (
    _viseme("sil", "Silence", "Between words", {}),
    _viseme(
        "PP", "PP", "p, b, m: put, bat, mat", both(mouthPress=0.55) | {"mouthRollLower": 0.45, "mouthRollUpper": 0.4}
    ),
    _viseme(
        "FF",
        "FF",
        "f, v: fat, vat",
        both(mouthUpperUp=0.25) | {"mouthRollLower": 0.7, "mouthShrugLower": 0.2, "jawOpen": 0.04},
    ),
    _viseme(
        "TH",
        "TH",
        "th: think, that",
        both(mouthLowerDown=0.2, mouthUpperUp=0.12) | {"jawOpen": 0.16, "tongueOut": 0.35},
    ),
    _viseme("DD", "DD", "t, d: tip, doll", both(mouthLowerDown=0.3, mouthUpperUp=0.12) | {"jawOpen": 0.12}),
    _viseme("kk", "kk", "k, g: call, gas", both(mouthLowerDown=0.2, mouthStretch=0.1) | {"jawOpen": 0.2}),
    _viseme(
        "CH", "CH", "ch, j, sh: chair, join, she", both(mouthLowerDown=0.2) | {"mouthFunnel": 0.6, "jawOpen": 0.08}
    ),
    _viseme(
        "SS",
        "SS",
        "s, z: sit, zeal",
        both(mouthStretch=0.3, mouthLowerDown=0.3, mouthUpperUp=0.15, mouthSmile=0.15) | {"jawOpen": 0.03},
    ),
    _viseme("nn", "nn", "n, l: lot, not", both(mouthLowerDown=0.2, mouthUpperUp=0.1) | {"jawOpen": 0.15}),
    _viseme("RR", "RR", "r: red", {"mouthFunnel": 0.35, "mouthPucker": 0.25, "jawOpen": 0.12}),
    _viseme("aa", "aa", "a: car", both(mouthLowerDown=0.1, mouthUpperUp=0.1) | {"jawOpen": 0.6}),
    _viseme("E", "E", "e: bed", both(mouthStretch=0.25, mouthLowerDown=0.25, mouthUpperUp=0.15) | {"jawOpen": 0.3}),
    _viseme(
        "ih", "ih", "i: tip, see", both(mouthSmile=0.35, mouthStretch=0.2, mouthLowerDown=0.25) | {"jawOpen": 0.14}
    ),
    _viseme("oh", "oh", "o: toe", {"mouthFunnel": 0.6, "mouthPucker": 0.15, "jawOpen": 0.35}),
    _viseme("ou", "ou", "u: book, you", {"mouthPucker": 0.75, "mouthFunnel": 0.3, "jawOpen": 0.12}),
)

PRESETS: dict[str, FacePreset] = {each.identifier: each for each in (*EXPRESSIONS, *VISEMES)}
"""Both lists by identifier."""
