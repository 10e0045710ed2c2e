"""The head of fixed topology after the sculpt: what true references bring it, and what it keeps without."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from portrait_head.evaluation.surface_distance import Surface, align_surface
from portrait_head.geometry.similarity import fit_similarity
from portrait_head.geometry.surface import vertex_normals
from portrait_head.head_model import load_head_model
from portrait_head.head_model.onto_surface import shown_skin
from portrait_head.progress import Progress
from portrait_head.rendering.raycast import RayCaster, visibility
from portrait_head.request import HeadRequest
from portrait_head.sculpting.config import GridConfig, SculptConfig
from portrait_head.stages import expressions, guide
from portrait_head.stages import sculpt as stage
from portrait_head.stages.guide import Guide
from portrait_head.stages.sculpt import Sculpt

from tests.backend.geometry.drawn_hair import Drawing, draw

CONFIG = SculptConfig(grid=GridConfig(resolution=64), image_size=192, refine_steps=25, settle_steps=6)
REQUEST = HeadRequest(photos=("drawn.png",))


@cache
def truth() -> np.ndarray:
    """[V, 3] somebody else than the template, which is the drawing's fit: 1 mm away from it after the best move."""
    model = load_head_model()
    weights = 0.15 * np.random.default_rng(4).standard_normal(len(model.identity))
    other = model.vertices.astype(np.float64) + np.einsum("k,kvc->vc", weights, model.identity)
    face = model.regions["face"]
    return fit_similarity(other[face], model.vertices[face].astype(np.float64))(other)


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    """The bald template before the camera, with a photo of somebody else's outline."""
    drawn = draw("bald")
    seen = visibility(RayCaster(truth(), load_head_model().triangles()), drawn.fit.camera).hit.astype(np.float32)
    return replace(drawn, portrait=replace(drawn.portrait, person=seen, skin=seen))


@pytest.fixture(scope="module")
def told(drawing: Drawing) -> Guide:
    """The guide with the true normals and depth."""
    camera, triangles = drawing.fit.camera, load_head_model().triangles()
    person = truth()
    hits = visibility(RayCaster(person, triangles), camera)
    normals = hits.interpolate(vertex_normals(person, triangles), triangles) @ camera.rotation.T
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
    depth = -camera.to_camera(hits.interpolate(person, triangles))[..., 2]
    return replace(
        guide.run(REQUEST, drawing.portrait, drawing.fit, Progress()),
        reference_normals=normals.astype(np.float32),
        reference_depth=np.where(hits.hit, depth, np.inf).astype(np.float32),
    )


def face_error(head: np.ndarray) -> float:
    """Millimetres from the true face, as far as the photo shows it, to the head; both brought together."""
    model, person = load_head_model(), truth()
    face = model.regions["face"]
    toward = vertex_normals(person, shown_skin(model))[face, 2] > 0.3
    rough = fit_similarity(head[face].astype(np.float64), person[face])
    _, distance = align_surface(person[face[toward]], Surface(head, shown_skin(model)), rough)
    return float(distance.mean()) * 1000


@pytest.fixture(scope="module")
def carved(drawing: Drawing, told: Guide) -> Sculpt:
    return stage.run(REQUEST, drawing.portrait, drawing.fit, told, Progress(), CONFIG)


def test_true_references_bring_the_head_nearer_to_the_truth(drawing: Drawing, carved: Sculpt) -> None:
    head = carved.refine(drawing.fit)
    before, after = face_error(drawing.fit.neutral), face_error(head.neutral)
    assert after < 0.7 * before  # after a third of the steps, on cells of 5 mm


def test_lids_and_lips_keep_their_form(drawing: Drawing, carved: Sculpt) -> None:
    model, head = load_head_model(), carved.refine(drawing.fit)
    step = head.neutral - drawing.fit.neutral
    for region in ("eye_loop_left", "eye_loop_right", "mouth_loop"):
        rows = model.regions[region]
        edge = np.linalg.norm(step[rows] - step[rows].mean(axis=0), axis=1)
        assert edge.max() < 0.003  # they go along, and are not torn


def test_the_posed_head_and_the_expressions_go_along(drawing: Drawing, carved: Sculpt) -> None:
    head = carved.refine(drawing.fit)
    np.testing.assert_allclose(
        head.posed - drawing.fit.posed, head.neutral - drawing.fit.neutral, atol=1e-6
    )  # of heads some 0.3 m large in float32
    deltas = expressions.run(REQUEST, drawing.fit, carved, Progress()).deltas
    assert np.isfinite(deltas).all()
    assert np.abs(deltas).max() > 0.005


def test_without_references_the_face_keeps_the_fit(drawing: Drawing) -> None:
    guided = guide.run(REQUEST, drawing.portrait, drawing.fit, Progress())
    found = stage.run(REQUEST, drawing.portrait, drawing.fit, guided, Progress(), replace(CONFIG, refine_steps=4))
    assert found.head is None
    assert found.refine(drawing.fit) is drawing.fit
    assert face_error(found.refine(drawing.fit).neutral) <= 1.02 * face_error(drawing.fit.neutral)


def test_a_sculpt_that_the_references_like_no_better_does_not_move_the_head(drawing: Drawing, told: Guide) -> None:
    model, fit, portrait = load_head_model(), drawing.fit, drawing.portrait
    growth = stage.grow_hair(model, REQUEST, portrait, fit)
    outline = stage.photo_outline(REQUEST, portrait, fit, told, growth)
    reference = stage._reference(model, fit, told, growth, outline, truth(), 192)
    skin, bare = shown_skin(model), np.full(len(model.vertices), -1.0)
    towards, away = truth(), 2 * model.vertices - truth()
    assert stage._laid(model, fit, (towards, skin), bare, reference) is not None
    assert stage._laid(model, fit, (away, skin), bare, reference) is None
