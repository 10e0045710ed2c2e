"""Stage 2: the parametric head that explains the portrait."""

from __future__ import annotations

from portrait_head.fitting.reconstruct import Fit, reconstruct
from portrait_head.fitting.space import load_fit_model
from portrait_head.progress import Progress
from portrait_head.stages.portrait import Portrait

__all__ = ["Fit", "run"]


def run(request: object, portrait: Portrait, progress: Progress) -> Fit:
    """Find the camera, the identity, the expression and the gaze of the portrait.

    Nothing in the request changes the fit; it is taken so that all stages are called alike.
    """
    del request
    fit_model = load_fit_model()
    progress(0.3)
    bare = portrait.skin * ~portrait.occluder
    fit = reconstruct(fit_model, portrait.image, portrait.landmarks, bare, focal=portrait.focal)
    progress(1.0)
    return fit
