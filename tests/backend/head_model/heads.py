"""Heads to try the head model on: its template and people invented from its identity directions."""

from __future__ import annotations

import numpy as np

from portrait_head.head_model import HeadModel
from portrait_head.head_model.rest import settle

DIRECTIONS = 40  # that differ from zero in one invented head
STRENGTH = 0.45


def invented_head(model: HeadModel, seed: int) -> np.ndarray:
    """[V, 3] float64, a settled head with some moderate identity coefficients."""
    generator = np.random.default_rng(seed)
    coefficients = np.zeros(len(model.identity_names))
    chosen = generator.choice(len(coefficients), DIRECTIONS, replace=False)
    coefficients[chosen] = generator.random(DIRECTIONS) * STRENGTH
    return settle(model, model.identified(coefficients)).astype(np.float64)


def symmetric_head(model: HeadModel, seed: int) -> np.ndarray:
    """[V, 3] float64, the same made symmetric."""
    head = invented_head(model, seed)
    return (head + head[model.mirror] * [-1, 1, 1]) / 2
