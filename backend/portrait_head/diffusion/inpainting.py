"""The prior as a painter: completes and restores pictures of the head (equations 6 and 8 of ID-Sculpt).

The networks are those of `prior.IdGuidedPrior`: one UNet with the identity adapter, switched off where the face turns
away. Its ControlNet sees the normals of the view's own camera here, and the base model is one that paints photographs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from portrait_head.diffusion.captions import NEGATIVE_PROMPT, NEUTRAL_CAPTION, PromptTexts
from portrait_head.diffusion.joined_controlnets import JoinedControlNets
from portrait_head.diffusion.memory_plan import MemoryPlan, within_memory
from portrait_head.diffusion.noise_schedule import NoiseSchedule
from portrait_head.diffusion.packs import PriorFolders, load_pipeline
from portrait_head.diffusion.prior import IdGuidedPrior, PriorConfig, Subject, ViewPrior, encode_prompts
from portrait_head.diffusion.score_distillation import Branch
from portrait_head.errors import PortraitHeadError
from portrait_head.models.loading import libraries, load_pretrained, missing_folder, quiet_libraries
from portrait_head.models.packages import missing
from portrait_head.models.weights import load_weights, wrong_architecture
from portrait_head.texturing.view_painting import ViewToPaint

if TYPE_CHECKING:
    from diffusers.pipelines.controlnet.pipeline_controlnet import StableDiffusionControlNetPipeline

Sampler = Literal["ddim", "lcm"]
Blending = Literal["latent", "controlnet"]
# Two heads are what a base model paints from behind, and shading would be baked into the texture.
_NEGATIVE = f"{NEGATIVE_PROMPT}, hard shadows, shiny highlights"
_ENDING = "head only, plain grey background, soft even light"
_FEW_STEP_FILE = "pytorch_lora_weights.safetensors"


@dataclass(frozen=True)
class PainterConfig:
    """How pictures are drawn."""

    sampler: Sampler = "lcm"
    steps: int = 4  # of a painted view; what the LCM LoRA was distilled for
    restoring_steps: int = 2  # of a restored one, which starts from little noise
    guidance_scale: float = 1.0  # 1: the caption alone, at half the cost; the LCM LoRA has guidance distilled into it
    start: float = 0.95  # share of the timesteps at which a painted view begins, noised; ID-Sculpt's code
    blending: Blending = "latent"
    normal_scale: float = 1.0  # of the ControlNet; ID-Sculpt's code
    inpainting_scale: float = 1.0  # of the ControlNet that `controlnet` blending adds


PAINTER_FAST = PainterConfig()
# What ID-Sculpt's public code runs (guidance/ip_controlnet_inpaint.py), which the paper is silent about.
PAINTER_PAPER = PainterConfig(sampler="ddim", steps=20, restoring_steps=20, guidance_scale=10.0)


@dataclass(frozen=True)
class PainterFolders:
    """Where the parts lie, each in the layout of its source.

    Attributes:
        base: a Stable Diffusion 1.5 folder that paints photographs, or in a style.
        normal: a ControlNet for normals.
        inpainting: a ControlNet for inpainting; needed for the blending `controlnet` only.
        face_id: an IP-Adapter-FaceID file or its folder; None leaves identity out.
        vae: a VAE folder that replaces the base's.
        few_steps: an LCM LoRA, the file or its folder; needed for the sampler `lcm` only.
    """

    base: Path
    normal: Path
    inpainting: Path | None = None
    face_id: Path | None = None
    vae: Path | None = None
    few_steps: Path | None = None


def painter_folders(path: Callable[[str], Path], config: PainterConfig = PAINTER_FAST) -> PainterFolders:
    """The catalogue's packs that a painter with these settings needs.

    Args:
        path: from a pack's name to its folder, for example `models.store.PackStore().path`.
        config: settings.
    """
    return PainterFolders(
        base=path("realistic-vision"),
        normal=path("controlnet-normal"),
        inpainting=path("controlnet-inpaint") if config.blending == "controlnet" else None,
        face_id=path("ip-adapter-faceid"),
        vae=path("vae-ft-mse"),
        few_steps=path("few-step-lora") if config.sampler == "lcm" else None,
    )


class DiffusionPainter:
    """A prior that paints; see `texturing.view_painting.ViewPainter` and `texturing.refinement.ViewRestorer`."""

    def __init__(self, prior: IdGuidedPrior, config: PainterConfig = PAINTER_FAST) -> None:
        """Paint with a prior that `load_painter` has put together for these settings."""
        self.prior = prior
        self.config = config

    def paint(self, view: ViewToPaint, generator: torch.Generator) -> Tensor:
        """The picture [H, W, 3] painted where `view.unseen`; elsewhere it is the given one to the last bit.

        Raises:
            PortraitHeadError: `out_of_memory`, after one retry with the next smaller memory plan, or `not_finite`.
        """
        state = generator.get_state()  # so that a second try paints the same
        painted = within_memory(
            lambda: self._paint(view, generator.set_state(state)), self.prior.shrink, "painting a view of the texture"
        )
        return torch.where(view.unseen[..., None], painted, view.picture)

    def restore(self, view: ViewToPaint, timestep: int, generator: torch.Generator) -> Tensor:
        """The picture [H, W, 3] noised to a timestep and restored: equation 8.

        Raises:
            PortraitHeadError: as `paint`.
        """
        state = generator.get_state()
        return within_memory(
            lambda: self._restore(view, timestep, generator.set_state(state)),
            self.prior.shrink,
            "restoring a view of the texture",
        )

    @torch.no_grad()
    def _paint(self, view: ViewToPaint, generator: torch.Generator) -> Tensor:
        latents = self.prior.encode(view.picture.permute(2, 0, 1)[None])
        keep = None
        if self.config.blending == "latent":
            keep = 1.0 - _latent_mask(view.unseen, latents)
        start = round(self.config.start * self.prior.schedule.timesteps) - 1
        path = timestep_path(start, self.config.steps, self.config.sampler)
        return self._picture(self._draw(view, latents, path, keep, generator), view)

    @torch.no_grad()
    def _restore(self, view: ViewToPaint, timestep: int, generator: torch.Generator) -> Tensor:
        latents = self.prior.encode(view.picture.permute(2, 0, 1)[None])
        path = timestep_path(timestep, self.config.restoring_steps, self.config.sampler)
        return self._picture(self._draw(view, latents, path, None, generator), view)

    def _draw(
        self, view: ViewToPaint, latents: Tensor, path: Sequence[int], keep: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        bound = self.prior.shown(view.angles, self._control_picture(view))
        drawn = denoise(latents, path, lambda noisy, t: self._epsilon(bound, noisy, t), self.prior.schedule,
                        self.config.sampler, generator, keep)  # fmt: skip
        if not bool(torch.isfinite(drawn).all()):
            raise PortraitHeadError(
                "not_finite",
                "The diffusion model painted infinite colours.",
                "Use bfloat16 or float32 instead of float16, or verify the model packs.",
            )
        return drawn

    def _epsilon(self, bound: ViewPrior, noisy: Tensor, timestep: int) -> Tensor:
        scale = self.config.guidance_scale
        if scale == 1.0:
            return bound.epsilon(noisy, timestep, (Branch.POSITIVE,))
        positive, negative = bound.epsilon(noisy, timestep, (Branch.POSITIVE, Branch.NEGATIVE)).split(1)
        return negative + scale * (positive - negative)

    def _control_picture(self, view: ViewToPaint) -> Tensor:
        """What the ControlNets see: [1, 3, side, side], or [1, 6, side, side] with inpainting."""
        side = self.prior.config.side
        normals = _resized(encode_normal_picture(view.normals, view.mask), side)
        if self.config.blending == "latent":
            return normals
        hidden = _resized(view.unseen[None, None].to(normals), side) > 0
        known = _resized(view.picture.permute(2, 0, 1)[None].to(normals), side)
        return torch.cat([normals, torch.where(hidden, _HIDDEN, known)], dim=1)

    def _picture(self, latents: Tensor, view: ViewToPaint) -> Tensor:
        picture = self.prior.decode(latents).to(view.picture)
        if picture.shape[-2:] != view.mask.shape:
            picture = interpolate(picture, view.mask.shape, mode="bicubic", antialias=True).clamp(0, 1)
        return picture[0].permute(1, 2, 0)


_HIDDEN = -1.0  # what the inpainting ControlNet of ControlNet 1.1 was shown where it had to paint


def encode_normal_picture(normals: Tensor, mask: Tensor) -> Tensor:
    """Normals [H, W, 3] in camera space (x right) as ControlNet 1.1 "normal BAE" reads them: [1, 3, H, W] in 0..1.

    Its colours are ScanNet's: red to the left of the picture, green up, blue towards the viewer. Such maps have no
    holes: off the head (mask [H, W] false) stands a wall that faces the viewer.
    """
    wall = normals.new_tensor([0.0, 0.0, 1.0])
    flipped = normals * normals.new_tensor([-1.0, 1.0, 1.0])
    return ((torch.where(mask[..., None], flipped, wall) + 1.0) / 2.0).permute(2, 0, 1)[None]


def timestep_path(start: int, steps: int, sampler: Sampler) -> list[int]:
    """Timesteps from `start` down, at most `steps`, evenly spaced towards 0 ("trailing": the first is `start`).

    For `lcm` each is the nearest of the 50 timesteps that Latent Consistency Models were distilled at.
    """
    even = [round(start * (1 - step / steps)) for step in range(steps)]
    if sampler == "lcm":
        even = [max(round((timestep + 1) / 20), 1) * 20 - 1 for timestep in even]
    return sorted(set(even), reverse=True)


def denoise(
    latents: Tensor,
    path: Sequence[int],
    epsilon: Callable[[Tensor, int], Tensor],
    schedule: NoiseSchedule,
    sampler: Sampler,
    generator: torch.Generator,
    keep: Tensor | None = None,
) -> Tensor:
    """Latents [1, C, h, w] noised to the first timestep of a path and led down it to clean ones.

    `ddim` follows the predicted noise (Song et al. 2021, equation 12 with sigma 0); `lcm` takes new noise at every
    step (Luo et al., "Latent Consistency Models", 2023, algorithm 3; its c_skip is below 10^-5 for every timestep in
    use, and is left out).

    Args:
        latents: clean ones to begin with.
        path: falling timesteps.
        epsilon: predicts the noise in latents at a timestep.
        schedule: of the model.
        sampler: see above.
        generator: of noise, on the CPU.
        keep: [1, 1, h, w], 1 where the latents are to stay (Avrahami et al., "Blended Latent Diffusion", 2023).
    """

    def noise() -> Tensor:
        return torch.randn(latents.shape, generator=generator).to(latents)

    first = noise()
    noisy = schedule.add_noise(latents, first, path[0])
    for timestep, following in zip(path, [*path[1:], None], strict=True):
        predicted = epsilon(noisy, timestep)
        alpha, sigma = schedule.coefficients(timestep)
        clean = (noisy - sigma * predicted) / alpha
        known = latents
        if following is None:
            noisy = clean
        else:
            noisy = schedule.add_noise(clean, predicted if sampler == "ddim" else noise(), following)
            known = schedule.add_noise(latents, first, following)
        if keep is not None:
            noisy = torch.lerp(noisy, known, keep)
    return noisy


def texture_texts(caption: str) -> PromptTexts:
    """The texts for painting: a caption, a style, or both; blank for a neutral photo."""
    caption = caption.strip().rstrip(".,") or NEUTRAL_CAPTION
    views = (f"{caption}, {word} view, {_ENDING}" for word in ("front", "side", "back", "overhead"))
    return PromptTexts(*views, plain=f"{caption}, {_ENDING}", negative=_NEGATIVE)


def load_painter(
    folders: PainterFolders,
    subject: Subject,
    device: torch.device,
    plan: MemoryPlan,
    dtype: torch.dtype,
    config: PainterConfig = PAINTER_FAST,
    prior_config: PriorConfig | None = None,
) -> DiffusionPainter:
    """The painter from local folders.

    Args:
        folders: the packs.
        subject: whom it shall know; the caption may name a style.
        device: where to compute.
        plan: how to share its memory.
        dtype: of the weights.
        config: settings.
        prior_config: picture size, and how strongly and up to which azimuth the identity counts.

    Raises:
        PortraitHeadError: `pack_missing` if a folder that the settings need is not given or not there; as
            `packs.load_pipeline`; for the LoRA as `models.weights.load_weights`, and `missing_package` without peft.
    """
    pipeline = load_pipeline(PriorFolders(folders.base, folders.normal, None, folders.face_id, folders.vae), dtype)
    if config.sampler == "lcm":
        _fuse_few_steps(pipeline, _given(folders.few_steps, "few-step LoRA"))
    if config.blending == "controlnet":
        diffusers, _ = libraries()
        inpainting = load_pretrained(
            diffusers.ControlNetModel, _given(folders.inpainting, "ControlNet for inpainting"), dtype
        )
        nets, scales = (pipeline.controlnet, inpainting), (config.normal_scale, config.inpainting_scale)
    else:
        nets, scales = (pipeline.controlnet,), (config.normal_scale,)
    pipeline.controlnet = JoinedControlNets(nets, scales).requires_grad_(False).eval()
    prompts = encode_prompts(pipeline, texture_texts(subject.caption))
    pipeline.text_encoder = None
    return DiffusionPainter(IdGuidedPrior(pipeline, subject, prompts, device, plan, prior_config), config)


def _fuse_few_steps(pipeline: StableDiffusionControlNetPipeline, path: Path) -> None:
    """Put a LoRA into the UNet's own weights, so that it costs nothing at run time.

    Raises:
        PortraitHeadError: `wrong_architecture` if it does not fit the UNet; `missing_package` without peft.
    """
    file = path if path.suffix else path / _FEW_STEP_FILE
    if not file.is_file():
        raise missing_folder(file, "few-step LoRA")
    try:
        importlib.import_module("peft")  # diffusers asks for it when it is too late for a sentence
    except ImportError as error:
        raise missing("peft", error) from error
    state = load_weights(file)
    before = [weight.detach().clone() for weight in _attention_weights(pipeline)]
    try:
        with quiet_libraries():
            pipeline.load_lora_weights(state, adapter_name="few_steps")
            pipeline.fuse_lora(components=["unet"])
            pipeline.unload_lora_weights()
    except (ValueError, RuntimeError, KeyError) as error:
        raise wrong_architecture(file.name, str(error).splitlines()[0]) from error
    # A LoRA of which no name is known is left out without a word.
    if all(torch.equal(one, other) for one, other in zip(before, _attention_weights(pipeline), strict=True)):
        raise wrong_architecture(file.name, "it changes none of the UNet's attention")


def _attention_weights(pipeline: StableDiffusionControlNetPipeline) -> list[Tensor]:
    return [weight for name, weight in pipeline.unet.named_parameters() if name.endswith("attn2.to_q.weight")]


def _given(folder: Path | None, what: str) -> Path:
    if folder is None:
        raise PortraitHeadError(
            "pack_missing",
            f"These settings of the painter need a {what}.",
            "Download its pack with `portrait-head models download`, or choose other settings.",
        )
    return folder


def _latent_mask(unseen: Tensor, latents: Tensor) -> Tensor:
    """[1, 1, h, w]: 1 for latents under which anything is unseen."""
    height, width = latents.shape[-2:]
    mask = unseen[None, None].to(latents)
    cell = (-(-mask.shape[-2] // height), -(-mask.shape[-1] // width))
    return interpolate(max_pool2d(mask, cell, ceil_mode=True), (height, width), mode="nearest")


def _resized(picture: Tensor, side: int) -> Tensor:
    if picture.shape[-2:] == (side, side):
        return picture
    return interpolate(picture, (side, side), mode="bilinear", antialias=True)
