"""Adam for arrays of which only the rows near the surface have gradients."""

from __future__ import annotations

import torch
from torch import Tensor

TINY = 1e-20


class BandParameter:
    """An array [N, ...], zero at first, that is optimised a part at a time.

    Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015), algorithm 1. Rows that are not active keep
    value and moments, so that a step costs what the band costs and not what the grid would.

    Adam gives every entry steps of one size, however small its gradient: where the picture says nothing, the noise of
    its gradients becomes as large as what it says elsewhere. So the square root of the second moment is floored by a
    share of its largest, much as in the uniform Adam of Nicolet et al., "Large Steps in Inverse Rendering of
    Geometry" (2021), section 4.

    Args:
        shape: of the array.
        device: where it lies.
    """

    def __init__(self, shape: tuple[int, ...], device: torch.device) -> None:
        self.whole = torch.zeros(shape, device=device)
        self._moments = torch.zeros((2, *shape), device=device)
        self._rows = torch.empty(0, dtype=torch.int64, device=device)
        self._count = 0
        self.active = self.whole[:0]

    def activate(self, rows: Tensor) -> None:
        """From now on `active` holds the rows [M] (int64, each once), ready for gradients."""
        self.store()
        self._rows = rows
        self.active = self.whole.index_select(0, rows).requires_grad_()
        self._active_moments = self._moments.index_select(1, rows)

    @torch.no_grad()
    def store(self) -> None:
        """Write the active rows back into `whole`."""
        if len(self._rows):
            self.whole.index_copy_(0, self._rows, self.active)
            self._moments.index_copy_(1, self._rows, self._active_moments)

    @torch.no_grad()
    def step(self, rate: float, betas: tuple[float, float], floor: float) -> None:
        """One step of Adam against the gradient of `active`, which is cleared; `floor` is a share of the largest."""
        gradient = self.active.grad
        if gradient is None:
            return
        self._count += 1
        mean, square = self._active_moments
        mean.lerp_(gradient, 1 - betas[0])
        square.mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
        scale = (square / (1 - betas[1] ** self._count)).sqrt_()
        scale.add_(floor * scale.amax()).clamp_(min=TINY)
        self.active.addcdiv_(mean, scale, value=-rate / (1 - betas[0] ** self._count))
        self.active.grad = None
