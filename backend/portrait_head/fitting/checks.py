"""Sentences that tell the user when the photo was hard to read."""

from __future__ import annotations

import numpy as np

from portrait_head.fitting.config import CheckConfig
from portrait_head.fitting.landmark_fit import State


def fit_warnings(state: State, expression: np.ndarray, nme: float, config: CheckConfig) -> tuple[str, ...]:
    """What the user should know about a fit, hardest first; empty for a plain portrait.

    Args:
        expression: [52] ARKit weights.
        nme: mean landmark error before the residual, a fraction of the inter-ocular distance.
    """
    warnings = []
    yaw, pitch, _ = state.pose.angles()
    if nme > config.poor_landmarks:
        warnings.append(
            f"The head model explains this face poorly (landmarks {100 * nme:.1f} % of the eye distance off): "
            "check the result, or use a sharper photo from the front."
        )
    if max(abs(yaw), abs(pitch)) > config.turned:
        warnings.append(
            f"The face is turned by {max(abs(yaw), abs(pitch)):.0f} degrees: the hidden side and the profile are guesses."
        )
    if expression.sum() > config.strong_expression:
        warnings.append("There is a strong expression in the photo: the neutral face is a guess.")
    return tuple(warnings)
