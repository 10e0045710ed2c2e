"""One damped Newton step with bounds."""

from __future__ import annotations

import numpy as np

BOUND_PASSES = 8


def bounded_step(hessian: np.ndarray, gradient: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The step [P] with ``low <= step <= high`` that nearly minimises ``gradient . step + step H step / 2``.

    Unknowns that would leave their bounds are held there and the others solved again, a few times over; one that the
    others then pull back inside is set free.

    Args:
        hessian: [P, P], positive definite.
        gradient: [P].
        low: [P], at most 0.
        high: [P], at least 0.
    """
    step = np.zeros_like(gradient)
    held = np.zeros(len(gradient), dtype=bool)
    for _ in range(BOUND_PASSES):
        free = ~held
        step[free] = np.linalg.solve(
            hessian[np.ix_(free, free)], -gradient[free] - hessian[np.ix_(free, held)] @ step[held]
        )
        outside = free & ((step < low) | (step > high))
        step = np.clip(step, low, high)
        slope = gradient + hessian @ step
        inward = held & (((step <= low) & (slope < 0)) | ((step >= high) & (slope > 0)))
        if not outside.any() and not inward.any():
            break
        held = (held & ~inward) | outside
    return step
