"""The shading term: derivatives, and what it adds to landmarks on a lit head of known shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from portrait_head.fitting.config import FitConfig
from portrait_head.fitting.harmonics import sh_gradient
from portrait_head.fitting.illumination import Illumination, KeyLight
from portrait_head.fitting.landmark_fit import State
from portrait_head.fitting.pose import PARAMETERS, Pose
from portrait_head.fitting.shading import Pyramid, ShadingTerm, bilinear
from portrait_head.fitting.shading_fit import fit_shading, visible_samples
from portrait_head.fitting.space import FITTED_EXPRESSIONS, FitModel
from portrait_head.fitting.surface_samples import SurfaceSamples, surface_samples
from portrait_head.geometry.surface import vertex_normals
from portrait_head.rendering.lighting import linear_to_bytes, sh_basis
from portrait_head.rendering.raycast import RayCaster, visibility

CONFIG = FitConfig()
REST = np.zeros(len(FITTED_EXPRESSIONS))
SIDE = 500


@pytest.fixture(scope="module")
def samples(fit_model: FitModel) -> SurfaceSamples:
    return surface_samples(fit_model, CONFIG.shading)


@pytest.fixture
def scores(fit_model: FitModel) -> np.ndarray:
    return np.random.default_rng(8).normal(size=len(fit_model.prior.modes))


@pytest.fixture
def light() -> np.ndarray:
    """[9, 3] a lamp from the upper left and warm surroundings, in head space."""
    light = np.zeros((9, 3))
    light[0], light[1], light[2], light[3] = 1.6, 0.3, 0.5, 0.6
    light[6] = 0.1
    return light * (1.0, 0.8, 0.7) * 0.25


def _photo(fit_model: FitModel, pose: Pose, scores: np.ndarray, light: np.ndarray) -> np.ndarray:
    vertices = fit_model.vertices.positions(scores, REST)
    triangles = fit_model.model.triangles()
    hits = visibility(RayCaster(vertices, triangles), pose.camera(SIDE, SIDE))
    normals = hits.interpolate(vertex_normals(vertices, triangles), triangles)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
    picture = sh_basis(normals) @ light
    picture[~hits.hit] = 0.2
    return linear_to_bytes(picture)


def test_harmonics_gradient_equals_finite_differences() -> None:
    normals = np.random.default_rng(0).normal(size=(10, 3))
    gradient = sh_gradient(normals)
    for axis in range(3):
        step = np.eye(3)[axis] * 1e-6
        difference = (sh_basis(normals + step) - sh_basis(normals - step)) / 2e-6
        assert np.allclose(gradient[..., axis], difference, atol=1e-6)


def test_sample_normals_are_those_of_the_surface(fit_model: FitModel, samples: SurfaceSamples) -> None:
    normals = np.cross(samples.first.mean, samples.second.mean)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    whole = vertex_normals(fit_model.vertices.mean, fit_model.model.triangles())
    apart = np.linalg.norm(samples.points.mean[:, None] - fit_model.vertices.mean[None, :3800], axis=2)
    cosine = (normals * whole[apart.argmin(axis=1)]).sum(axis=1)
    assert np.percentile(cosine, 5) > 0.95
    assert cosine.min() > 0.0  # the crease beside the nostril is sharp


@pytest.mark.parametrize("lamp", [None, np.array([0.5, 0.4, 0.77])], ids=["surroundings", "key light"])
def test_jacobian_equals_finite_differences(
    fit_model: FitModel,
    samples: SurfaceSamples,
    view: Callable[..., Pose],
    scores: np.ndarray,
    light: np.ndarray,
    lamp: np.ndarray | None,
) -> None:
    generator = np.random.default_rng(3)
    # A smooth picture: bilinear sampling has no slope at pixel centres otherwise.
    row, column = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    image = linear_to_bytes(np.stack([0.3 + 0.2 * column, 0.3 + 0.2 * row, 0.3 + 0.1 * (row + column)], axis=-1))
    landmarks = view().project(fit_model.landmarks.mean)
    level = Pyramid(image, landmarks, CONFIG.shading).level(6.0)
    term = ShadingTerm(samples, level, CONFIG.shading)
    state = State(view(10), scores * 0.5, REST + 0.1)
    key = None if lamp is None else KeyLight(lamp / np.linalg.norm(lamp), np.ones(len(samples.openness)))
    if key is not None:
        light = np.concatenate([light, [[0.4, 0.35, 0.3], [0.1, 0.1, 0.1]]])
    lit = Illumination(light, generator.normal(size=(samples.polynomial.shape[1], 3)) * 0.05, np.full(3, 0.4))
    _, jacobian, inner = term.rows(state, term.geometry(state, key), lit)
    first = PARAMETERS + len(scores)
    facing = np.flatnonzero(term.geometry(state, key).normals @ state.pose.rotation[2] > 0.4)
    for unknown, step in ((1, 1e-4), (3, 1e-4), (PARAMETERS, 1e-3), (PARAMETERS + 7, 1e-3), (first + 16, 1e-3)):
        sides = []
        for sign in (1, -1):
            moved = np.zeros(first + len(REST))
            moved[unknown] = sign * step
            there = State(
                state.pose.moved(moved[:PARAMETERS], (0.01, 9.0)),
                state.scores + moved[PARAMETERS:first],
                state.weights + moved[first:],
            )
            sides.append(term.residual(term.geometry(there, key), lit))
        difference = (sides[0] - sides[1]) / (2 * step)
        error = np.abs(jacobian[:, facing, unknown].T - difference[facing])
        assert np.median(error) < 0.02 * np.abs(difference[facing]).max()
    brighter = replace(lit, light=lit.light + np.eye(len(lit.light), 3) * 1e-5)
    difference = (
        term.residual(term.geometry(state, key), brighter) - term.residual(term.geometry(state, key), lit)
    ) / 1e-5
    for channel in range(3):
        assert np.allclose(inner[channel, :, channel], difference[:, channel], atol=1e-4)


def test_shading_brings_a_lit_head_nearer_to_the_truth(
    fit_model: FitModel, view: Callable[..., Pose], scores: np.ndarray, light: np.ndarray
) -> None:
    pose = view(10, 5)
    photo = _photo(fit_model, pose, scores, light)
    turned = pose.turned(fit_model.landmarks.positions(scores, REST))
    landmarks = np.column_stack([pose.project_turned(turned), -turned[:, 2] * pose.scale])
    start = State(pose, scores * 0.4, REST)
    found = fit_shading(fit_model, start, photo, landmarks, np.ones((SIDE, SIDE), np.float32), CONFIG)
    face = fit_model.model.regions["face"]

    def distance(estimate: np.ndarray) -> float:
        apart = np.tensordot(estimate - scores, fit_model.vertices.modes[:, face], 1)
        return float(np.linalg.norm(apart - apart.mean(axis=0), axis=1).mean())

    # The picture has even shade in all folds, which the term takes to lie darker: it costs a little.
    assert distance(found.scores) < 0.8 * distance(start.scores)


def test_a_covered_face_is_left_to_the_landmarks(fit_model: FitModel, view: Callable[..., Pose]) -> None:
    state = State(view(), np.zeros(len(fit_model.prior.modes)), REST)
    landmarks = np.column_stack([view().project(fit_model.landmarks.mean), np.zeros(478)])
    picture, covered = np.full((SIDE, SIDE, 3), 90, np.uint8), np.zeros((SIDE, SIDE), np.float32)
    assert fit_shading(fit_model, state, picture, landmarks, covered, CONFIG) is state


def test_samples_behind_the_nose_are_not_seen(
    fit_model: FitModel, samples: SurfaceSamples, view: Callable[..., Pose]
) -> None:
    skin = np.ones((SIDE, SIDE), np.float32)
    none = np.zeros(len(fit_model.prior.modes))
    front = visible_samples(fit_model, samples, State(view(), none, REST), skin, CONFIG.shading)
    turned = visible_samples(fit_model, samples, State(view(45), none, REST), skin, CONFIG.shading)
    assert len(front.polynomial) > 0.8 * len(samples.polynomial)
    assert len(turned.polynomial) < 0.8 * len(front.polynomial)
    # The head turns to its left: what disappears is the left cheek.
    assert turned.points.mean[:, 0].mean() < front.points.mean[:, 0].mean() - 0.005


def test_bilinear_repeats_the_border_and_interpolates() -> None:
    image = np.arange(12, dtype=np.float64).reshape(3, 4, 1)
    found = bilinear(image, np.array([[0.5, 0.5], [1.0, 0.5], [0.5, 1.0], [-5.0, -5.0], [99.0, 99.0]]))[:, 0]
    assert found == pytest.approx([0, 0.5, 2.0, 0, 11], abs=0.01)
