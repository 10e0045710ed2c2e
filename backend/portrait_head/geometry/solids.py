"""Bodies as depths under their surfaces, put together."""

from __future__ import annotations

import numpy as np


def join(first: np.ndarray, second: np.ndarray, width: float) -> np.ndarray:
    """The union of two bodies given by depths [N] under their surfaces, rounded where they meet within `width` metres.

    The quadratic smooth maximum of Quilez, "Smooth minimum" (2013).
    """
    overlap = np.maximum(width - np.abs(first - second), 0.0)
    return np.maximum(first, second) + overlap**2 / (4 * width)


def common(first: np.ndarray, second: np.ndarray, width: float) -> np.ndarray:
    """The intersection of two bodies, rounded in the same way: arguments as for `join`."""
    return -join(-first, -second, width)
