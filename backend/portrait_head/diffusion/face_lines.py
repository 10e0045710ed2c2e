"""The lines of MediaPipe's face mesh that the landmark ControlNet was trained on, and their colours.

Data: indices into the 478 landmarks, taken from MediaPipe's published connection sets (Apache-2.0), as paths; left and
right are the subject's. Colours, RGB, are those of the training pictures of CrucibleAI/ControlNetMediaPipeFace.
"""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class FaceLine:
    """A path over landmarks in one colour."""

    name: str
    path: tuple[int, ...]
    colour: Colour


# fmt: off
FACE_OVAL = FaceLine("face oval", (
    10, 109, 67, 103, 54, 21, 162, 127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365,
    397, 288, 361, 323, 454, 356, 389, 251, 284, 332, 297, 338, 10,
), (10, 200, 10))
FEATURES = (
    FaceLine("left eye", (
        249, 263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249,
    ), (10, 200, 180)),
    FaceLine("left eyebrow, below", (276, 283, 282, 295, 285), (10, 220, 180)),
    FaceLine("left eyebrow, above", (300, 293, 334, 296, 336), (10, 220, 180)),
    FaceLine("right eye", (
        7, 33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7,
    ), (180, 200, 10)),
    FaceLine("right eyebrow, below", (46, 53, 52, 65, 55), (180, 220, 10)),
    FaceLine("right eyebrow, above", (70, 63, 105, 66, 107), (180, 220, 10)),
    FaceLine("lips, outside", (
        0, 37, 39, 40, 185, 61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0,
    ), (10, 180, 10)),
    FaceLine("lips, inside", (
        13, 82, 81, 80, 191, 78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13,
    ), (10, 180, 10)),
)
# fmt: on
PUPILS: tuple[tuple[int, Colour], ...] = ((468, (250, 200, 10)), (473, (10, 200, 250)))  # right, left
LANDMARKS = 478
