"""The fitted head as one closed body."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_head.geometry.winding import winding_number
from portrait_head.head_model import load_head_model
from portrait_head.sculpting.head_solid import HeadSolid, head_solid
from portrait_head.sculpting.rest import carry


@pytest.fixture(scope="module")
def solid() -> HeadSolid:
    model = load_head_model()
    return head_solid(model, model.vertices)


def test_the_skin_is_closed_and_wound_outward(solid: HeadSolid) -> None:
    directed = np.stack([solid.triangles, np.roll(solid.triangles, -1, axis=1)], axis=-1).reshape(-1, 2)
    edges, count = np.unique(np.sort(directed, axis=1), axis=0, return_counts=True)
    assert (count == 2).all()
    assert len(np.unique(directed, axis=0)) == len(directed)  # each direction once
    assert len(np.unique(solid.triangles)) - len(edges) + len(solid.triangles) == 2  # a ball
    corners = solid.vertices[solid.triangles]
    assert np.linalg.det(corners).sum() / 6 == pytest.approx(0.0043, rel=0.2)  # litres of an adult's head and neck


def test_the_depth_agrees_with_the_exact_winding_number(solid: HeadSolid) -> None:
    low, high = solid.vertices.min(axis=0), solid.vertices.max(axis=0)
    points = np.random.default_rng(0).uniform(low, high, (60, 3))
    inside = winding_number(points, solid.vertices, solid.triangles) > 0.5
    for ball in solid.eyes:
        inside |= ball.depth(points) > 0
    inside &= solid.cut.height(points) > 0
    depth = solid.depth(points)
    sure = np.abs(depth) > 0.002  # where the cut is rounded they part
    assert ((depth > 0) == inside)[sure].all()


def test_eyes_and_mouth_are_filled_and_the_neck_ends_in_a_plane(solid: HeadSolid) -> None:
    model = load_head_model()
    for ball in solid.eyes:
        front = ball.centre + [0.0, 0.0, ball.radius]
        assert solid.depth(np.array([front - [0, 0, 0.002], front + [0, 0, 0.002]])) == pytest.approx(
            [0.002, -0.002], abs=4e-4
        )
    behind_the_lips = model.vertices[model.regions["mouth_loop"]].mean(axis=0) - [0.0, 0.0, 0.01]
    assert solid.depth(behind_the_lips[None])[0] > 0.003
    rim = model.vertices[model.regions["rim"]]
    assert (solid.cut.height(rim) < 0).all()
    assert (solid.depth(rim) < 0).all()


def test_values_spread_to_what_was_added(solid: HeadSolid) -> None:
    model = load_head_model()
    ones = solid.spread(np.ones(len(model.vertices)))
    assert ones.min() >= 0
    assert ones.max() == 1
    assert (ones[: len(model.vertices)] == 1).all()


def test_an_opened_jaw_is_carried_back(solid: HeadSolid) -> None:
    model = load_head_model()
    opened = head_solid(model, model.vertices + 0.5 * model.expressions[17])  # jawOpen
    assert np.abs(opened.vertices - solid.vertices).max() > 0.005
    back = carry(opened.vertices, opened.triangles, opened, solid)
    used = np.unique(solid.triangles)
    apart = np.linalg.norm(back - solid.vertices, axis=1)[used]
    # The surface itself comes back; only where lips or lids almost touch is another sheet nearer.
    assert np.percentile(apart, 97) < 1e-4


def test_what_lies_over_the_skin_goes_along(solid: HeadSolid) -> None:
    model = load_head_model()
    moved = head_solid(model, model.vertices + [0.01, 0.0, 0.0])
    shell, triangles = solid.vertices * 1.1, solid.triangles
    used = np.unique(triangles)
    found = carry(shell, triangles, solid, moved)[used]
    assert np.abs(found - shell[used] - [0.01, 0.0, 0.0]).max() < 1e-6
