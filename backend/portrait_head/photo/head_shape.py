"""Where the head of a landmarked face lies in the picture: its axes, its face oval and its bald outline."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.photo.faces import CHIN, FOREHEAD, head_axes

FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150,
    136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
# The lower half of the oval, from the subject's right ear lobe to the left.
JAW = (132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361)
BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
# A bald skull as an ellipsoid in units of the face height (forehead point to chin point), from the mesh's canonical
# face (17.0 cm) and adult means: head length 19 cm, breadth 15.3 cm, chin to vertex 22.5 cm. Axes: across, up, out;
# the centre is measured from the middle between forehead and chin points.
SKULL_CENTRE = (0.0, 0.29, -0.50)
SKULL_RADII = (0.45, 0.53, 0.56)


@dataclass(frozen=True)
class HeadShape:
    """A head in a picture.

    Attributes:
        size: distance from forehead to chin point, pixels.
        middle: [2] between those points, pixels.
        across: [2] unit vector, towards the subject's left in the picture.
        up: [2] unit vector along the head's axis in the picture.
        oval: [36, 2] the face's outline, pixels.
        skull: [2, 2] covariance of the bald skull's outline, pixels squared, with `skull_centre` [2].
        skull_centre: [2] pixels.
        landmarks: [478, 3] pixels.
    """

    size: float
    middle: np.ndarray
    across: np.ndarray
    up: np.ndarray
    oval: np.ndarray
    skull: np.ndarray
    skull_centre: np.ndarray
    landmarks: np.ndarray

    def height(self, points: np.ndarray) -> np.ndarray:
        """How far above the middle points [..., 2] lie along the head's axis, in face heights."""
        return (points - self.middle) @ self.up / self.size

    def side(self, points: np.ndarray) -> np.ndarray:
        """How far towards the subject's left points [..., 2] lie, in face heights."""
        return (points - self.middle) @ self.across / self.size

    def skull_radius(self, points: np.ndarray) -> np.ndarray:
        """1 on the bald skull's outline, less inside, for points [..., 2]."""
        offset = points - self.skull_centre
        return np.sqrt(np.einsum("...i,ij,...j->...", offset, np.linalg.inv(self.skull), offset))

    def fill(self, polygon: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """[H, W] bool, inside the polygon [N, 2] (pixels)."""
        canvas = np.zeros(shape[:2], np.uint8)
        cv2.fillPoly(canvas, [np.round((polygon - 0.5) * 16).astype(np.int32)], (1,), shift=4)
        return canvas.astype(bool)


def head_shape(landmarks: np.ndarray) -> HeadShape:
    """The head around the face mesh `landmarks` ([478, 3], pixels)."""
    across, up, out = head_axes(landmarks)
    size = float(np.linalg.norm(landmarks[FOREHEAD] - landmarks[CHIN]))
    middle = (landmarks[FOREHEAD] + landmarks[CHIN]) / 2
    axes = np.column_stack([across, up, out])
    centre = middle + axes @ np.array(SKULL_CENTRE) * size
    spread = axes @ np.diag(np.square(np.array(SKULL_RADII) * size)) @ axes.T
    flat_up = landmarks[FOREHEAD, :2] - landmarks[CHIN, :2]
    flat_up = flat_up / max(float(np.linalg.norm(flat_up)), 1e-9)
    return HeadShape(
        size=size,
        middle=middle[:2],
        across=np.array([-flat_up[1], flat_up[0]]),
        up=flat_up,
        oval=landmarks[list(FACE_OVAL), :2],
        skull=spread[:2, :2],
        skull_centre=centre[:2],
        landmarks=landmarks,
    )
