"""Sentences that tell the user when the photo was hard to read."""

from __future__ import annotations

import numpy as np

from portrait_head.fitting.config import CheckConfig
from portrait_head.fitting.landmark_fit import State
from portrait_head.fitting.space import FitModel


def fit_warnings(fit_model: FitModel, state: State, config: CheckConfig) -> tuple[str, ...]:
    """What the user should know about a pose and an expression; empty for a plain portrait."""
    warnings = []
    yaw, pitch, _ = state.pose.angles()
    turned = max(abs(yaw), abs(pitch))
    if turned > config.turned:
        warnings.append(
            f"The face is turned by {turned:.0f} degrees: the hidden side and the profile are guesses; "
            "a photo from nearer the front gives a better likeness."
        )
    moved = np.tensordot(state.weights, fit_model.vertices.expressions[:, fit_model.model.regions["face"]], 1)
    if np.linalg.norm(moved, axis=1).mean() > config.strong_expression:
        warnings.append("There is a strong expression in the photo: the neutral face is a guess.")
    return tuple(warnings)


def poor_landmarks_warning(nme: float, config: CheckConfig) -> tuple[str, ...]:
    """One sentence if the mean landmark error before the residual, of the eye distance, is unusual."""
    if nme <= config.poor_landmarks:
        return ()
    return (
        f"The head model explains this face poorly (landmarks {100 * nme:.1f} % of the eye distance off): "
        "check the result, or use a sharper photo from the front.",
    )
