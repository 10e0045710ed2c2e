"""Stage 6: the 52 ARKit expressions of this person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Expressions:
    """Attributes:
    deltas: [52, V, 3] float32 metres from the neutral head, in the order of `ARKIT_NAMES`.
    """

    deltas: np.ndarray
