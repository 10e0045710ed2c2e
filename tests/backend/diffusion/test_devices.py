"""Networks on the GPU, renders in main memory: nothing is mixed up. The GPU is pretended, see `pretend_gpu`."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import pytest
import torch
from portrait_head.diffusion import presets
from portrait_head.diffusion.captions import prompt_texts
from portrait_head.diffusion.guidance import ScoreDistillation
from portrait_head.diffusion.inpainting import PAINTER_FAST, PAINTER_PAPER, DiffusionPainter, texture_texts
from portrait_head.diffusion.joined_controlnets import JoinedControlNets
from portrait_head.diffusion.memory_plan import PLANS, MemoryPlan
from portrait_head.diffusion.packs import PriorFolders, load_pipeline
from portrait_head.diffusion.prior import IdGuidedPrior, PriorConfig, encode_prompts
from portrait_head.diffusion.variational import VariationalConfig

from tests.backend.diffusion.pretend_gpu import GpuTensor, pretended_gpu
from tests.backend.diffusion.test_guidance import ORBIT, render
from tests.backend.diffusion.test_inpainting import view as half_known
from tests.backend.diffusion.toy_packs import SIDE, subject

MEMORY = torch.device("cpu")


def guided(packs: PriorFolders, plan: MemoryPlan, name: str, place: AbstractContextManager[torch.device]):
    """The gradient on a render in main memory, of networks in a place."""
    config = presets.DISTILLATIONS[name]
    pipeline = load_pipeline(packs, torch.float32)
    prompts = encode_prompts(pipeline, prompt_texts("a person", "normal"))
    learning = VariationalConfig() if config.estimator == "vsd" else None
    view = render()
    with place as device:
        prior = IdGuidedPrior(pipeline, subject(), prompts, device, plan, PriorConfig(side=SIDE), learning)
        for _ in range(2):  # the LoRA of `vsd` answers differently the second time
            view.normals.grad = None
            ScoreDistillation(prior, config, "normal", seed=5)(ORBIT, view, 0.3).backward()
    assert view.normals.grad is not None
    return view.normals.grad


@pytest.mark.parametrize(
    ("plan", "name"),
    [*((plan, "fast") for plan in PLANS), *((PLANS[-1], name) for name in presets.DISTILLATIONS if name != "fast")],
    ids=lambda value: getattr(value, "name", value),
)
def test_every_guidance_computes_on_the_gpu_what_it_does_on_the_processor(packs, plan, name):
    found = guided(packs, plan, name, pretended_gpu())
    assert not isinstance(found, GpuTensor)
    expected = guided(packs, plan, name, nullcontext(MEMORY))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-7)  # attention is summed in another order


@pytest.mark.parametrize("config", [PAINTER_FAST, PAINTER_PAPER], ids=lambda config: config.sampler)
def test_a_view_in_either_memory_is_painted_and_restored_by_networks_on_the_gpu(packs, config):
    pipeline = load_pipeline(packs, torch.float32)
    pipeline.controlnet = JoinedControlNets([pipeline.controlnet], [1.0])
    prompts = encode_prompts(pipeline, texture_texts("a person"))
    here = half_known()
    results = {}
    for place in (nullcontext(MEMORY), pretended_gpu()):
        with place as device:
            prior = IdGuidedPrior(pipeline, subject(), prompts, device, PLANS[-1], PriorConfig(side=SIDE))
            painter = DiffusionPainter(prior, replace(config, steps=2, restoring_steps=1))
            for memory in {MEMORY, device}:
                told = {name: getattr(here, name).to(memory) for name in ("picture", "unseen", "mask", "normals")}
                view = replace(here, **told)
                painted = painter.paint(view, torch.Generator().manual_seed(0))
                restored = painter.restore(view, 100, torch.Generator().manual_seed(1))
                assert painted.device == restored.device == memory
                results[device, memory] = torch.stack([painted, restored]).to(MEMORY)
    (expected, *others) = results.values()
    assert len(others) == 2
    for other in others:
        torch.testing.assert_close(other, expected, rtol=1e-3, atol=1e-4)
