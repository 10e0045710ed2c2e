"""When the fit warns, and when it keeps quiet."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from portrait_head.fitting.checks import fit_warnings, poor_landmarks_warning
from portrait_head.fitting.config import CheckConfig
from portrait_head.fitting.landmark_fit import State
from portrait_head.fitting.pose import Pose

CONFIG = CheckConfig()


def test_a_plain_portrait_gives_no_warning(view: Callable[..., Pose]) -> None:
    assert fit_warnings(State(view(10), np.zeros(3), np.full(20, 0.05)), CONFIG) == ()
    assert poor_landmarks_warning(0.02, CONFIG) == ()


def test_a_turned_laughing_face_is_named(view: Callable[..., Pose]) -> None:
    turned, laughing = fit_warnings(State(view(50), np.zeros(3), np.full(20, 0.4)), CONFIG)
    assert "50 degrees" in turned
    assert "expression" in laughing


def test_a_face_that_does_not_fit_is_named() -> None:
    (sentence,) = poor_landmarks_warning(0.062, CONFIG)
    assert "6.2 %" in sentence
