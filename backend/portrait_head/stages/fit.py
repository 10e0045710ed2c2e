"""Stage 2: the parametric head that explains the portrait."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from portrait_head.fitting.reconstruct import Reconstruction, reconstruct
from portrait_head.fitting.space import load_fit_model
from portrait_head.head_model.rest import settle
from portrait_head.progress import Progress
from portrait_head.rendering.camera import PinholeCamera
from portrait_head.stages.portrait import Portrait


@dataclass(frozen=True)
class Fit:
    """A head in the pose and expression of the photo, and the same head at rest.

    Attributes:
        camera: from head space to the pixels of `Portrait.image`.
        identity: [K] float64 identity coefficients of the head model.
        expression: [52] float32 ARKit weights seen in the photo.
        gaze: [2, 2] float32 (left, right) x (yaw to the subject's left, pitch up), radians.
        residual: [V, 3] float32 metres, what the coefficients could not explain.
        neutral: [V, 3] float32 metres, this person at rest, residual included, gaze straight.
        posed: [V, 3] float32 metres, head space, with the photo's expression and gaze.
        nme_before: mean landmark error before the residual as a fraction of the inter-ocular distance.
        nme_after: the same with it.
        light: [9, 3] float32 linear-RGB spherical-harmonics light of the photo, in head space, over the mean albedo.
        warnings: sentences for the user.
    """

    camera: PinholeCamera
    identity: np.ndarray
    expression: np.ndarray
    gaze: np.ndarray
    residual: np.ndarray
    neutral: np.ndarray
    posed: np.ndarray
    nme_before: float
    nme_after: float
    light: np.ndarray
    warnings: tuple[str, ...] = ()


def run(request: object, portrait: Portrait, progress: Progress) -> Fit:
    """Find the camera, the identity, the expression, the gaze and the light of the portrait.

    Nothing in the request changes the fit; it is taken so that all stages are called alike.
    """
    del request
    fit_model = load_fit_model()
    progress(0.3)
    found = reconstruct(fit_model, portrait.image, portrait.landmarks, portrait.skin)
    found = replace(found, neutral=settle(fit_model.model, found.neutral))
    progress(1.0)
    return Fit(**{field.name: getattr(found, field.name) for field in fields(Reconstruction)})
