"""Every estimator against its closed form, under a prior whose score is known."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from portrait_head.diffusion import presets
from portrait_head.diffusion.noise_schedule import NoiseSchedule, stable_diffusion_schedule
from portrait_head.diffusion.score_distillation import (
    Branch,
    Estimator,
    ScoreDistillationConfig,
    TimestepRange,
    Weighting,
    latent_gradient,
    weight,
)
from portrait_head.errors import PortraitHeadError
from portrait_head.models.loading import libraries

from tests.backend.diffusion.analytic import AnalyticPredictor, Mixture, gaussian

ESTIMATORS: tuple[Estimator, ...] = ("sds", "vsd", "csd", "ism", "ssd")
PREDICTIONS = ("epsilon", "v_prediction")
SAMPLES = (1, 1, 128, 128)  # every latent is a sample: the analytic priors work element by element
STANDARD_ERRORS = 4.5  # of a mean over 16384 samples; one in 10^5 draws lies beyond
ANYWHERE = TimestepRange((0.02, 0.98), (0.02, 0.98))
GAUSSIANS = {
    Branch.POSITIVE: gaussian(1.0, 0.4),
    Branch.NEGATIVE: gaussian(-0.5, 0.8),
    Branch.PLAIN: gaussian(0.7, 0.5),
    Branch.VARIATIONAL: gaussian(0.2, 0.3),
}
LATENT = 0.25


def config(estimator: Estimator, scale: float = 7.5, **more) -> ScoreDistillationConfig:
    return ScoreDistillationConfig(estimator, scale, ANYWHERE, **more)


def gradient(
    predictor: AnalyticPredictor, timestep: int, settings: ScoreDistillationConfig, seed: int = 0
) -> torch.Tensor:
    latents = torch.full(SAMPLES, LATENT, dtype=torch.float64)
    noise = torch.randn(SAMPLES, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return latent_gradient(latents, predictor, timestep, noise, settings)


def alpha_sigma(timestep: int) -> tuple[float, float]:
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    alpha_squared = np.cumprod(1 - betas)[timestep]
    return alpha_squared**0.5, (1 - alpha_squared) ** 0.5


def noise_of_gaussian(noisy: float, timestep: int, branch: Branch) -> float:
    """The noise that a Gaussian belief sees in a latent: linear, so a mean goes in and a mean comes out."""
    alpha, sigma = alpha_sigma(timestep)
    (mean,), (deviation,) = GAUSSIANS[branch].means, GAUSSIANS[branch].deviations
    return sigma * (noisy - alpha * float(mean)) / (alpha**2 * deviation**2 + sigma**2)


def expected_gradient(estimator: Estimator, timestep: int, settings: ScoreDistillationConfig) -> float:
    """The mean of w(t) (prediction - reference) over the noise, w(t) = sigma_t^2, worked out on paper."""
    alpha, sigma = alpha_sigma(timestep)
    noisy, reference = alpha * LATENT, 0.0
    if estimator == "ism":
        before = timestep - settings.interval
        stops = [before - k * settings.inversion_stride for k in range(settings.inversion_steps, -1, -1)] + [timestep]
        noisy = alpha_sigma(stops[0])[0] * LATENT
        for start, end in itertools.pairwise(stops):
            reference = noise_of_gaussian(noisy, start, Branch.NEGATIVE)
            clean = (noisy - alpha_sigma(start)[1] * reference) / alpha_sigma(start)[0]
            noisy = alpha_sigma(end)[0] * clean + alpha_sigma(end)[1] * reference
    positive, negative = (noise_of_gaussian(noisy, timestep, b) for b in (Branch.POSITIVE, Branch.NEGATIVE))
    guided = negative + settings.guidance_scale * (positive - negative)
    match estimator:
        case "vsd":
            reference = noise_of_gaussian(noisy, timestep, Branch.VARIATIONAL)
        case "ssd":
            reference = noise_of_gaussian(noisy, timestep, Branch.PLAIN)
        case "csd":
            guided, reference = settings.guidance_scale * positive, settings.guidance_scale * negative
    return sigma**2 * (guided - reference)


def assert_mean(samples: torch.Tensor, expected: float) -> None:
    error = float(samples.std()) / samples.numel() ** 0.5
    assert float(samples.mean()) == pytest.approx(expected, abs=STANDARD_ERRORS * error + 1e-6)
    assert STANDARD_ERRORS * error < 0.1 * abs(expected)  # or the comparison would say little


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("timestep", [120, 480, 850])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_expected_gradient_is_the_closed_form(estimator, timestep, prediction):
    settings = config(estimator)
    predictor = AnalyticPredictor(stable_diffusion_schedule(prediction), GAUSSIANS)
    assert_mean(gradient(predictor, timestep, settings), expected_gradient(estimator, timestep, settings))


@pytest.mark.parametrize("steps", [1, 3])
def test_inverted_path_of_ism_is_the_closed_form(steps):
    settings = config("ism", scale=1.25, inversion_steps=steps, inversion_stride=60, interval=40)
    predictor = AnalyticPredictor(stable_diffusion_schedule(), GAUSSIANS)
    assert_mean(gradient(predictor, 600, settings), expected_gradient("ism", 600, settings))
    assert [timestep for timestep, _ in predictor.asked] == [560 - 60 * k for k in range(steps, -1, -1)] + [600]


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_sds_under_a_mixture_is_the_quadrature_of_its_score(prediction):
    belief = Mixture((-0.8, 0.9), (0.2, 0.4), (0.8, 0.2))
    predictor = AnalyticPredictor(
        stable_diffusion_schedule(prediction), {Branch.POSITIVE: belief, Branch.NEGATIVE: gaussian(0.0, 1.0)}
    )
    timestep, (alpha, sigma) = 300, alpha_sigma(300)
    nodes, shares = np.polynomial.hermite_e.hermegauss(80)
    at_nodes = alpha * LATENT + sigma * nodes
    density = [
        share
        * np.exp(-((at_nodes - alpha * mean) ** 2) / (2 * (alpha**2 * s**2 + sigma**2)))
        / (alpha**2 * s**2 + sigma**2) ** 0.5
        for mean, s, share in zip(belief.means, belief.deviations, belief.shares, strict=True)
    ]
    pulls = [
        (at_nodes - alpha * mean) / (alpha**2 * s**2 + sigma**2)
        for mean, s in zip(belief.means, belief.deviations, strict=True)
    ]
    noise = sigma * np.multiply(density, pulls).sum(axis=0) / np.sum(density, axis=0)
    expected = sigma**2 * float((noise * shares).sum() / shares.sum())
    assert_mean(gradient(predictor, timestep, config("sds", scale=1.0)), expected)


@pytest.mark.parametrize("timestep", [50, 500, 900])
def test_sds_with_the_kl_weight_is_the_gradient_of_the_kl_divergence(timestep):
    alpha, sigma = alpha_sigma(timestep)
    latent = torch.tensor(LATENT, requires_grad=True)
    render = torch.distributions.Normal(alpha * latent, sigma)
    belief = torch.distributions.Normal(alpha * 1.0, (alpha**2 * 0.4**2 + sigma**2) ** 0.5)
    torch.distributions.kl_divergence(render, belief).backward()
    assert latent.grad is not None
    predictor = AnalyticPredictor(stable_diffusion_schedule(), GAUSSIANS)
    assert_mean(gradient(predictor, timestep, config("sds", 1.0, weighting="kl")), float(latent.grad))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_guidance_scale_enters_linearly(estimator):
    predictor = AnalyticPredictor(stable_diffusion_schedule(), GAUSSIANS)
    none, one, many = (gradient(predictor, 400, config(estimator, scale)) for scale in (0.0, 1.0, 50.0))
    torch.testing.assert_close(many, none + 50.0 * (one - none), rtol=1e-9, atol=1e-9)
    assert not torch.allclose(one, none)


def test_sds_at_scale_one_is_the_positive_branch_and_at_scale_zero_the_negative_one():
    predictor = AnalyticPredictor(stable_diffusion_schedule(), GAUSSIANS)
    for scale, branch in ((1.0, Branch.POSITIVE), (0.0, Branch.NEGATIVE)):
        alone = AnalyticPredictor(predictor.schedule, dict.fromkeys(Branch, GAUSSIANS[branch]))
        torch.testing.assert_close(
            gradient(predictor, 400, config("sds", scale)), gradient(alone, 400, config("sds", 123.0))
        )


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_weights_multiply_the_unweighted_gradient(estimator):
    predictor = AnalyticPredictor(stable_diffusion_schedule(), GAUSSIANS)
    alpha, sigma = alpha_sigma(700)
    plain = gradient(predictor, 700, config(estimator, weighting="uniform"))
    factors: dict[Weighting, float] = {"sigma_squared": sigma**2, "kl": alpha / sigma, "fantasia": alpha * sigma**2}
    for weighting, factor in factors.items():
        weighted = gradient(predictor, 700, config(estimator, weighting=weighting))
        torch.testing.assert_close(weighted, factor * plain, rtol=1e-6, atol=0)
        assert weight(weighting, predictor.schedule, 700) == pytest.approx(factor, rel=1e-6)


@pytest.mark.parametrize(
    ("estimator", "branches"),
    [
        ("sds", (Branch.POSITIVE, Branch.NEGATIVE)),
        ("csd", (Branch.POSITIVE, Branch.NEGATIVE)),
        ("vsd", (Branch.POSITIVE, Branch.NEGATIVE, Branch.VARIATIONAL)),
        ("ssd", (Branch.POSITIVE, Branch.NEGATIVE, Branch.PLAIN)),
    ],
)
def test_one_batched_prediction_a_step(estimator, branches):
    predictor = AnalyticPredictor(stable_diffusion_schedule(), GAUSSIANS)
    gradient(predictor, 400, config(estimator))
    assert predictor.asked == [(400, branches)]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_descent_ends_where_the_prior_wants_the_render(estimator):
    """All estimators agree about a sharp belief: there is one picture, and descending finds it."""
    target = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(3))
    beliefs = {
        Branch.POSITIVE: gaussian(target, 0.05),
        Branch.NEGATIVE: gaussian(0.0, 1.5),
        Branch.PLAIN: gaussian(0.0, 1.5),
    }
    schedule = stable_diffusion_schedule()
    generator = torch.Generator().manual_seed(4)
    latents = torch.zeros_like(target)
    settings = config(estimator, 1.0)
    for step in range(400):
        timestep = TimestepRange((0.2, 0.6), (0.02, 0.1)).sample(step / 399, 1000, generator)
        noise = torch.randn(latents.shape, generator=generator)
        # What a perfectly trained LoRA would say of the one render there is: a belief without width.
        beliefs[Branch.VARIATIONAL] = gaussian(latents.clone(), 1e-4)
        predictor = AnalyticPredictor(schedule, beliefs)
        latents = latents - 0.2 * latent_gradient(latents, predictor, timestep, noise, settings)
    # csd, ssd and ism pull less the nearer they come to where both beliefs agree: a little beyond the target.
    assert float((latents - target).abs().mean()) < 0.1 * float(target.abs().mean())


def test_infinite_predictions_are_named():
    broken = AnalyticPredictor(stable_diffusion_schedule(), dict.fromkeys(Branch, gaussian(float("inf"), 1.0)))
    with pytest.raises(PortraitHeadError, match="timestep 400"):
        gradient(broken, 400, config("sds"))


def test_timesteps_stay_in_the_annealed_range():
    annealed = TimestepRange((0.2, 0.6), (0.02, 0.1), moves=(0.25, 0.75))
    assert annealed.bounds(0.0) == annealed.bounds(0.25) == (0.2, 0.6)
    assert annealed.bounds(0.5) == pytest.approx((0.11, 0.35))
    assert annealed.bounds(0.75) == annealed.bounds(1.0) == pytest.approx((0.02, 0.1))
    generator = torch.Generator().manual_seed(0)
    early = [annealed.sample(0.0, 1000, generator) for _ in range(3000)]
    late = [annealed.sample(1.0, 1000, generator) for _ in range(3000)]
    assert (min(early), max(early)) == (200, 600)
    assert (min(late), max(late)) == (20, 100)


def test_a_range_up_to_one_ends_at_the_last_timestep():
    assert TimestepRange((1.0, 1.0), (1.0, 1.0)).sample(0.0, 1000, torch.Generator()) == 999


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_network_targets_turn_back_into_the_noise(prediction):
    schedule = stable_diffusion_schedule(prediction)
    clean, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0)).unbind()
    noisy = schedule.add_noise(clean, noise, 321)
    torch.testing.assert_close(schedule.epsilon(schedule.target(clean, noise, 321), noisy, 321), noise)
    moved = schedule.carry(noisy, noise, 321, 800)
    torch.testing.assert_close(moved, schedule.add_noise(clean, noise, 800), rtol=1e-4, atol=1e-4)


def test_schedule_is_that_of_stable_diffusion():
    diffusers, _ = libraries()
    theirs = diffusers.DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").alphas_cumprod
    torch.testing.assert_close(stable_diffusion_schedule().alphas_cumprod, theirs, rtol=1e-5, atol=0)


@pytest.mark.parametrize("preset", presets.DISTILLATIONS.values(), ids=presets.DISTILLATIONS)
def test_presets_run_and_cannot_be_changed(preset):
    predictor = AnalyticPredictor(stable_diffusion_schedule(), GAUSSIANS)
    timestep = preset.timesteps.sample(0.5, predictor.schedule.timesteps, torch.Generator().manual_seed(1))
    assert torch.isfinite(gradient(predictor, timestep, preset)).all()
    with pytest.raises(dataclasses.FrozenInstanceError):
        preset.guidance_scale = 1.0


def test_a_schedule_says_how_long_it_is():
    assert NoiseSchedule(torch.linspace(0.9, 0.1, 7)).timesteps == 7
