"""When the fit warns, and when it keeps quiet."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from portrait_head.fitting.checks import fit_warnings, poor_landmarks_warning
from portrait_head.fitting.config import CheckConfig
from portrait_head.fitting.landmark_fit import State
from portrait_head.fitting.pose import Pose
from portrait_head.fitting.space import FITTED_EXPRESSIONS, FitModel
from portrait_head.head_model.arkit import ARKIT_NAMES

CONFIG = CheckConfig()


def _state(fit_model: FitModel, pose: Pose, **expression: float) -> State:
    weights = np.array([expression.get(ARKIT_NAMES[index], 0.0) for index in FITTED_EXPRESSIONS])
    return State(pose, np.zeros(len(fit_model.prior.modes)), weights)


def test_a_plain_portrait_gives_no_warning(fit_model: FitModel, view: Callable[..., Pose]) -> None:
    calm = _state(fit_model, view(10), mouthSmileLeft=0.2, mouthSmileRight=0.2, browInnerUp=0.2)
    assert fit_warnings(fit_model, calm, CONFIG) == ()
    assert poor_landmarks_warning(0.02, CONFIG) == ()


def test_a_turned_laughing_face_is_named(fit_model: FitModel, view: Callable[..., Pose]) -> None:
    state = _state(fit_model, view(50), mouthSmileLeft=0.9, mouthSmileRight=0.9, jawOpen=0.4, cheekSquintLeft=0.6)
    turned, laughing = fit_warnings(fit_model, state, CONFIG)
    assert "50 degrees" in turned
    assert "expression" in laughing


def test_a_face_that_does_not_fit_is_named() -> None:
    (sentence,) = poor_landmarks_warning(0.062, CONFIG)
    assert "6.2 %" in sentence
