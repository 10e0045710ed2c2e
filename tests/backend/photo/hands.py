"""The hand of MakeHuman's body, drawn with its fingers up over a picture."""

from __future__ import annotations

import cv2
import numpy as np
from portrait_head.head_model import makehuman

WRIST = 0.6  # of the body's half width: beyond it there are only hand and wrist
LIGHT = np.array([0.3, -0.4, 0.85])
SKIN = np.array([205.0, 150.0, 120.0])


def with_hand(image: np.ndarray, palm: np.ndarray, length: float, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture [H, W, 3] uint8 with a hand, and the hand's mask [H, W] bool.

    Args:
        image: the picture.
        palm: [2] pixels of the palm's middle.
        length: pixels from there to the finger tips.
        side: 1 for the back of a right hand, -1 for its mirror image.
    """
    points, faces = _hand()
    at = points * [side * length, length, length] + [*palm, 0.0]
    corners = at[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    smooth = np.zeros_like(at)
    for corner in range(3):
        np.add.at(smooth, faces[:, corner], normals)
    smooth /= np.linalg.norm(smooth, axis=1, keepdims=True) + 1e-9
    light = 0.35 + 0.65 * np.abs(smooth[faces].mean(axis=1) @ (LIGHT * [side, 1, 1]))
    picture, mask = image.copy(), np.zeros(image.shape[:2], np.uint8)
    for index in np.argsort(corners[:, :, 2].mean(axis=1)):
        pixels = np.rint(corners[index, :, :2] * 16).astype(np.int32)
        cv2.fillConvexPoly(picture, pixels, (light[index] * SKIN).tolist(), cv2.LINE_8, 4)
        cv2.fillConvexPoly(mask, pixels, (1,), cv2.LINE_8, 4)
    return cv2.GaussianBlur(picture, (0, 0), 0.8), mask > 0


def _hand() -> tuple[np.ndarray, np.ndarray]:
    """Vertices [V, 3], x right, y down, z towards the viewer, the longest finger 1 above the palm, and triangles."""
    vertices, quads, group = [], [], ""
    for line in (makehuman.data_folder() / "mpfb2/3dobjs/base.obj").read_text().splitlines():
        kind, *values = line.split() or [""]
        if kind == "v":
            vertices.append([float(value) for value in values])
        elif kind == "g":
            group = values[0]
        elif kind == "f" and group == "body":
            quads.append([int(value.split("/")[0]) - 1 for value in values])
    points, body = np.array(vertices), np.array(quads)
    reach = points[body, 0].max()
    palm = points[np.unique(body)]
    palm = palm[palm[:, 0] > 0.8 * reach]
    along, across, out = np.linalg.svd(palm - palm.mean(axis=0), full_matrices=False)[2]
    if along[0] < 0:
        along = -along
    points = (points - palm.mean(axis=0)) @ np.stack([across, -along, out], axis=1)
    hand = body[(np.array(vertices)[body, 0] > WRIST * reach).all(axis=1)]
    hand = np.concatenate([hand[:, [0, 1, 2]], hand[:, [0, 2, 3]]])
    return points / -points[hand, 1].min(), hand
