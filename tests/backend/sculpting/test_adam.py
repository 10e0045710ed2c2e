"""Adam a part at a time."""

from __future__ import annotations

import pytest
import torch
from portrait_head.sculpting.adam import BandParameter

CPU = torch.device("cpu")


def test_without_a_floor_it_is_adam() -> None:
    target = torch.linspace(-1, 1, 6)
    ours = BandParameter((6,), CPU)
    ours.activate(torch.arange(6))
    theirs = torch.zeros(6, requires_grad=True)
    adam = torch.optim.Adam([theirs], lr=0.05, betas=(0.9, 0.99), eps=0.0)
    for _ in range(20):
        (ours.active - target).square().sum().backward()
        ours.step(0.05, (0.9, 0.99), 0.0)
        adam.zero_grad()
        (theirs - target).square().sum().backward()
        adam.step()
    assert ours.active.detach() == pytest.approx(theirs.detach(), abs=1e-6)


def test_rows_outside_the_band_rest_and_come_back_as_they_were() -> None:
    one = BandParameter((4, 3), CPU)
    one.activate(torch.tensor([1, 3]))
    one.active.sum().backward()
    one.step(0.1, (0.9, 0.99), 0.1)
    moved = one.active.detach().clone()
    one.activate(torch.tensor([0, 2]))
    assert not one.active.any()
    one.activate(torch.tensor([3]))
    assert torch.equal(one.active.detach(), moved[1:])
    assert not one.whole[[0, 2]].any()


def test_faint_gradients_move_little_under_a_floor() -> None:
    one = BandParameter((2,), CPU)
    one.activate(torch.arange(2))
    (one.active * torch.tensor([1.0, 1e-3])).sum().backward()
    one.step(0.1, (0.9, 0.99), 0.1)
    large, small = one.active.detach().abs().tolist()
    assert small < 0.011 * 0.1 < large


def test_a_step_without_gradients_changes_nothing() -> None:
    one = BandParameter((2,), CPU)
    one.activate(torch.arange(2))
    one.step(0.1, (0.9, 0.99), 0.1)
    assert not one.active.any()
