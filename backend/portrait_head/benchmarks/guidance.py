"""How much faster a guided view is by the default than in the way of ID-Sculpt's public code, in the same run.

Networks have the size of Stable Diffusion 1.5 and random weights: what they say is noise, what they cost is true. The
other way is the code's: a pipeline without identity, whose UNet carries the LoRA that VSD trains, and a second whole
pipeline with the identity adapter, each asked on its own views. It is timed with weights in 32 bits, as its trainer is
set, and in 16 bits, as its guidance loads them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from portrait_head.diffusion import presets
from portrait_head.diffusion.captions import PromptEmbeddings
from portrait_head.diffusion.face_lines import LANDMARKS
from portrait_head.diffusion.guidance import DistillationPrior, ScoreDistillation
from portrait_head.diffusion.memory_plan import PLANS, MemoryPlan, cuda_device, weights_dtype
from portrait_head.diffusion.noise_schedule import NoiseSchedule
from portrait_head.diffusion.packs import IDENTITY_SIZE, put_face_id
from portrait_head.diffusion.prior import IdGuidedPrior, PriorConfig, Subject, ViewPrior
from portrait_head.diffusion.score_distillation import Branch, ScoreDistillationConfig
from portrait_head.diffusion.variational import VariationalConfig
from portrait_head.errors import PortraitHeadError
from portrait_head.models.loading import libraries
from portrait_head.rendering.orbit import orbit_view
from portrait_head.rendering.tensor_camera import TensorCamera

AZIMUTHS = (0.0, 45.0, 90.0, 135.0, 180.0, -135.0, -90.0, -45.0)  # degrees; identity is on for three of eight
TOKENS = 16  # of the identity adapter


@dataclass(frozen=True)
class NetworkSize:
    """Widths of the networks."""

    unet: tuple[int, int, int, int]
    vae: tuple[int, int, int, int]
    text: int
    layers: int  # of a UNet level
    groups: int  # of the normalisations
    side: int  # pixels
    warm_up: int  # steps before the clock runs: every view once
    steps: int  # timed
    matrix: int  # side of the product that says what the device can do


SD15 = NetworkSize((320, 640, 1280, 1280), (128, 256, 512, 512), 768, 2, 32, 512, 8, 24, 8192)
TINY = NetworkSize((32, 32, 64, 64), (16, 16, 16, 16), 32, 1, 8, 64, 1, 1, 256)


def measure(tiny: bool = False) -> Iterator[dict[str, Any]]:
    """Time steps of distillation: the picture's gradient of one view, encoder and all.

    Args:
        tiny: toy networks on the CPU instead, which shows that the benchmark runs and nothing more.

    Yields:
        A line a way: `ratio` (the default's steps per second over its own), steps a second, peak device memory,
        floating point operations of a step, and the share they reach of the rate that a large matrix product reaches
        on the same device in the same precision.

    Raises:
        PortraitHeadError: `no_cuda`, unless tiny.
    """
    size = TINY if tiny else SD15
    device = benchmark_device(tiny)
    ours = weights_dtype(device)
    half = torch.float32 if tiny else torch.float16
    ways = (
        ("default", ours, presets.FAST),
        ("paper's code, float32", torch.float32, presets.PAPER_CODE),
        ("paper's code, float16", half, presets.PAPER_CODE),
    )
    first = 0.0
    for name, dtype, settings in ways:
        line = _time(name, dtype, settings, size, device)
        first = first or line["steps_per_second"]
        yield {"way": name, "ratio": round(first / line["steps_per_second"], 2), **line}


def benchmark_device(tiny: bool) -> torch.device:
    """Where to measure.

    Raises:
        PortraitHeadError: `no_cuda`, unless tiny.
    """
    if tiny:
        return torch.device("cpu")
    try:
        return cuda_device()
    except PortraitHeadError as error:
        raise PortraitHeadError(
            error.kind,
            "This benchmark needs an NVIDIA GPU, and PyTorch finds none.",
            "Run it on a machine with a GPU, its driver and a CUDA build of PyTorch; --tiny shows here that it works.",
        ) from error


def random_pipeline(size: NetworkSize, device: torch.device, dtype: torch.dtype, identity: bool) -> Any:
    """A pipeline with random weights of the given size, without text encoder."""
    diffusers, _ = libraries()
    torch.manual_seed(0)
    unet = {
        "block_out_channels": size.unet,
        "layers_per_block": size.layers,
        "cross_attention_dim": size.text,
        "attention_head_dim": 8,
        "norm_num_groups": size.groups,
    }
    with torch.device(device):
        parts = {
            "unet": diffusers.UNet2DConditionModel(sample_size=size.side // 8, **unet),
            "controlnet": diffusers.ControlNetModel(**unet),
            "vae": diffusers.AutoencoderKL(
                block_out_channels=size.vae,
                layers_per_block=2,
                latent_channels=4,
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                norm_num_groups=size.groups,
                sample_size=size.side,
            ),
        }
    for part in parts.values():
        part.to(dtype).requires_grad_(False).eval()
    scheduler = diffusers.DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    pipeline = diffusers.StableDiffusionControlNetPipeline(
        **parts,
        scheduler=scheduler,
        text_encoder=None,
        tokenizer=None,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    if identity:
        put_face_id(pipeline, _random_face_id(pipeline.unet, size), "the random adapter")
    return pipeline


def random_prompts(size: NetworkSize) -> PromptEmbeddings:
    """Embeddings of six texts of 77 tokens."""
    return PromptEmbeddings(*torch.randn(6, 77, size.text))


def random_prior(
    size: NetworkSize, device: torch.device, dtype: torch.dtype, identity: bool, variational: VariationalConfig | None
) -> IdGuidedPrior:
    """A prior with random weights of the given size."""
    pipeline = random_pipeline(size, device, dtype, identity)
    random = np.random.default_rng(0)
    subject = Subject(random.normal(size=IDENTITY_SIZE), random.uniform(-0.08, 0.08, (LANDMARKS, 3)))
    config = PriorConfig(side=size.side)
    return IdGuidedPrior(pipeline, subject, random_prompts(size), device, PLANS[0], config, variational)


@dataclass(frozen=True)
class TwoPipelines:
    """The public code's way of knowing when to use the identity: two whole pipelines, asked in turn."""

    plain: IdGuidedPrior
    knowing: IdGuidedPrior

    @property
    def plan(self) -> MemoryPlan:
        """Both lie on the device, whole."""
        return self.plain.plan

    def encode(self, picture: Tensor) -> Tensor:
        """Latents of a picture, through the first pipeline's encoder."""
        return self.plain.encode(picture)

    def at(self, camera: TensorCamera, depth: Tensor | None = None) -> TwoPipelinesView:
        """Both pipelines bound to the view."""
        plain = self.plain.at(camera, depth)
        faces = abs(plain.angles.azimuth) <= self.plain.config.identity_azimuth
        return TwoPipelinesView(plain, replace(plain, prior=self.knowing) if faces else plain)

    def shrink(self) -> bool:
        """It has no smaller plan."""
        return False


@dataclass(frozen=True)
class TwoPipelinesView:
    """Frozen branches by the pipeline that suits the view, the LoRA always on the plain one."""

    plain: ViewPrior
    frozen: ViewPrior

    @property
    def schedule(self) -> NoiseSchedule:
        """The same for both."""
        return self.plain.schedule

    def epsilon(self, noisy: Tensor, timestep: int, branches: Sequence[Branch]) -> Tensor:
        """The frozen branches and then the LoRA's."""
        own = tuple(branch for branch in branches if branch is not Branch.VARIATIONAL)
        predicted = self.frozen.epsilon(noisy, timestep, own)
        return torch.cat([predicted, self.plain.epsilon(noisy, timestep, (Branch.VARIATIONAL,))])

    def learn(self, latents: Tensor, generator: torch.Generator) -> None:
        """Train the LoRA."""
        self.plain.learn(latents, generator)


def _time(
    name: str, dtype: torch.dtype, settings: ScoreDistillationConfig, size: NetworkSize, device: torch.device
) -> dict[str, Any]:
    """One way's line; nothing of it stays on the device afterwards."""
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    prior = _build(settings, size, device, dtype)
    guidance = ScoreDistillation(prior, settings, "normal", seed=0)
    total = size.warm_up + size.steps
    for step in range(size.warm_up):
        _step(guidance, size, device, step, total)
    _wait(device)
    started = time.perf_counter()
    for step in range(size.warm_up, total):
        _step(guidance, size, device, step, total)
    _wait(device)
    rate = size.steps / (time.perf_counter() - started)
    peak = torch.cuda.max_memory_allocated(device) / 1e9 if cuda else None
    counter = FlopCounterMode(display=False)
    with counter:
        _step(guidance, size, device, 0, total)
    operations = counter.get_total_flops()
    return {
        "steps_per_second": round(rate, 3),
        "peak_gb": None if peak is None else round(peak, 2),
        "tflop_per_step": round(operations / 1e12, 6),
        "share_of_device_rate": round(operations * rate / _matrix_rate(size.matrix, device, dtype), 3),
        "dtype": str(dtype).removeprefix("torch."),
        "estimator": settings.estimator,
        "device": torch.cuda.get_device_name(device) if cuda else "cpu",
        "side": size.side,
    }


def _build(
    settings: ScoreDistillationConfig, size: NetworkSize, device: torch.device, dtype: torch.dtype
) -> DistillationPrior:
    if settings.estimator != "vsd":
        return random_prior(size, device, dtype, identity=True, variational=None)
    plain = random_prior(size, device, dtype, identity=False, variational=VariationalConfig())
    return TwoPipelines(plain, random_prior(size, device, dtype, identity=True, variational=None))


@dataclass(frozen=True)
class _Ball:
    """Normals [H, W, 3] with gradient, depth and mask [H, W] of a ball, which looks the same from everywhere."""

    camera: TensorCamera
    normals: Tensor
    depth: Tensor
    mask: Tensor


def _ball(size: NetworkSize, device: torch.device, camera: TensorCamera) -> _Ball:
    grid = torch.linspace(-1.2, 1.2, size.side, device=device)
    y, x = torch.meshgrid(-grid, grid, indexing="ij")
    height = (1 - x**2 - y**2).clamp(min=0).sqrt()
    mask = (height > 0).float()
    normals = torch.stack([x, y, height], dim=-1) * mask[..., None]
    return _Ball(camera, normals.requires_grad_(), (0.6 - 0.1 * height) * mask, mask)


def _step(guidance: ScoreDistillation, size: NetworkSize, device: torch.device, step: int, total: int) -> None:
    azimuth = AZIMUTHS[step % len(AZIMUTHS)]
    orbit = orbit_view(0.0, azimuth, 0.6, 30.0, torch.zeros(3), size.side, size.side)
    guidance(orbit, _ball(size, device, orbit.camera), step / total).backward()


def _matrix_rate(side: int, device: torch.device, dtype: torch.dtype) -> float:
    """Floating point operations a second of a square matrix product."""
    left, right = torch.randn(2, side, side, device=device).to(dtype)
    repeats = 10
    for _ in range(3):
        torch.mm(left, right)
    _wait(device)
    started = time.perf_counter()
    for _ in range(repeats):
        torch.mm(left, right)
    _wait(device)
    return 2.0 * side**3 * repeats / (time.perf_counter() - started)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _random_face_id(unet: Any, size: NetworkSize) -> dict[str, dict[str, Tensor]]:
    """Tensors named as in the published FaceID portrait file."""
    inner = 2 * IDENTITY_SIZE
    projection = {
        "proj.0.weight": torch.randn(inner, IDENTITY_SIZE) / 23,
        "proj.0.bias": torch.zeros(inner),
        "proj.2.weight": torch.randn(size.text * TOKENS, inner) / 32,
        "proj.2.bias": torch.zeros(size.text * TOKENS),
        "norm.weight": torch.ones(size.text),
        "norm.bias": torch.zeros(size.text),
    }
    attention = {}
    for key, name in enumerate(unet.attn_processors):
        if name.endswith("attn2.processor"):
            hidden = unet.get_submodule(name.removesuffix(".processor")).to_k.out_features
            for part in ("to_k_ip", "to_v_ip"):
                attention[f"{key}.{part}.weight"] = torch.randn(hidden, size.text) / size.text**0.5
    return {"image_proj": projection, "ip_adapter": attention}
