"""How long the diffusion tier takes for the sample portrait: sculpt and texture, beside the embedded tier in one run.

Networks have the size of Stable Diffusion 1.5 and random weights: what comes out is noise, what it costs is true.
Loading is left out, since models stay warm; so are the references, one look of a small network.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch

from portrait_head.benchmarks.guidance import SD15, TINY, NetworkSize, benchmark_device, random_pipeline, random_prompts
from portrait_head.diffusion import presets
from portrait_head.diffusion.guidance import ScoreDistillation
from portrait_head.diffusion.inpainting import DiffusionPainter
from portrait_head.diffusion.joined_controlnets import JoinedControlNets
from portrait_head.diffusion.memory_plan import PLANS, weights_dtype
from portrait_head.diffusion.packs import IDENTITY_SIZE
from portrait_head.diffusion.presets import TierSettings, tier_settings
from portrait_head.diffusion.prior import IdGuidedPrior, PriorConfig, Subject
from portrait_head.head_model import load_landmark_table
from portrait_head.progress import Progress
from portrait_head.request import HeadRequest
from portrait_head.sculpting.config import GridConfig, SculptConfig, preset
from portrait_head.stages import fit, guide, portrait, prior_texture, sculpt, texture
from portrait_head.texturing.prior_painting import PriorPaintingConfig
from portrait_head.texturing.view_order import FramingConfig
from portrait_head.texturing.view_painting import ViewPaintingConfig

T = TypeVar("T")


@dataclass(frozen=True)
class _Work:
    """What is done."""

    request: HeadRequest
    sculpting: SculptConfig
    settings: TierSettings
    size: NetworkSize


def measure(tiny: bool = False) -> Iterator[dict[str, Any]]:
    """Time both tiers on one portrait.

    Args:
        tiny: toy networks and a coarse sculpt on the CPU instead, which shows that the benchmark runs and no more.

    Yields:
        One line: `ratio` (the embedded tier's seconds over the diffusion tier's), seconds of each part, peak memory.

    Raises:
        PortraitHeadError: `no_cuda`, unless tiny.
    """
    work = _tiny() if tiny else _standard()
    device = benchmark_device(tiny)
    told = Progress()
    seen = portrait.run(work.request, told)
    fitted = fit.run(work.request, seen, told)
    guided = guide.run(work.request, seen, fitted, told)
    plain, plain_sculpt = _timed(lambda: sculpt.run(work.request, seen, fitted, guided, told, work.sculpting))
    begun, plain_texture = _timed(lambda: texture.run(work.request, seen, fitted, plain, told))

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    steps = work.sculpting.scaled(work.settings.sculpt_steps)
    judges = [ScoreDistillation(_prior(work.size, device, fitted.posed), presets.FAST, "normal", seed=0)]
    carved, guided_sculpt = _timed(lambda: sculpt.run(work.request, seen, fitted, guided, told, steps, judges.pop()))
    painter = DiffusionPainter(_prior(work.size, device, fitted.neutral))
    settings = work.settings.painting
    _, painting = _timed(lambda: prior_texture.run(begun, fitted, carved, painter, settings, 0, device.type, told))
    whole = guided_sculpt + plain_texture + painting
    yield {
        "way": "diffusion tier, sculpt and texture",
        "ratio": round((plain_sculpt + plain_texture) / whole, 3),
        "seconds": round(whole, 2),
        "sculpt_seconds": round(guided_sculpt, 2),
        "texture_seconds": round(plain_texture + painting, 2),
        "embedded_sculpt_seconds": round(plain_sculpt, 2),
        "embedded_texture_seconds": round(plain_texture, 2),
        "peak_gb": round(torch.cuda.max_memory_allocated(device) / 1e9, 2) if device.type == "cuda" else None,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    }


def _standard() -> _Work:
    request = HeadRequest(photos=("sample",))
    return _Work(request, preset(request.preset), tier_settings(request.preset), SD15)


def _tiny() -> _Work:
    request = HeadRequest(photos=("sample",), preset="quick", texture_size=1024, hair="none")
    coarse = SculptConfig(grid=GridConfig(resolution=48), image_size=64, settle_steps=2, refine_steps=6)
    one_view = ViewPaintingConfig(order=ViewPaintingConfig().order[:2], framing=FramingConfig(side=TINY.side))
    settings = replace(tier_settings("quick"), painting=PriorPaintingConfig(one_view, refinement=None))
    return _Work(request, coarse, settings, TINY)


def _prior(size: NetworkSize, device: torch.device, vertices: np.ndarray) -> IdGuidedPrior:
    """A prior with random weights that knows this head's landmarks."""
    pipeline = random_pipeline(size, device, weights_dtype(device), identity=True)
    pipeline.controlnet = JoinedControlNets((pipeline.controlnet,), (1.0,))
    identity = np.random.default_rng(0).normal(size=IDENTITY_SIZE).astype(np.float32)
    subject = Subject(identity, load_landmark_table().positions(vertices))
    return IdGuidedPrior(pipeline, subject, random_prompts(size), device, PLANS[0], PriorConfig(side=size.side))


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    """A result that ends on the CPU, and its seconds."""
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started
