"""Reading images at fractional positions, for any number of points."""

from __future__ import annotations

import cv2
import numpy as np

_ROW = 8192  # OpenCV refuses maps longer than 32767, so points are folded into rows of this length


def sample(image: np.ndarray, pixels: np.ndarray, method: int = cv2.INTER_LINEAR) -> np.ndarray:
    """Values of `image` [H, W] or [H, W, C] at `pixels` [N, 2] (x, y; the first pixel's centre is (0.5, 0.5)).

    Positions outside the image take its border.

    Returns:
        [N] or [N, C] of the image's dtype.
    """
    count = len(pixels)
    padded = np.zeros((-(-max(count, 1) // _ROW) * _ROW, 2), np.float32)
    padded[:count] = pixels - 0.5
    x, y = np.ascontiguousarray(padded[:, 0]), np.ascontiguousarray(padded[:, 1])
    values = cv2.remap(image, x.reshape(-1, _ROW), y.reshape(-1, _ROW), method, borderMode=cv2.BORDER_REPLICATE)
    return values.reshape(-1, *image.shape[2:])[:count]


def sample_texture(texture: np.ndarray, uvs: np.ndarray) -> np.ndarray:
    """Bilinear values of a texture [H, W, C] at UVs [N, 2], origin bottom left, repeating beyond 0 to 1."""
    height, width = texture.shape[:2]
    wrapped = uvs - np.floor(uvs)
    border = 1
    around = np.pad(texture, ((border, border), (border, border), (0, 0)), mode="wrap")
    pixels = np.stack([wrapped[:, 0] * width, (1.0 - wrapped[:, 1]) * height], axis=1) + border
    return sample(around, pixels)
