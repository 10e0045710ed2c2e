"""Stage 6: the 52 ARKit expressions of this person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait_head.head_model import load_head_model
from portrait_head.head_model.expressions import carry_expressions
from portrait_head.progress import Progress
from portrait_head.stages.fit import Fit
from portrait_head.stages.sculpt import Sculpt


@dataclass(frozen=True)
class Expressions:
    """Attributes:
    deltas: [52, V, 3] float32 metres from the neutral head, in the order of `ARKIT_NAMES`.
    """

    deltas: np.ndarray


def run(request: object, fit: Fit, sculpt: Sculpt, progress: Progress) -> Expressions:
    """Carry the head model's expressions to this head at rest.

    Nothing in the request changes them; it is taken so that all stages are called alike.
    """
    del request
    model = load_head_model()
    progress(0.2)
    deltas = carry_expressions(model, sculpt.refine(fit).neutral)
    progress(1.0)
    return Expressions(deltas)
