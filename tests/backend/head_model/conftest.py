"""Heads to try the head model on: its template and people invented from its identity directions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from portrait_head.head_model import HeadModel, load_head_model
from portrait_head.head_model.expressions import FaceParts, find_face_parts
from portrait_head.head_model.rest import settle

DIRECTIONS = 40  # that differ from zero in one invented head
STRENGTH = 0.45

Invent = Callable[[int], np.ndarray]


@pytest.fixture(scope="session")
def model() -> HeadModel:
    return load_head_model()


@pytest.fixture(scope="session")
def face(model: HeadModel) -> FaceParts:
    return find_face_parts(model.vertices, model.quads, model.parts, model.regions, model.expressions)


@pytest.fixture(scope="session")
def invent(model: HeadModel) -> Invent:
    """Makes of a seed a settled head [V, 3] float64 with some moderate identity coefficients."""

    def head(seed: int) -> np.ndarray:
        generator = np.random.default_rng(seed)
        coefficients = np.zeros(len(model.identity_names))
        chosen = generator.choice(len(coefficients), DIRECTIONS, replace=False)
        coefficients[chosen] = generator.random(DIRECTIONS) * STRENGTH
        return settle(model, model.identified(coefficients)).astype(np.float64)

    return head
