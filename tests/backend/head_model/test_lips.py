from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from portrait_head.head_model import HeadModel
from portrait_head.head_model.expressions import FaceParts
from portrait_head.head_model.lips import lip_separation, seal
from portrait_head.head_model.rest import close_lips


def _parted(model: HeadModel, face: FaceParts, by: float) -> np.ndarray:
    """The template with its lips `by` metres apart in the middle."""
    head = model.vertices.astype(np.float64).copy()
    place = np.clip(face.lips.t(head), 0, 1)
    apart = 0.5 * by * np.sin(np.pi * place)
    for lid, sign in ((face.lips.upper, 1), (face.lips.lower, -1)):
        head[face.lips.outward[lid, :6], 1] += sign * apart[lid, None]
        head[face.lips.inward[lid, 1:3], 1] += sign * apart[lid, None]
    return head


def test_a_spoke_starts_at_each_vertex_of_the_mouth(model: HeadModel, face: FaceParts):
    np.testing.assert_array_equal(face.lips.outward[:, 0], model.regions["mouth_loop"])
    assert face.lips.upper.sum() + face.lips.lower.sum() == len(model.regions["mouth_loop"]) - 2
    assert set(face.lips.outward[face.lips.upper, :5].ravel()) <= set(model.regions["lips_upper"])


@pytest.mark.parametrize("by", [0.004, 0.001])
def test_separation_measures_how_far_lips_are_parted(model: HeadModel, face: FaceParts, by: float):
    _, at_rest = lip_separation(face.lips, model.vertices.astype(np.float64))
    place, gap = lip_separation(face.lips, _parted(model, face, by))
    middle = np.abs(place - 0.5) < 0.15
    np.testing.assert_allclose((gap - at_rest)[middle], by * np.sin(np.pi * place[middle]), atol=0.15 * by)


@pytest.mark.parametrize("by", [0.003, 0.0005, -0.002])
def test_parted_and_crossed_lips_are_closed(model: HeadModel, face: FaceParts, by: float):
    head = _parted(model, face, by)
    closed = close_lips(model, head)
    _, gap = lip_separation(face.lips, closed.astype(np.float64))
    assert gap.min() > -0.0002 and gap.max() < 0.0004
    moved = np.flatnonzero(np.abs(closed - head).max(axis=1) > 1e-6)
    assert np.isin(moved, face.lips.moved).all(), "nothing but the lips moves"
    assert np.abs(closed - head).max() < abs(by)


def test_undoing_a_crossing_leaves_open_lips_alone(model: HeadModel, face: FaceParts):
    open_mouth = _parted(model, face, 0.004)
    np.testing.assert_array_equal(seal(face.lips, open_mouth, part_only=True), open_mouth)
    crossed = seal(face.lips, _parted(model, face, -0.003), part_only=True)
    assert lip_separation(face.lips, crossed)[1].min() > -0.0002


@pytest.mark.parametrize("seed", range(6))
def test_invented_heads_have_closed_lips(face: FaceParts, invent: Callable[[int], np.ndarray], seed: int):
    _, gap = lip_separation(face.lips, invent(seed))
    assert gap.min() > -0.0002 and gap.max() < 0.0004
