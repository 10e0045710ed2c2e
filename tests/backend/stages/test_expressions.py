from __future__ import annotations

import numpy as np
from portrait_head.head_model import load_head_model
from portrait_head.head_model.arkit import ARKIT_NAMES
from portrait_head.progress import Progress
from portrait_head.rendering.camera import PinholeCamera
from portrait_head.stages import expressions
from portrait_head.stages.fit import Fit
from portrait_head.stages.sculpt import Sculpt


def _fit(neutral: np.ndarray) -> Fit:
    model = load_head_model()
    return Fit(
        camera=PinholeCamera(np.eye(3), np.array([0.0, 0.0, -1.0]), 500.0, np.array([256.0, 256.0]), 512, 512),
        identity=np.zeros(len(model.identity_names)),
        expression=np.zeros(len(ARKIT_NAMES), np.float32),
        gaze=np.zeros((2, 2), np.float32),
        residual=np.zeros_like(neutral),
        neutral=neutral,
        posed=neutral,
        nme_before=0.0,
        nme_after=0.0,
    )


def test_the_stage_gives_52_expressions_of_the_fitted_head_and_says_how_far_it_is():
    model = load_head_model()
    neutral = (model.vertices * np.float32(1.05)).astype(np.float32)
    heard: list[float] = []
    empty = np.zeros((0, 3), np.float32)
    plain = Sculpt("none", empty, empty, empty[:, 0], empty, empty, empty[:, 0], empty)  # it leaves the fit as it is
    found = expressions.run(None, _fit(neutral), plain, Progress(heard.append))
    assert found.deltas.shape == (52, len(neutral), 3)
    assert found.deltas.dtype == np.float32
    jaw = found.deltas[ARKIT_NAMES.index("jawOpen")]
    np.testing.assert_allclose(jaw, 1.05 * model.expressions[ARKIT_NAMES.index("jawOpen")], atol=5e-4)
    assert heard == sorted(heard) and heard[-1] == 1.0
