# SPDX-License-Identifier: GPL-3.0-or-later
"""The 52 ARKit expression names, in the order every head carries them.

The add-on cannot import the backend (another Python, perhaps another machine), so it has the list of its own; a test
holds the two together. Source: Apple, ARFaceAnchor.BlendShapeLocation. Left and right are the subject's.
"""

EYE = ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")
MOUTH_PAIRS = ("Smile", "Frown", "Dimple", "Stretch")

ARKIT_NAMES: tuple[str, ...] = (
    *(f"eye{motion}{side}" for side in ("Left", "Right") for motion in EYE),
    *("jawForward", "jawLeft", "jawRight", "jawOpen"),
    *("mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight"),
    *(f"mouth{motion}{side}" for motion in MOUTH_PAIRS for side in ("Left", "Right")),
    *("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
    *(f"mouth{motion}{side}" for motion in ("Press", "LowerDown", "UpperUp") for side in ("Left", "Right")),
    *("browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight"),
    *("noseSneerLeft", "noseSneerRight", "tongueOut"),
)
