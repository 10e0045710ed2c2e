"""ID-aware score distillation: the gradient of equation 3 of ID-Sculpt with respect to the latents of a render.

Equation 3 asks for the smallest KL divergence between what a render becomes under noise and what the ID-guided prior
believes at the same noise level. Its gradient with respect to the clean latents z of the render is, up to the weight
w(t), the noise that the prior predicts in x_t = alpha_t z + sigma_t noise less a reference noise. The estimators differ
in that reference:

| estimator | prediction - reference | source |
|---|---|---|
| `sds` | cfg(x_t) - noise | Poole et al., DreamFusion, 2022, equation 3 |
| `vsd` | cfg(x_t) - lora(x_t) | Wang et al., ProlificDreamer, 2023, equation 9 |
| `csd` | s (positive(x_t) - negative(x_t)) | Yu et al., Classifier Score Distillation, 2023, equation 9 |
| `ism` | cfg(x_t) - negative(x_s), x_s carried to x_t by DDIM | Liang et al., LucidDreamer, 2023, equation 12 |
| `ssd` | cfg(x_t) - plain(x_t) | Liu et al., HeadArtist, 2023, self score distillation |

with cfg = negative + s (positive - negative), s the guidance scale.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal, Protocol

import torch
from torch import Tensor

from portrait_head.diffusion.noise_schedule import NoiseSchedule
from portrait_head.errors import PortraitHeadError

Estimator = Literal["sds", "vsd", "csd", "ism", "ssd"]
Weighting = Literal["uniform", "sigma_squared", "kl", "fantasia"]


class Branch(Enum):
    """Under which conditions noise is predicted."""

    POSITIVE = "positive"  # caption with view words, identity
    NEGATIVE = "negative"  # negative prompt, no identity
    PLAIN = "plain"  # caption without view words, identity
    VARIATIONAL = "variational"  # positive, by the network that learns the renders (`vsd`)


class NoisePredictor(Protocol):
    """A diffusion model for one view."""

    @property
    def schedule(self) -> NoiseSchedule:
        """The forward process it was trained with."""
        ...

    def epsilon(self, noisy: Tensor, timestep: int, branches: Sequence[Branch]) -> Tensor:
        """The noise in `noisy` [1, C, h, w] under each of the branches: [branches, C, h, w]."""
        ...

    def learn(self, latents: Tensor, generator: torch.Generator) -> None:
        """One training step of the variational branch on the latents [1, C, h, w] of a render; only `vsd` asks."""
        ...


@dataclass(frozen=True)
class TimestepRange:
    """From where timesteps are drawn, as shares of the training timesteps, and how that range moves during the run."""

    first: tuple[float, float]  # lowest and highest share while the run has not reached `moves[0]`
    last: tuple[float, float]  # the same once it has passed `moves[1]`
    moves: tuple[float, float] = (0.0, 1.0)  # shares of the run; linear between them

    def bounds(self, progress: float) -> tuple[float, float]:
        """Lowest and highest share when `progress` (0 to 1) of the run is done."""
        begin, end = self.moves
        share = min(max((progress - begin) / max(end - begin, 1e-9), 0.0), 1.0)
        low, high = (a + share * (b - a) for a, b in zip(self.first, self.last, strict=True))
        return low, high

    def sample(self, progress: float, timesteps: int, generator: torch.Generator) -> int:
        """A timestep, uniform between the bounds, both included."""
        low, high = (min(round(share * timesteps), timesteps - 1) for share in self.bounds(progress))
        return int(torch.randint(low, high + 1, (1,), generator=generator))


@dataclass(frozen=True)
class ScoreDistillationConfig:
    """Settings of the distillation; `presets` holds the named ones."""

    estimator: Estimator
    guidance_scale: float  # s of classifier-free guidance
    timesteps: TimestepRange
    weighting: Weighting = "sigma_squared"
    loss_weight: float = 1.0
    interval: int = 50  # timesteps between x_s and x_t in `ism`; LucidDreamer
    inversion_steps: int = 0  # DDIM steps that lead to x_s in `ism`; 0: x_s is z with noise
    inversion_stride: int = 200  # timesteps of each of them; LucidDreamer


def weight(weighting: Weighting, schedule: NoiseSchedule, timestep: int) -> float:
    """w(t).

    `uniform` is 1; `sigma_squared` is sigma_t^2 (DreamFusion, and the code of ID-Sculpt); `kl` is alpha_t / sigma_t,
    which makes the `sds` gradient that of the KL divergence of equation 3 itself; `fantasia` is alpha_t sigma_t^2
    (Fantasia3D, its second strategy).
    """
    alpha, sigma = schedule.coefficients(timestep)
    match weighting:
        case "uniform":
            return 1.0
        case "sigma_squared":
            return sigma**2
        case "kl":
            return alpha / sigma
        case "fantasia":
            return alpha * sigma**2


@torch.no_grad()
def latent_gradient(
    latents: Tensor, predictor: NoisePredictor, timestep: int, noise: Tensor, config: ScoreDistillationConfig
) -> Tensor:
    """The distillation's gradient [1, C, h, w] with respect to the clean latents of a render [1, C, h, w].

    Args:
        latents: z, the encoded render.
        predictor: the prior for the render's view.
        timestep: t, an index into the predictor's schedule.
        noise: [1, C, h, w] standard normal.
        config: estimator, guidance scale and weighting.

    Raises:
        PortraitHeadError: the prediction is not finite (`not_finite`).
    """
    difference = _DIFFERENCES[config.estimator](latents, predictor, timestep, noise, config)
    if not bool(torch.isfinite(difference).all()):
        raise PortraitHeadError(
            "not_finite",
            f"The diffusion model predicted infinite noise at timestep {timestep}.",
            "Use bfloat16 or float32 instead of float16, or verify the model packs.",
        )
    return weight(config.weighting, predictor.schedule, timestep) * difference


def _guided(predictor: NoisePredictor, noisy: Tensor, timestep: int, scale: float, *more: Branch) -> tuple[Tensor, ...]:
    """Classifier-free guidance, and the predictions of more branches, from one batched call: each [1, C, h, w]."""
    predicted = predictor.epsilon(noisy, timestep, (Branch.POSITIVE, Branch.NEGATIVE, *more))
    positive, negative, *others = predicted.split(1)
    return negative + scale * (positive - negative), *others


def _sds(
    latents: Tensor, predictor: NoisePredictor, timestep: int, noise: Tensor, config: ScoreDistillationConfig
) -> Tensor:
    noisy = predictor.schedule.add_noise(latents, noise, timestep)
    (guided,) = _guided(predictor, noisy, timestep, config.guidance_scale)
    return guided - noise


def _vsd(
    latents: Tensor, predictor: NoisePredictor, timestep: int, noise: Tensor, config: ScoreDistillationConfig
) -> Tensor:
    noisy = predictor.schedule.add_noise(latents, noise, timestep)
    guided, variational = _guided(predictor, noisy, timestep, config.guidance_scale, Branch.VARIATIONAL)
    return guided - variational


def _csd(
    latents: Tensor, predictor: NoisePredictor, timestep: int, noise: Tensor, config: ScoreDistillationConfig
) -> Tensor:
    noisy = predictor.schedule.add_noise(latents, noise, timestep)
    positive, negative = predictor.epsilon(noisy, timestep, (Branch.POSITIVE, Branch.NEGATIVE)).split(1)
    return config.guidance_scale * (positive - negative)


def _ism(
    latents: Tensor, predictor: NoisePredictor, timestep: int, noise: Tensor, config: ScoreDistillationConfig
) -> Tensor:
    schedule = predictor.schedule
    path = _inversion_path(timestep, config)
    noisy = schedule.add_noise(latents, noise, path[0])
    for start, end in itertools.pairwise(path):
        before = predictor.epsilon(noisy, start, (Branch.NEGATIVE,))
        noisy = schedule.carry(noisy, before, start, end)
    (guided,) = _guided(predictor, noisy, timestep, config.guidance_scale)
    return guided - before


def _inversion_path(timestep: int, config: ScoreDistillationConfig) -> tuple[int, ...]:
    """Timesteps from where the noise is put in, over x_s, to `timestep`: rising, at least two."""
    if timestep == 0:
        raise ValueError("ism needs a timestep above 0")
    before = max(timestep - config.interval, 0)
    stops = {max(before - k * config.inversion_stride, 0) for k in range(config.inversion_steps + 1)}
    return *sorted(stops), timestep


def _ssd(
    latents: Tensor, predictor: NoisePredictor, timestep: int, noise: Tensor, config: ScoreDistillationConfig
) -> Tensor:
    noisy = predictor.schedule.add_noise(latents, noise, timestep)
    guided, plain = _guided(predictor, noisy, timestep, config.guidance_scale, Branch.PLAIN)
    return guided - plain


_DIFFERENCES = {"sds": _sds, "vsd": _vsd, "csd": _csd, "ism": _ism, "ssd": _ssd}
