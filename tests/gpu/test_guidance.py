"""The guidance on a GPU: the same answers as on the CPU, in the time and memory that were promised."""

from dataclasses import replace

import pytest
import torch
from portrait_head.benchmarks import diffusion_tier
from portrait_head.benchmarks.guidance import measure
from portrait_head.diffusion import presets
from portrait_head.diffusion.captions import prompt_texts
from portrait_head.diffusion.guidance import ScoreDistillation
from portrait_head.diffusion.inpainting import PAINTER_FAST, PAINTER_PAPER, PainterFolders, load_painter
from portrait_head.diffusion.memory_plan import (
    PLANS,
    choose_plan,
    cuda_device,
    free_memory,
    weights_dtype,
    within_memory,
)
from portrait_head.diffusion.packs import PriorFolders, load_pipeline
from portrait_head.diffusion.prior import IdGuidedPrior, PriorConfig, encode_prompts
from portrait_head.diffusion.score_distillation import Branch
from portrait_head.errors import PortraitHeadError
from portrait_head.rendering.orbit import orbit_view

from tests.backend.diffusion.test_guidance import ORBIT, render
from tests.backend.diffusion.test_inpainting import view as half_known
from tests.backend.diffusion.toy_packs import SIDE, save_packs, subject

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

FROZEN = (Branch.POSITIVE, Branch.NEGATIVE, Branch.PLAIN)


@pytest.fixture(scope="module")
def packs(tmp_path_factory) -> PriorFolders:
    return save_packs(tmp_path_factory.mktemp("packs"))


def predict(packs: PriorFolders, device: torch.device, dtype: torch.dtype, plan=PLANS[0]) -> torch.Tensor:
    pipeline = load_pipeline(packs, dtype)
    prompts = encode_prompts(pipeline, prompt_texts("a person", "normal"))
    prior = IdGuidedPrior(pipeline, subject(), prompts, device, plan, PriorConfig(side=SIDE))
    noisy = torch.randn(1, 4, SIDE // 2, SIDE // 2, generator=torch.Generator().manual_seed(0)).to(device)
    camera = orbit_view(0.0, 15.0, 0.6, 30.0, torch.zeros(3), 64, 64).camera
    picture = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)).to(device)
    with torch.no_grad():
        prior.encode(picture)  # what an offloaded plan moves away and back
    return prior.at(camera).epsilon(noisy, 400, FROZEN).cpu()


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_every_plan_predicts_what_the_cpu_does(packs, plan):
    expected = predict(packs, torch.device("cpu"), torch.float32)
    found = predict(packs, cuda_device(), torch.float32, plan)
    # cuDNN convolves in TF32, which has 10 bits of mantissa.
    assert float((found - expected).abs().mean()) < 5e-3 * float(expected.abs().mean())


def test_half_precision_comes_close(packs):
    expected = predict(packs, torch.device("cpu"), torch.float32)
    found = predict(packs, cuda_device(), weights_dtype(cuda_device()))
    assert float((found - expected).abs().mean()) < 0.05 * float(expected.abs().mean())


def test_a_render_on_the_processor_is_guided_by_networks_on_the_gpu(packs):
    pipeline = load_pipeline(packs, torch.float32)
    prompts = encode_prompts(pipeline, prompt_texts("a person", "normal"))
    prior = IdGuidedPrior(pipeline, subject(), prompts, cuda_device(), PLANS[0], PriorConfig(side=SIDE))
    view, other = render(), torch.ones((), requires_grad=True)
    (ScoreDistillation(prior, presets.FAST, "normal", seed=5)(ORBIT, view, 0.3) + other).backward()
    assert view.normals.grad is not None
    assert view.normals.grad.device.type == "cpu" and float(view.normals.grad.abs().max()) > 0


@pytest.mark.parametrize("config", [PAINTER_FAST, PAINTER_PAPER], ids=["fast", "paper"])
def test_a_view_is_painted_from_either_device(packs, config):
    folders = PainterFolders(packs.base, packs.controlnet, None, packs.face_id, None, None)
    config = replace(config, sampler="ddim", steps=3)
    painter = load_painter(folders, subject(), cuda_device(), PLANS[0], torch.float32, config, PriorConfig(side=SIDE))
    here = half_known()
    there = replace(here, **{name: getattr(here, name).cuda() for name in ("picture", "unseen", "mask", "normals")})
    for view in (here, there):
        painted = painter.paint(view, torch.Generator().manual_seed(0))
        assert painted.device == view.picture.device
        assert torch.equal(painted[~view.unseen], view.picture[~view.unseen])


def test_a_full_device_is_reported_after_one_retry():
    attempts = []

    def allocate() -> torch.Tensor:
        attempts.append(1)
        return torch.empty(2**44, dtype=torch.uint8, device=cuda_device())

    with pytest.raises(PortraitHeadError) as caught:
        within_memory(allocate, lambda: True, "testing")
    assert caught.value.kind == "out_of_memory"
    assert len(attempts) == 2


def test_a_plan_fits_this_device():
    assert choose_plan(free_memory(cuda_device())) in PLANS


def test_default_is_five_times_as_fast_as_the_papers_way_and_fits_into_eight_gigabytes():
    default, full, half = measure()
    assert default["peak_gb"] < 8.0
    assert full["ratio"] >= 5.0
    assert half["ratio"] > 1.0


def test_sculpt_and_texture_of_a_head_take_less_than_three_minutes():
    (line,) = diffusion_tier.measure()
    assert line["seconds"] < 180
