"""The forward process of a diffusion model: x_t = alpha_t x_0 + sigma_t noise, alpha_t^2 + sigma_t^2 = 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

PredictionType = Literal["epsilon", "v_prediction"]


@dataclass(frozen=True)
class NoiseSchedule:
    """How much signal and noise a timestep has, and what the network predicts of them.

    Attributes:
        alphas_cumprod: [T] alpha_t^2, falling with t.
        prediction_type: `epsilon` (the noise) or `v_prediction`, v = alpha_t noise - sigma_t x_0
            (Salimans and Ho, "Progressive Distillation", 2022, appendix D).
    """

    alphas_cumprod: Tensor
    prediction_type: PredictionType = "epsilon"

    @property
    def timesteps(self) -> int:
        """How many timesteps the model was trained with."""
        return len(self.alphas_cumprod)

    def coefficients(self, timestep: int) -> tuple[float, float]:
        """(alpha_t, sigma_t)."""
        alpha_squared = float(self.alphas_cumprod[timestep])
        return alpha_squared**0.5, (1.0 - alpha_squared) ** 0.5

    def add_noise(self, clean: Tensor, noise: Tensor, timestep: int) -> Tensor:
        """x_t of the clean latents x_0 [B, C, h, w]."""
        alpha, sigma = self.coefficients(timestep)
        return alpha * clean + sigma * noise

    def epsilon(self, output: Tensor, noisy: Tensor, timestep: int) -> Tensor:
        """The predicted noise in what the network put out for `noisy`."""
        if self.prediction_type == "epsilon":
            return output
        alpha, sigma = self.coefficients(timestep)
        return alpha * output + sigma * noisy

    def target(self, clean: Tensor, noise: Tensor, timestep: int) -> Tensor:
        """What the network is trained to put out for `add_noise(clean, noise, timestep)`."""
        if self.prediction_type == "epsilon":
            return noise
        alpha, sigma = self.coefficients(timestep)
        return alpha * noise - sigma * clean

    def carry(self, noisy: Tensor, epsilon: Tensor, start: int, end: int) -> Tensor:
        """x_start moved to timestep `end` along the predicted noise (DDIM, Song et al. 2021, equation 13)."""
        alpha, sigma = self.coefficients(start)
        return self.add_noise((noisy - sigma * epsilon) / alpha, epsilon, end)


def stable_diffusion_schedule(prediction_type: PredictionType = "epsilon") -> NoiseSchedule:
    """The schedule that Stable Diffusion 1.5 was trained with: 1000 steps, betas linear in their square root."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return NoiseSchedule(torch.cumprod(1.0 - betas, dim=0).float(), prediction_type)
