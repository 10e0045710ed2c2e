from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from portrait_head.head_model import HeadModel
from portrait_head.head_model.expressions import FaceParts
from portrait_head.head_model.eyelids import ball_centre
from portrait_head.head_model.rest import settle


def test_the_template_is_at_rest_already(model: HeadModel):
    np.testing.assert_allclose(settle(model, model.vertices), model.vertices, atol=1.5e-4)


def test_settling_twice_changes_little(model: HeadModel, invent: Callable[[int], np.ndarray]):
    once = invent(3)
    np.testing.assert_allclose(settle(model, once), once, atol=4e-4)


def test_an_eyeball_that_pokes_through_the_lids_goes_back_in(model: HeadModel, face: FaceParts):
    head = model.vertices.astype(np.float64).copy()
    for eye in face.eyes:
        head[slice(*eye.ball)] += [0.0, 0.001, 0.002]
    settled = settle(model, head).astype(np.float64)
    for eye in face.eyes:
        before, _ = ball_centre(eye, model.vertices.astype(np.float64))
        after, _ = ball_centre(eye, settled)
        assert np.linalg.norm(after - before) < 0.0008, "back from 2.2 mm"


def test_teeth_in_the_lips_go_back(model: HeadModel):
    head = model.vertices.astype(np.float64).copy()
    rows = [slice(*model.part(name).vertices) for name in ("teeth_upper", "teeth_lower", "tongue")]
    for part in rows:
        head[part, 2] += 0.008
    settled = settle(model, head)
    for part in rows:
        assert (settled[part, 2] - model.vertices[part, 2]).max() < 0.003


@pytest.mark.parametrize("seed", range(3))
def test_the_skin_moves_only_at_the_lips(model: HeadModel, face: FaceParts, seed: int):
    generator = np.random.default_rng(seed)
    head = model.identified(0.3 * generator.random(len(model.identity_names)) * (generator.random(360) < 0.1))
    moved = np.abs(settle(model, head) - head).max(axis=1)[slice(*model.part("skin").vertices)]
    assert np.isin(np.flatnonzero(moved > 1e-6), face.lips.moved).all()
    assert moved.max() < 0.002


def test_creased_lips_are_ironed_and_sound_ones_are_not(model: HeadModel, face: FaceParts):
    creased = model.vertices.astype(np.float64).copy()
    edge = face.lips.outward[face.lips.lower, 6]
    creased[edge] += [0.0, 0.0, 0.003]
    settled = settle(model, creased)
    assert np.abs(settled - model.vertices)[edge, 2].max() < 0.002, "the knife edge is gone"
    fuller = model.vertices.astype(np.float64).copy()
    fuller[face.lips.outward[face.lips.lower, 2:8]] += [0.0, 0.0, 0.0008]
    assert np.abs(settle(model, fuller) - fuller)[edge, 2].max() < 1e-6, "a fuller lip stays"
