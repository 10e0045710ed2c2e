"""The ID-guided prior on toy packs of the real classes, read by the code that users run."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from portrait_head.diffusion.captions import prompt_texts
from portrait_head.diffusion.memory_plan import PLANS
from portrait_head.diffusion.packs import load_pipeline
from portrait_head.diffusion.prior import IdGuidedPrior, ViewPrior, encode_prompts
from portrait_head.diffusion.score_distillation import Branch
from portrait_head.diffusion.variational import VariationalConfig
from portrait_head.diffusion.views import ViewAngles
from portrait_head.rendering.orbit import orbit_view

from tests.backend.diffusion.toy_packs import SIDE, build_prior, subject

FRONT, SIDEWAYS, BACK = 15.0, 80.0, 150.0
FROZEN = (Branch.POSITIVE, Branch.NEGATIVE, Branch.PLAIN)
NOISY = torch.randn(1, 4, SIDE // 2, SIDE // 2, generator=torch.Generator().manual_seed(0))


def view(prior: IdGuidedPrior, azimuth: float) -> ViewPrior:
    return prior.at(orbit_view(0.0, azimuth, 0.6, 30.0, torch.zeros(3), 64, 64).camera)


@pytest.fixture(scope="module")
def prior(packs) -> IdGuidedPrior:
    return build_prior(packs)


def test_another_identity_predicts_other_noise_where_the_face_shows(packs, prior):
    other = build_prior(packs, subject(seed=1))
    for azimuth, differs in ((FRONT, True), (SIDEWAYS, False), (BACK, False)):
        ours, theirs = (view(p, azimuth).epsilon(NOISY, 400, FROZEN) for p in (prior, other))
        assert torch.equal(ours, theirs) != differs
        assert torch.equal(ours[1], theirs[1])  # the negative branch knows nobody


def test_scale_zero_is_bit_equal_to_no_adapter(packs, prior):
    switched_off, without = build_prior(packs, identity_scale=0.0), build_prior(packs, with_identity=False)
    for azimuth in (FRONT, BACK):
        off = view(switched_off, azimuth).epsilon(NOISY, 400, FROZEN)
        assert torch.equal(off, view(without, azimuth).epsilon(NOISY, 400, FROZEN))
    assert not torch.equal(
        view(prior, FRONT).epsilon(NOISY, 400, FROZEN), view(without, FRONT).epsilon(NOISY, 400, FROZEN)
    )


def test_the_adapter_comes_back_after_a_view_from_behind(prior):
    before = view(prior, FRONT).epsilon(NOISY, 400, FROZEN)
    view(prior, BACK).epsilon(NOISY, 400, FROZEN)
    assert torch.equal(view(prior, FRONT).epsilon(NOISY, 400, FROZEN), before)


def test_landmarks_follow_the_camera_and_steer_the_prediction(prior):
    here, there = view(prior, FRONT), view(prior, FRONT + 10)
    assert not torch.equal(here.picture, there.picture)
    swapped = dataclasses.replace(here, picture=there.picture)
    assert not torch.equal(here.epsilon(NOISY, 400, FROZEN), swapped.epsilon(NOISY, 400, FROZEN))


def test_view_words_steer_the_positive_branch_alone(prior):
    picture = view(prior, FRONT).picture
    front, side = (
        ViewPrior(prior, ViewAngles(azimuth, 0.0), picture).epsilon(NOISY, 400, FROZEN) for azimuth in (44, 46)
    )
    assert not torch.equal(front[0], side[0])
    assert torch.equal(front[1:], side[1:])


def test_branches_may_be_asked_in_any_order(prior):
    together = view(prior, FRONT).epsilon(NOISY, 400, FROZEN)
    for index, branch in enumerate(FROZEN):
        alone = view(prior, FRONT).epsilon(NOISY, 400, (branch,))
        torch.testing.assert_close(alone[0], together[index], rtol=1e-4, atol=1e-5)  # batches sum in another order


@pytest.mark.parametrize("plan", PLANS[1:], ids=lambda plan: plan.name)
def test_smaller_memory_plans_predict_the_same(packs, prior, plan):
    ours, theirs = (view(p, FRONT).epsilon(NOISY, 400, FROZEN) for p in (prior, build_prior(packs, plan=plan)))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_prior_shrinks_once(packs):
    shrinking = build_prior(packs)
    assert shrinking.shrink()
    assert shrinking.plan == PLANS[1]
    assert not shrinking.shrink()
    assert not build_prior(packs, plan=PLANS[-1]).shrink()


def test_a_velocity_model_is_converted_to_noise(packs, prior, tmp_path):
    shutil.copytree(packs.base, tmp_path / "sd")
    file = tmp_path / "sd" / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "prediction_type": "v_prediction"}))
    velocity = build_prior(dataclasses.replace(packs, base=tmp_path / "sd"))
    output = view(prior, FRONT).epsilon(NOISY, 400, FROZEN)  # of an epsilon model: the network's output itself
    alpha, sigma = prior.schedule.coefficients(400)
    torch.testing.assert_close(view(velocity, FRONT).epsilon(NOISY, 400, FROZEN), alpha * output + sigma * NOISY)


def test_half_precision_comes_close(packs, prior):
    pipeline = load_pipeline(packs, torch.bfloat16)
    prompts = encode_prompts(pipeline, prompt_texts("a person", "normal"))
    half = IdGuidedPrior(pipeline, subject(), prompts, torch.device("cpu"), PLANS[0], prior.config)
    ours, theirs = (view(p, FRONT).epsilon(NOISY, 400, FROZEN) for p in (prior, half))
    assert theirs.dtype == torch.float32
    assert float((ours - theirs).abs().mean()) < 0.05 * float(ours.abs().mean())  # bfloat16 has 8 bits


def test_latents_are_the_scaled_middle_of_the_vaes_posterior(packs, prior):
    picture = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    pipeline = load_pipeline(packs, torch.float32)
    with torch.no_grad():
        mean = pipeline.vae.encode(picture * 2 - 1).latent_dist.mean
        torch.testing.assert_close(prior.encode(picture), mean * pipeline.vae.config.scaling_factor)
        assert prior.encode(torch.rand(1, 3, 50, 50)).shape == prior.encode(picture).shape


def test_embeddings_are_those_of_each_text(packs):
    pipeline = load_pipeline(packs, torch.float32)
    texts = prompt_texts("somebody", "normal")
    together = encode_prompts(pipeline, texts)
    for name in ("front", "overhead", "negative"):
        tokens = pipeline.tokenizer(
            getattr(texts, name), padding="max_length", max_length=77, truncation=True, return_tensors="pt"
        )
        with torch.no_grad():
            alone = pipeline.text_encoder(tokens.input_ids)[0][0]
        torch.testing.assert_close(getattr(together, name), alone, rtol=1e-4, atol=1e-5)


def test_identity_of_another_length_is_refused(packs):
    with pytest.raises(ValueError, match="256"):
        build_prior(packs, dataclasses.replace(subject(), identity=np.zeros(256, np.float32)))


class TestVariationalBranch:
    """The LoRA of VSD on the same UNet."""

    def test_starts_as_the_positive_branch_and_learns_the_renders(self, packs, prior):
        learner = build_prior(packs, variational=VariationalConfig(learning_rate=1e-2))
        render = torch.randn(NOISY.shape, generator=torch.Generator().manual_seed(5))
        bound = view(learner, FRONT)
        start = bound.epsilon(NOISY, 400, (Branch.POSITIVE, Branch.VARIATIONAL))
        assert torch.equal(start[0], start[1])

        def error() -> float:
            generator, total = torch.Generator().manual_seed(6), 0.0
            for timestep in range(100, 1000, 100):
                noise = torch.randn(render.shape, generator=generator)
                noisy = learner.schedule.add_noise(render, noise, timestep)
                total += float((bound.epsilon(noisy, timestep, (Branch.VARIATIONAL,)) - noise).square().mean())
            return total / 9

        before, generator = error(), torch.Generator().manual_seed(7)
        for _ in range(40):
            bound.learn(render, generator)
        assert error() < 0.8 * before

        # The other branches do not notice, to the last bit.
        assert torch.equal(bound.epsilon(NOISY, 400, FROZEN), view(prior, FRONT).epsilon(NOISY, 400, FROZEN))
        order = (Branch.VARIATIONAL, Branch.NEGATIVE)
        mixed = bound.epsilon(NOISY, 400, order)
        torch.testing.assert_close(mixed[1], bound.epsilon(NOISY, 400, FROZEN)[1], rtol=1e-4, atol=1e-5)

    def test_is_refused_by_a_prior_without_it(self, prior):
        with pytest.raises(ValueError, match="variational"):
            view(prior, FRONT).epsilon(NOISY, 400, (Branch.VARIATIONAL,))

    def test_first_weights_leave_the_global_generator_alone(self, packs):
        torch.manual_seed(11)
        expected = torch.rand(3)
        torch.manual_seed(11)
        build_prior(packs, variational=VariationalConfig())
        assert torch.equal(torch.rand(3), expected)
