"""From a portrait's landmarks and pixels to the head in the photo and the head at rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait_head.fitting.checks import fit_warnings, poor_landmarks_warning
from portrait_head.fitting.config import FitConfig
from portrait_head.fitting.gaze import find_gaze, turn_eyes
from portrait_head.fitting.landmark_fit import State, fit_landmarks, interocular, settle
from portrait_head.fitting.residual import residual_offsets
from portrait_head.fitting.shading_fit import fit_shading
from portrait_head.fitting.space import FITTED_EXPRESSIONS, FitModel
from portrait_head.head_model.arkit import ARKIT_NAMES
from portrait_head.head_model.rest import settle as settle_rest
from portrait_head.rendering.camera import PinholeCamera


@dataclass(frozen=True)
class Fit:
    """A head in the pose and expression of the photo, and the same head at rest.

    Attributes:
        camera: from head space to the pixels of the photo.
        identity: [K] float64 identity coefficients of the head model.
        expression: [52] float32 ARKit weights seen in the photo.
        gaze: [2, 2] float32 (left, right) x (yaw to the subject's left, pitch up), radians.
        residual: [V, 3] float32 metres, what the coefficients could not explain.
        neutral: [V, 3] float32 metres, this person at rest, gaze straight; with a part of the residual.
        posed: [V, 3] float32 metres, head space, with the photo's expression and gaze.
        nme_before: mean landmark error before the residual as a fraction of the inter-ocular distance.
        nme_after: the same with it.
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
    warnings: tuple[str, ...] = ()


def reconstruct(
    fit_model: FitModel,
    image: np.ndarray,
    landmarks: np.ndarray,
    skin: np.ndarray,
    config: FitConfig = FitConfig(),  # noqa: B008 - frozen
    focal: float | None = None,
) -> Fit:
    """Fit the head model to one portrait.

    Args:
        image: [H, W, 3] uint8 sRGB.
        landmarks: [478, 3] MediaPipe's face mesh, pixels, z away from the viewer.
        skin: [H, W] 0 to 1, where bare skin is.
        focal: focal length in pixels of `image`; None where it is to be guessed.
    """
    landmarks = landmarks.astype(np.float64)
    height, width = image.shape[:2]
    state = fit_landmarks(fit_model, landmarks, np.array([width / 2, height / 2]), config.landmarks, focal)
    state = fit_shading(fit_model, state, image, landmarks, skin, config)
    settled = settle(fit_model, state, landmarks, config.settling)
    warnings = fit_warnings(fit_model, state, config.checks)
    return _finish(fit_model, state, settled, landmarks, (width, height), warnings, config)


def _finish(
    fit_model: FitModel,
    person: State,
    state: State,
    landmarks: np.ndarray,
    size: tuple[int, int],
    warnings: tuple[str, ...],
    config: FitConfig,
) -> Fit:
    model, table = fit_model.model, fit_model.table
    camera = state.pose.camera(*size)
    expression = np.zeros(len(ARKIT_NAMES), dtype=np.float32)
    expression[list(FITTED_EXPRESSIONS)] = person.weights
    identity = fit_model.prior.mean + person.scores @ fit_model.prior.modes
    shape = fit_model.vertices.positions(person.scores, np.zeros_like(person.weights))
    straight = fit_model.vertices.positions(state.scores, state.weights)
    gaze = find_gaze(model, straight, landmarks, camera)
    before = turn_eyes(model, straight, gaze)
    offsets = residual_offsets(fit_model, straight, landmarks, camera, config.residual)
    posed = turn_eyes(model, straight + offsets, gaze)

    unit = interocular(landmarks)

    def error(vertices: np.ndarray) -> float:
        seen = camera.project(table.positions(vertices))
        return float(np.linalg.norm(seen - landmarks[:, :2], axis=1).mean() / unit)

    nme_before, nme_after = error(before), error(posed)
    return Fit(
        camera=camera,
        identity=identity,
        expression=expression,
        gaze=gaze,
        residual=offsets,
        neutral=settle_rest(model, (shape + config.residual.resting_share * offsets).astype(np.float32)),
        posed=posed.astype(np.float32),
        nme_before=nme_before,
        nme_after=nme_after,
        warnings=poor_landmarks_warning(nme_before, config.checks) + warnings,
    )
