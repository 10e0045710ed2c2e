"""Two small functions that every painted texture is shaped with."""

from __future__ import annotations

import numpy as np


def step(value: np.ndarray, low: float | np.ndarray, high: float | np.ndarray) -> np.ndarray:
    """Smooth step (cubic Hermite) from 0 at `low` to 1 at `high`."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3 - 2 * t)


def mix(first: np.ndarray, second: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Colours [N, C] (or one colour [C]) from `first` at amount 0 to `second` at 1, with `amount` [N]."""
    return first + (second - first) * amount[:, None]
