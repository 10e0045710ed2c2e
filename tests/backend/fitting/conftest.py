"""Known heads for the fit's tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from portrait_head.fitting.pose import Pose, rotation_of
from portrait_head.fitting.space import FitModel, load_fit_model


@pytest.fixture(scope="session")
def fit_model() -> FitModel:
    return load_fit_model()


@pytest.fixture
def view() -> Callable[..., Pose]:
    """A camera before a head turned by degrees, its picture 500 pixels wide, the eyes about 120 pixels apart."""

    def make(yaw: float = 0.0, pitch: float = 0.0, distance: float = 1.25) -> Pose:
        rotation = rotation_of(np.radians([-pitch, 0, 0])) @ rotation_of(np.radians([0, yaw, 0]))
        return Pose(rotation, 2000.0, np.zeros(2), 1 / distance, np.full(2, 250.0))

    return make
