"""The distillation as a loss on renders."""

import dataclasses

import pytest
import torch
from portrait_head.diffusion import presets
from portrait_head.diffusion.captions import prompt_texts
from portrait_head.diffusion.guidance import ScoreDistillation, _GivenGradient
from portrait_head.diffusion.guidance_images import encode_normals
from portrait_head.diffusion.memory_plan import PLANS
from portrait_head.diffusion.noise_schedule import stable_diffusion_schedule
from portrait_head.diffusion.packs import load_pipeline
from portrait_head.diffusion.prior import IdGuidedPrior, PriorConfig, encode_prompts
from portrait_head.diffusion.score_distillation import Branch, ScoreDistillationConfig, TimestepRange
from portrait_head.diffusion.variational import VariationalConfig
from portrait_head.errors import PortraitHeadError
from portrait_head.rendering.orbit import orbit_view
from portrait_head.rendering.tensor_camera import TensorCamera
from portrait_head.sculpting.guidance import ViewGuidance
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.backend.diffusion.analytic import AnalyticPredictor, gaussian
from tests.backend.diffusion.toy_packs import SIDE, build_prior, subject

ORBIT = orbit_view(5.0, 20.0, 0.6, 30.0, torch.zeros(3), SIDE, SIDE)
SETTINGS = dataclasses.replace(presets.FAST, loss_weight=3.0)


@dataclasses.dataclass(frozen=True)
class Render:
    """Normals and depth with gradient, and a mask, of nothing in particular."""

    camera: TensorCamera
    normals: torch.Tensor
    depth: torch.Tensor
    mask: torch.Tensor


def render() -> Render:
    generator = torch.Generator().manual_seed(0)
    normals = torch.nn.functional.normalize(torch.randn(SIDE, SIDE, 3, generator=generator), dim=-1)
    mask = torch.zeros(SIDE, SIDE)
    mask[4:-4, 4:-4] = 1.0
    depth = (0.5 + 0.1 * torch.rand(SIDE, SIDE, generator=generator)) * mask
    return Render(ORBIT.camera, (normals * mask[..., None]).requires_grad_(), depth.requires_grad_(), mask)


def normal_gradient(
    prior: IdGuidedPrior, settings: ScoreDistillationConfig = SETTINGS, step: float = 0.3
) -> torch.Tensor:
    view = render()
    ScoreDistillation(prior, settings, "normal", seed=5)(ORBIT, view, step).backward()
    assert view.normals.grad is not None
    assert view.depth.grad is None
    return view.normals.grad


@pytest.fixture(scope="module")
def prior(packs) -> IdGuidedPrior:
    return build_prior(packs)


class RecordingPrior:
    """The toy prior's encoder with an analytic prediction, so that the latents' gradient is known."""

    def __init__(self, prior: IdGuidedPrior) -> None:
        self.plan, self._prior = prior.plan, prior
        beliefs = {Branch.POSITIVE: gaussian(1.0, 0.3), Branch.NEGATIVE: gaussian(-1.0, 0.3)}
        self.predictor = AnalyticPredictor(stable_diffusion_schedule(), beliefs)

    def encode(self, picture: torch.Tensor) -> torch.Tensor:
        return self._prior.encode(picture)

    def at(self, camera, depth=None) -> AnalyticPredictor:
        return self.predictor

    def shrink(self) -> bool:
        return False


def test_gradient_goes_back_through_the_vaes_encoder(prior):
    """Two Gaussians of one width: csd's gradient is the same for every latent and noise, so it can be written down."""
    settings = dataclasses.replace(SETTINGS, timesteps=TimestepRange((0.3, 0.3), (0.3, 0.3)))
    view = render()
    normals, mask = view.normals, view.mask
    ScoreDistillation(RecordingPrior(prior), settings, "normal", 0)(ORBIT, view, 0.0).backward()
    alpha, sigma = stable_diffusion_schedule().coefficients(300)
    known = 3.0 * sigma**2 * 7.5 * sigma * -2.0 * alpha / (alpha**2 * 0.3**2 + sigma**2)
    direction = torch.randn(normals.shape, generator=torch.Generator().manual_seed(2))
    step = 1e-2  # float32: small enough for the encoder's curvature, large enough for its rounding
    with torch.no_grad():
        ends = [prior.encode(encode_normals(normals + sign * step * direction, mask)).sum() for sign in (1, -1)]
    slope = known * float(ends[0] - ends[1]) / (2 * step) / (4 * (SIDE // 2) ** 2)  # a mean over the latents
    assert normals.grad is not None
    assert float((normals.grad * direction).sum()) == pytest.approx(slope, rel=2e-2)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_half_precision_loses_no_gradient_however_small_or_large(packs, scale):
    """csd's gradient is proportional to its guidance scale."""
    pipeline = load_pipeline(packs, torch.float16)
    prompts = encode_prompts(pipeline, prompt_texts("a person", "normal"))
    half = IdGuidedPrior(pipeline, subject(), prompts, torch.device("cpu"), PLANS[0], PriorConfig(side=SIDE))
    found = []
    for factor in (1.0, scale):
        view = render()
        settings = dataclasses.replace(SETTINGS, guidance_scale=7.5 * factor)
        ScoreDistillation(RecordingPrior(half), settings, "normal", 0)(ORBIT, view, 0.0).backward()
        assert view.normals.grad is not None
        found.append(view.normals.grad / factor)

    torch.testing.assert_close(found[1], found[0], rtol=1e-2, atol=1e-3 * float(found[0].abs().max()))


def test_nothing_outside_the_mask_is_guided(prior):
    gradient = normal_gradient(prior)
    assert float(gradient[0].abs().max()) == 0.0
    assert float(gradient[SIDE // 2].abs().max()) > 0.0


def test_it_is_what_the_sculpt_asks_for(prior):
    hook: ViewGuidance = ScoreDistillation(prior, SETTINGS, "normal", seed=5)
    assert callable(hook)


def test_every_step_has_random_numbers_of_its_own_and_repeats_them(prior):
    assert torch.equal(normal_gradient(prior), normal_gradient(prior))
    assert not torch.equal(normal_gradient(prior), normal_gradient(prior, step=0.301))


def test_loss_weight_scales_the_gradient(prior):
    double = dataclasses.replace(SETTINGS, loss_weight=6.0)
    torch.testing.assert_close(normal_gradient(prior, double), 2.0 * normal_gradient(prior))
    losses = [ScoreDistillation(prior, settings, "normal", 5)(ORBIT, render(), 0.3) for settings in (SETTINGS, double)]
    assert losses[1].item() == pytest.approx(2.0 * losses[0].item())


@pytest.mark.parametrize("plan", PLANS[1:], ids=lambda plan: plan.name)
def test_smaller_memory_plans_give_the_same_gradient(packs, prior, plan):
    frugal = build_prior(packs, plan=plan)
    expected = normal_gradient(prior)
    scale = float(expected.abs().max())
    torch.testing.assert_close(normal_gradient(frugal) / scale, expected / scale, rtol=1e-3, atol=1e-4)


def test_depth_renders_are_guided_through_depth(prior):
    view = render()
    ScoreDistillation(prior, SETTINGS, "depth", seed=5)(ORBIT, view, 0.3).backward()
    assert view.normals.grad is None
    assert view.depth.grad is not None
    assert float(view.depth.grad.abs().max()) > 0


def test_vsd_trains_its_lora_alongside(packs):
    learner = build_prior(packs, variational=VariationalConfig(learning_rate=1e-2))
    settings = presets.PAPER_CODE
    first = normal_gradient(learner, settings)
    latents = torch.zeros(1, 4, SIDE // 2, SIDE // 2)
    pair = learner.at(ORBIT.camera).epsilon(latents, 400, (Branch.POSITIVE, Branch.VARIATIONAL))
    assert not torch.equal(pair[0], pair[1])
    assert not torch.equal(normal_gradient(learner, settings), first)


class CrampedPrior(RecordingPrior):
    """A prior on a device that is full until room is made, as often as asked."""

    def __init__(self, prior: IdGuidedPrior, failures: int, shrinks: bool) -> None:
        super().__init__(prior)
        self.failures, self.shrinks, self.asked = failures, shrinks, 0

    def encode(self, picture: torch.Tensor) -> torch.Tensor:
        if self.failures:
            self.failures -= 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return super().encode(picture)

    def shrink(self) -> bool:
        self.asked += 1
        return self.shrinks


def test_the_loss_lies_where_the_picture_does():
    """The sculpt renders on the processor while the networks are on the GPU, which no test here has."""
    with FakeTensorMode():
        picture = torch.rand(1, 3, 8, 8, requires_grad=True)
        loss = _GivenGradient.apply(picture, torch.rand(1, 3, 8, 8), torch.rand((), device="cuda"))
        assert loss.device.type == "cpu"
        (loss + picture.sum()).backward()
        assert picture.grad is not None and picture.grad.device.type == "cpu"


def test_a_full_device_is_met_once_with_a_smaller_plan(prior):
    roomy, cramped = RecordingPrior(prior), CrampedPrior(prior, failures=1, shrinks=True)
    ours, theirs = (ScoreDistillation(which, SETTINGS, "normal", 0)(ORBIT, render(), 0.0) for which in (roomy, cramped))
    assert torch.equal(ours, theirs)
    assert cramped.asked == 1


@pytest.mark.parametrize(("failures", "shrinks"), [(2, True), (1, False)])
def test_a_device_that_stays_full_is_reported_with_what_to_change(prior, failures, shrinks):
    cramped = CrampedPrior(prior, failures, shrinks)
    with pytest.raises(PortraitHeadError, match="out of memory while distilling") as caught:
        ScoreDistillation(cramped, SETTINGS, "normal", 0)(ORBIT, render(), 0.0)
    assert caught.value.kind == "out_of_memory"
    assert "a larger one" in caught.value.hint and "embedded tier" in caught.value.hint
    assert cramped.asked == 1
