"""The ID-guided prior of equation 3: a diffusion model that knows the caption, the identity and the face's layout.

One UNet serves every view. Identity comes in through decoupled cross-attention (IP-Adapter FaceID) and is switched by
its scale: off where the face turns away, where it would only paint a second face on the hair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from portrait_head.diffusion.captions import PromptEmbeddings, PromptTexts, prompt_texts
from portrait_head.diffusion.guidance_images import RenderKind
from portrait_head.diffusion.landmark_image import LandmarkImageConfig, landmark_image
from portrait_head.diffusion.memory_plan import MemoryPlan, smaller_plan
from portrait_head.diffusion.noise_schedule import NoiseSchedule
from portrait_head.diffusion.packs import IDENTITY_SIZE, PriorFolders, load_pipeline, noise_schedule
from portrait_head.diffusion.score_distillation import Branch
from portrait_head.diffusion.variational import VariationalAdapter, VariationalConfig
from portrait_head.diffusion.views import ViewAngles, view_angles, view_word
from portrait_head.rendering.tensor_camera import TensorCamera

if TYPE_CHECKING:
    from diffusers.pipelines.controlnet.pipeline_controlnet import StableDiffusionControlNetPipeline


@dataclass(frozen=True)
class Subject:
    """Whom the prior knows.

    Attributes:
        identity: [512] float32, the normalised face embedding that the FaceID adapter was trained on.
        landmarks: [478, 3] MediaPipe's face mesh on the head, metres, head space.
        caption: in the user's words or a captioning model's; blank for a neutral one.
    """

    identity: np.ndarray
    landmarks: np.ndarray
    caption: str = ""


@dataclass(frozen=True)
class PriorConfig:
    """Settings of the prior."""

    side: int = 512  # pixels; what Stable Diffusion 1.5 was trained at
    identity_scale: float = 1.0  # ID-Sculpt's code
    identity_azimuth: float = 70.0  # degrees from the front, beyond which identity is off; ID-Sculpt's code
    landmark_scale: float = 1.0  # of the ControlNet; ID-Sculpt's code
    landmark_image: LandmarkImageConfig = field(default_factory=LandmarkImageConfig)


def identity_scale(angles: ViewAngles, config: PriorConfig) -> float:
    """The adapter's scale for a view: full where the face shows, zero beyond."""
    return config.identity_scale if abs(angles.azimuth) <= config.identity_azimuth else 0.0


class IdGuidedPrior:
    """A Stable Diffusion pipeline held for score distillation; `at` binds it to a view."""

    def __init__(
        self,
        pipeline: StableDiffusionControlNetPipeline,
        subject: Subject,
        prompts: PromptEmbeddings,
        device: torch.device,
        plan: MemoryPlan,
        config: PriorConfig | None = None,
        variational: VariationalConfig | None = None,
        seed: int = 0,
    ) -> None:
        """Move the networks to the device as the plan says; the text encoder is not needed.

        Args:
            pipeline: from `packs.load_pipeline`.
            subject: whom it shall know.
            prompts: the encoded texts.
            device: where to compute.
            plan: how to share its memory.
            config: scales and limits.
            variational: the LoRA that `vsd` trains; None without.
            seed: of the LoRA's first weights.
        """
        if subject.identity.shape != (IDENTITY_SIZE,):
            raise ValueError(f"identity must be [{IDENTITY_SIZE}], not {list(subject.identity.shape)}")
        self.config = config or PriorConfig()
        self.schedule: NoiseSchedule = noise_schedule(pipeline)
        self._pipeline = pipeline
        self._unet, self._vae, self._controlnet = pipeline.unet, pipeline.vae, pipeline.controlnet
        self._networks = (self._unet, self._vae, self._controlnet)
        self._has_identity = pipeline.unet.encoder_hid_proj is not None
        self._scale: float | None = None  # of the adapter, as last set
        self._subject = subject
        self._device = device
        self._dtype: torch.dtype = pipeline.unet.dtype
        self._prompts = prompts.to(device, self._dtype)
        known = torch.as_tensor(subject.identity, dtype=self._dtype, device=device)
        self._identity = {True: known, False: torch.zeros_like(known)}
        self._variational = VariationalAdapter(pipeline.unet, variational, seed) if variational else None
        self._shrunk = False
        self._apply(plan)

    def encode(self, picture: Tensor) -> Tensor:
        """The latents [1, 4, side / 8, side / 8] of a picture [1, 3, H, W] in 0..1, with its gradient.

        The middle of the VAE's posterior is taken: its spread is far below the noise that distillation adds.
        """
        side = self.config.side
        if picture.shape[-2:] != (side, side):
            picture = torch.nn.functional.interpolate(picture, (side, side), mode="bilinear", antialias=True)
        self._bring(self._vae)
        posterior = self._vae.encode((picture * 2.0 - 1.0).to(self._device, self._dtype)).latent_dist
        return posterior.mode().float() * self._vae.config.scaling_factor

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """The picture [1, 3, side, side] float32 in 0..1 of latents [1, 4, side / 8, side / 8], without gradient."""
        self._bring(self._vae)
        decoded = self._vae.decode((latents / self._vae.config.scaling_factor).to(self._device, self._dtype)).sample
        return (decoded.float() / 2.0 + 0.5).clamp(0.0, 1.0)

    def shown(self, angles: ViewAngles, picture: Tensor) -> ViewPrior:
        """The prior for a view whose ControlNet is shown a picture [1, C, side, side] of the caller's."""
        return ViewPrior(self, angles, picture.to(self._device, self._dtype))

    def at(self, camera: TensorCamera, depth: Tensor | None = None) -> ViewPrior:
        """The prior for a camera, with landmarks hidden by the depth map [H, W] (metres, 0 where nothing is)."""
        seen_from = camera.to_pinhole()
        nearest = None if depth is None else depth.detach().float().cpu().numpy()
        drawing = landmark_image(
            self._subject.landmarks, seen_from, self.config.side, nearest, self.config.landmark_image
        )
        picture = torch.from_numpy(drawing).permute(2, 0, 1)[None].to(self._device, self._dtype) / 255.0
        return ViewPrior(self, view_angles(seen_from.rotation), picture)

    def leave_device(self) -> None:
        """The networks go to main memory, whoever still holds the prior; it is of no use afterwards."""
        for network in self._networks:
            network.to("cpu")

    def shrink(self) -> bool:
        """Go over to the next smaller memory plan, once; says whether there was one."""
        smaller = smaller_plan(self.plan)
        if self._shrunk or smaller is None:
            return False
        self._shrunk = True
        self._apply(smaller)
        return True

    def epsilon(
        self, noisy: Tensor, timestep: int, branches: Sequence[Branch], angles: ViewAngles, picture: Tensor
    ) -> Tensor:
        """The noise in `noisy` [1, 4, h, w] under each branch, float32 [branches, 4, h, w], without gradient."""
        own = [branch for branch in branches if branch is not Branch.VARIATIONAL]
        self._bring(self._controlnet, self._unet)
        with torch.no_grad():
            batches = [own] if self.plan.branches_together else [[branch] for branch in own]
            outputs = [self._network(noisy, timestep, batch, angles, picture) for batch in batches if batch]
            predicted = dict(zip(own, torch.cat(outputs), strict=True)) if own else {}
            if Branch.VARIATIONAL in branches:
                with self._adapter().enabled():
                    (predicted[Branch.VARIATIONAL],) = self._network(
                        noisy, timestep, [Branch.VARIATIONAL], angles, picture
                    )
        return self.schedule.epsilon(torch.stack([predicted[branch] for branch in branches]), noisy, timestep)

    def learn(self, latents: Tensor, generator: torch.Generator, angles: ViewAngles, picture: Tensor) -> None:
        """One step of the LoRA on the latents [1, 4, h, w] of this view's render, at a timestep of its own."""
        timestep = int(torch.randint(self.schedule.timesteps, (1,), generator=generator))
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        noisy = self.schedule.add_noise(latents, noise, timestep)
        adapter = self._adapter()
        self._bring(self._controlnet, self._unet)
        with torch.enable_grad(), adapter.enabled():
            output = self._network(noisy, timestep, [Branch.VARIATIONAL], angles, picture)
            adapter.step(output, self.schedule.target(latents, noise, timestep))

    def _network(
        self, noisy: Tensor, timestep: int, batch: Sequence[Branch], angles: ViewAngles, picture: Tensor
    ) -> Tensor:
        """What ControlNet and UNet put out for each branch: float32 [batch, 4, h, w]."""
        size = len(batch)
        latents = noisy.to(self._device, self._dtype).expand(size, -1, -1, -1)
        text = torch.stack([self._text(branch, angles) for branch in batch])
        added = None
        if self._has_identity:
            self._switch_identity(identity_scale(angles, self.config))
            known = torch.stack([self._identity[branch is not Branch.NEGATIVE] for branch in batch])
            added = {"image_embeds": [known[:, None]]}
        time = torch.tensor(timestep, device=self._device)
        down, middle = self._controlnet(
            latents,
            time,
            encoder_hidden_states=text,
            controlnet_cond=picture.expand(size, -1, -1, -1),
            conditioning_scale=self.config.landmark_scale,
            return_dict=False,
        )
        output = self._unet(
            latents,
            time,
            encoder_hidden_states=text,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
            added_cond_kwargs=added,
            return_dict=False,
        )[0]
        return output.to(noisy.device, torch.float32)

    def _switch_identity(self, scale: float) -> None:
        if scale != self._scale:  # setting it walks through all of the UNet's modules
            self._pipeline.set_ip_adapter_scale(scale)
            self._scale = scale

    def _text(self, branch: Branch, angles: ViewAngles) -> Tensor:
        if branch is Branch.NEGATIVE:
            return self._prompts.negative
        return self._prompts.plain if branch is Branch.PLAIN else self._prompts.of_view(view_word(angles))

    def _adapter(self) -> VariationalAdapter:
        if self._variational is None:
            raise ValueError("this prior was built without a variational adapter, which vsd needs")
        return self._variational

    def _apply(self, plan: MemoryPlan) -> None:
        self.plan = plan
        if plan.checkpoint_encoder:
            self._vae.enable_gradient_checkpointing()
        for network in self._networks:
            network.to("cpu" if plan.offload else self._device)
            if self._device.type == "cuda":
                network.to(memory_format=torch.channels_last)

    def _bring(self, *needed: torch.nn.Module) -> None:
        """These networks to the device, if the plan keeps them off it, in place of those that are not needed."""
        if not self.plan.offload:
            return
        for network in self._networks:
            if not any(network is other for other in needed):
                network.to("cpu")
        for network in needed:
            network.to(self._device)


@dataclass(frozen=True)
class ViewPrior:
    """The prior bound to one view: what the estimators see.

    Attributes:
        prior: the networks.
        angles: of the view.
        picture: [1, 3, side, side] in 0..1, the landmarks as this view shows them.
    """

    prior: IdGuidedPrior
    angles: ViewAngles
    picture: Tensor

    @property
    def schedule(self) -> NoiseSchedule:
        """The forward process of the networks."""
        return self.prior.schedule

    def epsilon(self, noisy: Tensor, timestep: int, branches: Sequence[Branch]) -> Tensor:
        """The noise in `noisy` [1, 4, h, w] under each branch: [branches, 4, h, w]."""
        return self.prior.epsilon(noisy, timestep, branches, self.angles, self.picture)

    def learn(self, latents: Tensor, generator: torch.Generator) -> None:
        """One training step of the variational branch."""
        self.prior.learn(latents, generator, self.angles, self.picture)


def encode_prompts(pipeline: StableDiffusionControlNetPipeline, texts: PromptTexts) -> PromptEmbeddings:
    """The texts through the pipeline's text encoder, each [77, channels]."""
    ordered = [texts.front, texts.side, texts.back, texts.overhead, texts.plain, texts.negative]
    with torch.no_grad():
        embedded, _ = pipeline.encode_prompt(
            ordered, pipeline.text_encoder.device, num_images_per_prompt=1, do_classifier_free_guidance=False
        )
    return PromptEmbeddings(*embedded)


def load_prior(
    folders: PriorFolders,
    subject: Subject,
    kind: RenderKind,
    device: torch.device,
    plan: MemoryPlan,
    dtype: torch.dtype,
    config: PriorConfig | None = None,
    variational: VariationalConfig | None = None,
    seed: int = 0,
) -> IdGuidedPrior:
    """The prior from local folders; arguments as in `IdGuidedPrior`.

    Args:
        folders: the packs.
        subject: whom it shall know.
        kind: the pictures that the base model makes.
        device: where to compute.
        plan: how to share its memory.
        dtype: of the weights.
        config: scales and limits.
        variational: the LoRA that `vsd` trains.
        seed: of the LoRA's first weights.

    Raises:
        PortraitHeadError: as `packs.load_pipeline`.
    """
    pipeline = load_pipeline(folders, dtype)
    prompts = encode_prompts(pipeline, prompt_texts(subject.caption, kind))
    pipeline.text_encoder = None  # its work is done, and it is a quarter of a gigabyte
    return IdGuidedPrior(pipeline, subject, prompts, device, plan, config, variational, seed)
