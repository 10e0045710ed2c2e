# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place where backend axes become Blender's."""

from __future__ import annotations

import numpy as np


def to_blender(points: np.ndarray) -> np.ndarray:
    """Points or directions [..., 3] from +Y up, +Z front to Z up, -Y front; +X stays the subject's left.

    A rotation by 90 degrees about X, so that handedness and the order of face corners are kept.
    """
    points = np.asarray(points)
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], axis=-1)
