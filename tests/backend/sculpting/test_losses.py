"""Each loss alone: what it is zero for, what it ignores, and its gradient."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from portrait_head.sculpting import losses
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn.functional import normalize

TETRAHEDRON = torch.tensor([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


WEIGHT = drawn(12, seed=9).abs()
TARGET = drawn(12, seed=8)
UNIT = normalize(drawn(5, 3, seed=7), dim=1)
CASES: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {
    "mask": (lambda x: losses.mask_error(x, drawn(4, 3, seed=1)), drawn(4, 3)),
    "normal": (lambda x: losses.normal_error(x, UNIT), drawn(5, 3)),
    # Scale and shift are constants to the gradient, which is exact only for the sum that they minimise.
    "depth": (lambda x: (WEIGHT * losses.depth_error(x, TARGET, WEIGHT)).sum(), TARGET + 0.0),
    "correlation": (lambda x: losses.depth_correlation(x, TARGET, WEIGHT), drawn(12)),
    "landmarks": (lambda x: losses.landmark_error(x, drawn(5, 3, seed=3), UNIT), drawn(5, 3)),
    "laplacian": (lambda x: losses.uniform_laplacian(x, TETRAHEDRON), drawn(4, 3)),
    "consistency": (lambda x: losses.normal_consistency(x, torch.tensor([[0, 1], [1, 3]])), drawn(4, 3)),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients_agree_with_finite_differences(name: str) -> None:
    function, at = CASES[name]
    at = at + 0.3 * drawn(*at.shape, seed=5) if name == "depth" else at
    assert gradcheck(function, (at.clone().requires_grad_(),), atol=1e-6, rtol=1e-4)


def test_depth_is_compared_without_scale_and_shift() -> None:
    assert losses.depth_error(3 * TARGET + 2, TARGET, WEIGHT).max() < 1e-20
    assert losses.depth_error(TARGET.square(), TARGET, WEIGHT).mean() > 0.1
    assert losses.depth_correlation(3 * TARGET + 2, TARGET, WEIGHT) == pytest.approx(0, abs=1e-12)
    assert losses.depth_correlation(-TARGET, TARGET, WEIGHT) == pytest.approx(2)


def test_weightless_pixels_do_not_count() -> None:
    weight = WEIGHT.clone()
    weight[0] = 0
    spoilt = TARGET.clone()
    spoilt[0] = 100
    assert losses.depth_correlation(spoilt, TARGET, weight) == pytest.approx(0, abs=1e-12)
    assert losses.depth_error(spoilt, TARGET, weight)[1:].max() < 1e-20


def test_a_flat_depth_has_a_finite_loss() -> None:
    flat = torch.ones(12, dtype=torch.float64, requires_grad=True)
    total = losses.depth_error(flat, flat.detach(), WEIGHT).sum() + losses.depth_correlation(flat, TARGET, WEIGHT)
    total.backward()
    assert torch.isfinite(total)
    assert flat.grad is not None
    assert torch.isfinite(flat.grad).all()


def test_normals_of_any_length_are_compared_by_direction() -> None:
    assert losses.normal_error(5 * UNIT, UNIT).abs().max() < 1e-12
    assert losses.normal_error(-UNIT, UNIT) == pytest.approx(torch.full((5,), 2.0, dtype=torch.float64))


def test_landmarks_may_slide_along_the_skin() -> None:
    along = torch.linalg.cross(UNIT, drawn(5, 3, seed=2))
    assert losses.landmark_error(along, torch.zeros(5, 3, dtype=torch.float64), UNIT).max() < 1e-20
    assert losses.landmark_error(0.1 * UNIT, torch.zeros(5, 3, dtype=torch.float64), UNIT) == pytest.approx(
        torch.full((5,), 0.01, dtype=torch.float64)
    )


def test_the_laplacian_is_the_way_to_the_mean_of_the_neighbours() -> None:
    corners = drawn(4, 3)
    found = losses.uniform_laplacian(corners, TETRAHEDRON)
    expected = (corners - (corners.sum(dim=0) - corners) / 3).square().sum(dim=1)
    assert found == pytest.approx(expected)


def test_flat_surfaces_are_consistent() -> None:
    same = torch.tensor([[0.0, 0, 1], [0, 0, 5]])
    assert losses.normal_consistency(same, torch.tensor([[0, 1]])).abs().max() < 1e-6
