"""The guided filter, on what every build of OpenCV has.

OpenCV's own lies in its contributed modules, which vanish when another package installs the plain build over them.
"""

from __future__ import annotations

import cv2
import numpy as np

FLAT = 1e-6  # determinant of the colours' covariance under which a window tells nothing and is only blurred


def guided_filter(guide: np.ndarray, values: np.ndarray, radius: int, smoothness: float) -> np.ndarray:
    """`values` [H, W] with their edges drawn to those of `guide` [H, W, 3]: [H, W] float32.

    In every window the answer is a linear function of the guide's colour (He, Sun and Tang 2013, equations 19-21);
    where the window's colours hardly differ, its mean.

    Args:
        radius: half the side of the windows, pixels.
        smoothness: ridge on the linear function, squared units of the guide.
    """
    guide, values = guide.astype(np.float64), values.astype(np.float64)

    def mean(image: np.ndarray) -> np.ndarray:
        side = 2 * radius + 1
        return cv2.boxFilter(image, -1, (side, side), borderType=cv2.BORDER_REFLECT)

    colour, value = mean(guide), mean(values)
    together = mean(guide * values[..., None]) - colour * value[..., None]
    # The six different entries of the colours' covariance, and its inverse by cofactors.
    pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    rr, rg, rb, gg, gb, bb = (
        mean(guide[..., i] * guide[..., j]) - colour[..., i] * colour[..., j] + (smoothness if i == j else 0.0)
        for i, j in pairs
    )
    r, g, b = np.moveaxis(together, -1, 0)
    rr_, rg_, rb_ = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
    gg_, gb_, bb_ = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    determinant = rr * rr_ + rg * rg_ + rb * rb_
    slope = np.stack([rr_ * r + rg_ * g + rb_ * b, rg_ * r + gg_ * g + gb_ * b, rb_ * r + gb_ * g + bb_ * b], axis=-1)
    slope *= np.divide(1.0, determinant, out=np.zeros_like(determinant), where=determinant > FLAT)[..., None]
    offset = value - (slope * colour).sum(axis=-1)
    return ((mean(slope) * guide).sum(axis=-1) + mean(offset)).astype(np.float32)
