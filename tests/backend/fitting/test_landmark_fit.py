"""The landmark fit on heads whose shape, expression and camera are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from portrait_head.fitting.config import FitConfig, LandmarkConfig
from portrait_head.fitting.landmark_fit import OPPOSITES, LandmarkTerm, State, fit_landmarks
from portrait_head.fitting.pose import PARAMETERS, Pose
from portrait_head.fitting.space import FITTED_EXPRESSIONS, FitModel
from portrait_head.head_model.arkit import ARKIT_NAMES
from portrait_head.head_model.derive.landmark_table import mirror_pairs

CONFIG = FitConfig().landmarks
EXACT = LandmarkConfig(noise_floor=0.0005, weight=3000.0)  # landmarks without noise may be believed
VISIBLE = slice(0, 468)


def _weights(**strengths: float) -> np.ndarray:
    names = [ARKIT_NAMES[index] for index in FITTED_EXPRESSIONS]
    weights = np.zeros(len(names))
    for name, strength in strengths.items():
        weights[names.index(name)] = strength
    return weights


def _landmarks(fit_model: FitModel, pose: Pose, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What a perfect detector would say: [478, 3] pixels."""
    turned = pose.turned(fit_model.landmarks.positions(scores, weights))
    return np.column_stack([pose.project_turned(turned), -turned[:, 2] * pose.scale])


def _face_distance(fit_model: FitModel, first: np.ndarray, second: np.ndarray) -> float:
    """Mean distance of the two faces' landmarks, millimetres."""
    none = np.zeros(len(FITTED_EXPRESSIONS))
    apart = fit_model.landmarks.positions(first, none) - fit_model.landmarks.positions(second, none)
    return float(np.linalg.norm(apart[VISIBLE] - apart[VISIBLE].mean(axis=0), axis=1).mean() * 1000)


@pytest.fixture
def scores(fit_model: FitModel) -> np.ndarray:
    return np.random.default_rng(4).normal(size=len(fit_model.prior.modes))


@pytest.mark.parametrize(("yaw", "distance"), [(0.0, 1.25), (20.0, 0.7), (-25.0, 2.0)])
def test_a_known_head_is_recovered_from_exact_landmarks(
    fit_model: FitModel, view: Callable[..., Pose], scores: np.ndarray, yaw: float, distance: float
) -> None:
    landmarks = _landmarks(fit_model, view(yaw, 5, distance), scores, np.zeros(len(FITTED_EXPRESSIONS)))
    state = fit_landmarks(fit_model, landmarks, np.full(2, 250.0), EXACT)
    ignorant = _face_distance(fit_model, np.zeros_like(scores), scores)
    assert _face_distance(fit_model, state.scores, scores) < min(0.8, 0.5 * ignorant)
    assert state.pose.angles()[0] == pytest.approx(yaw, abs=2.0)


@pytest.mark.parametrize("distance", [0.6, 2.5])
def test_a_focal_length_that_the_file_tells_gives_the_cameras_distance(
    fit_model: FitModel, view: Callable[..., Pose], scores: np.ndarray, distance: float
) -> None:
    pose = view(10, 5, distance)
    landmarks = _landmarks(fit_model, pose, scores, np.zeros(len(FITTED_EXPRESSIONS)))
    told = fit_landmarks(fit_model, landmarks, np.full(2, 250.0), CONFIG, pose.scale * distance)
    guessed = fit_landmarks(fit_model, landmarks, np.full(2, 250.0), CONFIG)
    # How far away the camera stands is known as well as how large the head is.
    assert 1 / told.pose.curvature == pytest.approx(distance, rel=0.1)
    assert abs(told.pose.curvature - 1 / distance) < 0.5 * abs(guessed.pose.curvature - 1 / distance)


def test_a_smile_does_not_become_identity(fit_model: FitModel, view: Callable[..., Pose], scores: np.ndarray) -> None:
    smile = _weights(mouthSmileLeft=0.5, mouthSmileRight=0.5)
    calm, smiling = (
        fit_landmarks(fit_model, _landmarks(fit_model, view(8), scores, weights), np.full(2, 250.0), CONFIG)
        for weights in (np.zeros_like(smile), smile)
    )
    moved = np.linalg.norm(np.tensordot(smile, fit_model.landmarks.expressions, 1)[VISIBLE], axis=1).mean() * 1000
    assert _face_distance(fit_model, calm.scores, smiling.scores) < 0.5 * moved
    assert smiling.weights.sum() > calm.weights.sum() + 0.4


def test_what_excludes_each_other_is_never_seen_together(
    fit_model: FitModel, view: Callable[..., Pose], scores: np.ndarray
) -> None:
    names = [ARKIT_NAMES[index] for index in FITTED_EXPRESSIONS]
    pairs = [("jawLeft", "jawRight"), ("mouthLeft", "mouthRight")]
    pairs += [(one + side, other + side) for one, other in OPPOSITES for side in ("Left", "Right")]
    both = _weights(**{name: 0.5 for pair in pairs for name in pair})
    found = fit_landmarks(fit_model, _landmarks(fit_model, view(10), scores, both), np.full(2, 250.0), CONFIG)
    seen = dict(zip(names, found.weights, strict=True))
    for one, other in pairs:
        assert min(seen[one], seen[other]) == 0, (one, other)


def test_a_mirrored_photo_gives_the_mirrored_head(
    fit_model: FitModel, view: Callable[..., Pose], scores: np.ndarray
) -> None:
    landmarks = _landmarks(fit_model, view(15), scores, _weights(mouthSmileLeft=0.4))
    pairs = mirror_pairs(fit_model.table.positions(fit_model.model.vertices))
    mirrored = landmarks[pairs] * (-1, 1, 1) + (500.0, 0, 0)
    heads = []
    for seen in (landmarks, mirrored):
        state = fit_landmarks(fit_model, seen, np.full(2, 250.0), CONFIG)
        heads.append(fit_model.vertices.positions(state.scores, np.zeros_like(state.weights)))
    flipped = heads[1][fit_model.model.mirror] * (-1, 1, 1)
    face = fit_model.model.regions["face"]
    apart = np.linalg.norm((heads[0] - flipped)[face], axis=1).mean() * 1000
    # MakeHuman's directions come in left and right pairs, so only the prior's sampling is not quite symmetric.
    assert apart < 0.35


def test_wild_landmarks_are_left_out(fit_model: FitModel, view: Callable[..., Pose], scores: np.ndarray) -> None:
    generator = np.random.default_rng(1)
    landmarks = _landmarks(fit_model, view(5), scores, np.zeros(len(FITTED_EXPRESSIONS)))
    landmarks[:, :2] += generator.normal(size=(478, 2)) * 0.5
    clean = fit_landmarks(fit_model, landmarks, np.full(2, 250.0), CONFIG)
    wild = landmarks.copy()
    chosen = generator.choice(460, size=23, replace=False)  # 5 %, the irises excepted
    wild[chosen, :2] += generator.normal(size=(23, 2)) * 60
    spoilt = fit_landmarks(fit_model, wild, np.full(2, 250.0), CONFIG)
    assert _face_distance(fit_model, clean.scores, spoilt.scores) < 0.25


def test_jacobian_equals_finite_differences(fit_model: FitModel, view: Callable[..., Pose], scores: np.ndarray) -> None:
    weights = np.full(len(FITTED_EXPRESSIONS), 0.2)
    landmarks = _landmarks(fit_model, view(10), scores * 0.5, weights)
    term = LandmarkTerm(fit_model, landmarks, CONFIG)
    state = State(view(12, 3), scores * 0.7, weights)
    _, plane, _, depth = term.rows(state)
    first = PARAMETERS + len(scores)
    for unknown, step in ((0, 1e-5), (2, 1e-5), (3, 1e-5), (4, 1e-6), (PARAMETERS + 3, 1e-4), (first + 5, 1e-4)):
        sides = []
        for sign in (1, -1):
            moved = np.zeros(first + len(weights))
            moved[unknown] = sign * step
            pose = state.pose.moved(moved[:PARAMETERS], (0.01, 9.0))
            sides.append(term.rows(State(pose, state.scores + moved[PARAMETERS:first], state.weights + moved[first:])))
        assert np.allclose(plane[:, unknown], (sides[0][0] - sides[1][0]) / (2 * step), atol=1e-4)
        assert np.allclose(depth[:, unknown], (sides[0][2] - sides[1][2]) / (2 * step), atol=1e-4)
