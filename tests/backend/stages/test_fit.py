"""The fit stage on the sample portrait and on a render of a neutral head."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_head.evaluation.surface_distance import Surface, align_surface
from portrait_head.fitting.reconstruct import reconstruct
from portrait_head.fitting.space import load_fit_model
from portrait_head.geometry.similarity import fit_similarity
from portrait_head.head_model import load_head_model, load_landmark_table
from portrait_head.head_model.arkit import ARKIT_NAMES
from portrait_head.head_model.derive import painting
from portrait_head.photo import mediapipe_models
from portrait_head.progress import Progress
from portrait_head.request import HeadRequest
from portrait_head.stages import fit, portrait


@pytest.fixture(scope="module")
def sample() -> portrait.Portrait:
    return portrait.run(HeadRequest(photos=("sample",)), Progress())


@pytest.fixture(scope="module")
def fitted(sample: portrait.Portrait) -> fit.Fit:
    return fit.run(HeadRequest(photos=("sample",)), sample, Progress())


def test_the_sample_portrait_is_explained(fitted: fit.Fit) -> None:
    assert fitted.nme_before <= 0.03
    assert fitted.nme_after <= 0.005


def test_two_runs_are_the_same_bytes(sample: portrait.Portrait, fitted: fit.Fit) -> None:
    again = fit.run(HeadRequest(photos=("sample",)), sample, Progress())
    for name in ("identity", "expression", "gaze", "residual", "neutral", "posed"):
        assert getattr(again, name).tobytes() == getattr(fitted, name).tobytes()


def test_the_camera_lays_the_head_over_the_photo(sample: portrait.Portrait, fitted: fit.Fit) -> None:
    seen = fitted.camera.project(load_landmark_table().positions(fitted.posed))
    error = np.linalg.norm(seen - sample.landmarks[:, :2], axis=1).mean()
    assert error == pytest.approx(fitted.nme_after * np.ptp(sample.landmarks[[468, 473], 0]), rel=0.1)
    assert (fitted.camera.width, fitted.camera.height) == sample.image.shape[1::-1]
    assert 0.4 < np.linalg.norm(fitted.camera.position) < 5.0


def test_the_smile_is_taken_off_the_neutral_head(fitted: fit.Fit) -> None:
    expression = dict(zip(ARKIT_NAMES, fitted.expression, strict=True))
    assert expression["mouthSmileLeft"] > 0.15
    assert expression["mouthSmileRight"] > 0.15
    assert expression["eyeBlinkLeft"] < 0.4
    corners = load_landmark_table().positions(fitted.posed - fitted.neutral)[[61, 291]]
    assert (corners[:, 1] > 0.001).all()


def test_an_uneven_face_is_no_jaw_to_the_side(fitted: fit.Fit) -> None:
    expression = dict(zip(ARKIT_NAMES, fitted.expression, strict=True))
    assert max(expression[name] for name in ("jawLeft", "jawRight", "mouthLeft", "mouthRight")) < 0.3


def test_arrays_are_what_the_contract_says(fitted: fit.Fit) -> None:
    model = load_head_model()
    for name in ("residual", "neutral", "posed"):
        array = getattr(fitted, name)
        assert array.shape == model.vertices.shape
        assert array.dtype == np.float32
        assert np.isfinite(array).all()
    assert fitted.identity.shape == (len(model.identity),)
    assert fitted.expression.shape == (52,)


def test_lids_and_lips_are_not_torn(fitted: fit.Fit) -> None:
    model = load_head_model()
    quads = model.quads[slice(*model.part("skin").faces)]
    corner = fitted.neutral[quads].astype(np.float64)
    template = model.vertices[quads].astype(np.float64)

    def normals(corners: np.ndarray) -> np.ndarray:
        normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
        return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)

    turned = (normals(corner) * normals(template)).sum(axis=1)
    assert (turned < 0).mean() < 0.003


def test_a_render_of_a_neutral_head_is_recovered() -> None:
    model, table = load_head_model(), load_landmark_table()
    paint = painting.Paint.of(model)
    fit_model = load_fit_model()
    scores = np.random.default_rng(2).normal(size=len(fit_model.prior.modes)) * 0.8
    truth = fit_model.vertices.positions(scores, np.zeros(len(fit_model.vertices.expressions)))
    camera = painting.portrait_camera(np.radians(8), 0.0, 1.2, 640)
    picture, hits = painting.render(truth, paint, camera, painting.Light((0.4, 0.5, 1.0), 0.35))
    landmarks = mediapipe_models.face_landmarks(picture)
    assert landmarks is not None
    found = reconstruct(fit_model, picture, landmarks.astype(np.float32), hits.hit.astype(np.float32))
    face = model.regions["face"]
    triangles = model.triangles()[: 2 * model.part("skin").faces[1]]
    start = fit_similarity(table.positions(found.neutral).astype(np.float64), table.positions(truth))
    _, distance = align_surface(truth[face], Surface(found.neutral, triangles), start)
    assert distance.mean() <= 0.0015
