"""The bounded Newton step against the conditions of a minimum."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from portrait_head.fitting.solve import bounded_step


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 12))
def test_step_is_the_bounded_minimum(seed: int, size: int) -> None:
    generator = np.random.default_rng(seed)
    root = generator.normal(size=(size + 4, size))
    hessian = root.T @ root + np.eye(size)
    gradient = generator.normal(size=size) * 5
    low, high = -generator.random(size), generator.random(size)
    step = bounded_step(hessian, gradient, low, high)
    assert (step >= low).all() and (step <= high).all()
    slope = gradient + hessian @ step
    worth = gradient @ step + step @ hessian @ step / 2
    # Kuhn and Tucker: inside no slope, at a bound the slope points outwards; a few passes may stop just short of it.
    inside = (step > low) & (step < high)
    projected = np.where(inside, slope, np.where(step <= low, np.minimum(slope, 0), np.maximum(slope, 0)))
    better = np.clip(step - projected / np.linalg.eigvalsh(hessian)[-1], low, high)
    assert worth <= 0
    assert worth <= gradient @ better + better @ hessian @ better / 2 + 0.05 * abs(worth) + 1e-9


def test_without_bounds_it_is_newtons_step() -> None:
    hessian = np.array([[4.0, 1.0], [1.0, 3.0]])
    gradient = np.array([1.0, -2.0])
    free = np.full(2, np.inf)
    assert np.allclose(bounded_step(hessian, gradient, -free, free), np.linalg.solve(hessian, -gradient))
