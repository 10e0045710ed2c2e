"""Priors whose noise prediction is known in closed form, element by element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from portrait_head.diffusion.noise_schedule import NoiseSchedule
from portrait_head.diffusion.score_distillation import Branch
from torch import Tensor


@dataclass(frozen=True)
class Mixture:
    """What a branch believes about each latent: Gaussians with these means, deviations and shares."""

    means: tuple[Tensor | float, ...]
    deviations: tuple[float, ...]
    shares: tuple[float, ...] = (1.0,)

    def epsilon(self, noisy: Tensor, alpha: float, sigma: float) -> Tensor:
        """-sigma times the score of the noised mixture at `noisy`."""
        variances = [alpha**2 * deviation**2 + sigma**2 for deviation in self.deviations]
        offsets = [noisy - alpha * mean for mean in self.means]
        logs = torch.stack(
            [
                torch.log(torch.tensor(share / variance**0.5)) - offset**2 / (2 * variance)
                for share, offset, variance in zip(self.shares, offsets, variances, strict=True)
            ]
        )
        pulls = torch.stack([offset / variance for offset, variance in zip(offsets, variances, strict=True)])
        return sigma * (torch.softmax(logs, dim=0) * pulls).sum(dim=0)


def gaussian(mean: Tensor | float, deviation: float) -> Mixture:
    """One Gaussian."""
    return Mixture((mean,), (deviation,))


@dataclass
class AnalyticPredictor:
    """A network that puts out the exact noise, or the exact velocity, of what each branch believes."""

    schedule: NoiseSchedule
    beliefs: Mapping[Branch, Mixture]
    asked: list[tuple[int, tuple[Branch, ...]]] = field(default_factory=list)
    learned: list[Tensor] = field(default_factory=list)

    def epsilon(self, noisy: Tensor, timestep: int, branches: Sequence[Branch]) -> Tensor:
        self.asked.append((timestep, tuple(branches)))
        return torch.cat([self._through_network(noisy, timestep, self.beliefs[branch]) for branch in branches])

    def learn(self, latents: Tensor, generator: torch.Generator) -> None:
        self.learned.append(latents)

    def _through_network(self, noisy: Tensor, timestep: int, belief: Mixture) -> Tensor:
        alpha_squared = float(self.schedule.alphas_cumprod[timestep])
        alpha, sigma = alpha_squared**0.5, (1 - alpha_squared) ** 0.5
        output = belief.epsilon(noisy, alpha, sigma)
        if self.schedule.prediction_type == "v_prediction":
            clean = (noisy - sigma * output) / alpha
            output = alpha * output - sigma * clean
        return self.schedule.epsilon(output, noisy, timestep)
