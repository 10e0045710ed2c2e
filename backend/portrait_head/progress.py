"""What a stage tells while it works."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


class Progress:
    """Passed to every stage; `fraction` runs from 0 to 1 within the stage.

    Args:
        listener: told every fraction.
        show: given pictures of the unfinished head, [H, W, 3] uint8 sRGB.
    """

    def __init__(
        self,
        listener: Callable[[float], None] = lambda fraction: None,
        show: Callable[[np.ndarray], None] = lambda picture: None,
    ) -> None:
        self._listener = listener
        self._show = show

    def __call__(self, fraction: float) -> None:
        """Say that `fraction` of this stage is done."""
        self._listener(fraction)

    def show(self, picture: np.ndarray) -> None:
        """Let the user see the unfinished head: `picture` [H, W, 3] uint8 sRGB."""
        self._show(picture)
