"""The face space of the fit: the prior's modes and the expressions, as displacements of chosen points."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from portrait_head.head_model import load_head_model, load_identity_prior, load_landmark_table
from portrait_head.head_model.arkit import ARKIT_NAMES
from portrait_head.head_model.model import DATA, HeadModel, IdentityPrior, LandmarkTable

# The gaze turns the eyes; what neither landmarks nor shading of one photo can tell from identity stays at rest.
NOT_FITTED = ("eyeLook", "tongueOut", "cheekPuff", "jawForward")
FITTED_EXPRESSIONS = tuple(i for i, name in enumerate(ARKIT_NAMES) if not name.startswith(NOT_FITTED))


@dataclass(frozen=True)
class FaceSpace:
    """Points that move linearly with the scores of the prior and with the fitted expressions.

    Attributes:
        mean: [N, 3] float64 metres.
        modes: [M, N, 3].
        expressions: [E, N, 3] in the order of `FITTED_EXPRESSIONS`.
    """

    mean: np.ndarray
    modes: np.ndarray
    expressions: np.ndarray

    def positions(self, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """[N, 3] for scores [M] and expression weights [E]."""
        return self.mean + np.tensordot(scores, self.modes, 1) + np.tensordot(weights, self.expressions, 1)

    def at(self, vertices: np.ndarray, weights: np.ndarray) -> FaceSpace:
        """The space of points that are weighted means of corners: `vertices` [P, C] and `weights` [P, C]."""

        def mixed(values: np.ndarray) -> np.ndarray:
            return np.einsum("pc,...pcd->...pd", weights, values[..., vertices, :])

        return FaceSpace(mixed(self.mean), mixed(self.modes), mixed(self.expressions))


@dataclass(frozen=True)
class LandmarkErrors:
    """How MediaPipe's landmarks err together, as fractions of the inter-ocular distance.

    Attributes:
        components: [C, 468, 2] principal components (x right, y down), each times its standard deviation.
        rest: [468] standard deviation of what they leave, a coordinate.
    """

    components: np.ndarray
    rest: np.ndarray


@dataclass(frozen=True)
class FitModel:
    """All that the fit needs of the head model, made once a process.

    Attributes:
        model: the head.
        prior: its identity prior.
        table: its landmarks.
        errors: how those err.
        vertices: the space of all vertices.
        landmarks: the space of the 478 landmarks.
    """

    model: HeadModel
    prior: IdentityPrior
    table: LandmarkTable
    errors: LandmarkErrors
    vertices: FaceSpace
    landmarks: FaceSpace


def fit_model(model: HeadModel, prior: IdentityPrior, table: LandmarkTable, errors: LandmarkErrors) -> FitModel:
    """Lay the prior's modes out over the vertices of `model`."""
    count = len(model.vertices)
    directions = np.concatenate([prior.mean[None], prior.modes]).astype(np.float32)
    moved = (directions @ model.identity.reshape(len(model.identity), -1)).reshape(-1, count, 3)
    space = FaceSpace(model.vertices + moved[0], moved[1:], model.expressions[list(FITTED_EXPRESSIONS)])
    return FitModel(model, prior, table, errors, space, space.at(table.vertices, table.weights))


@cache
def load_landmark_errors() -> LandmarkErrors:
    """The errors that the landmark table's renders showed."""
    with np.load(DATA / "landmark_errors.npz") as stored:
        return LandmarkErrors(stored["components"].astype(np.float64), stored["rest"].astype(np.float64))


@cache
def load_fit_model() -> FitModel:
    """The default head model, ready to be fitted."""
    return fit_model(load_head_model(), load_identity_prior(), load_landmark_table(), load_landmark_errors())
