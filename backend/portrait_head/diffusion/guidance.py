"""Score distillation as a loss on renders: what the sculpt asks of a guidance, view by view."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from portrait_head.diffusion.guidance_images import RenderKind, encode_depth, encode_normals
from portrait_head.diffusion.memory_plan import MemoryPlan, within_memory
from portrait_head.diffusion.score_distillation import NoisePredictor, ScoreDistillationConfig, latent_gradient
from portrait_head.rendering.orbit import OrbitView
from portrait_head.rendering.tensor_camera import TensorCamera


class DistillationPrior(Protocol):
    """A diffusion model that encodes pictures and can be bound to a view; `prior.IdGuidedPrior` is one."""

    @property
    def plan(self) -> MemoryPlan:
        """How the device's memory is shared."""
        ...

    def encode(self, picture: Tensor) -> Tensor:
        """Latents of a picture [1, 3, H, W] in 0..1, with its gradient."""
        ...

    def at(self, camera: TensorCamera, depth: Tensor | None = None) -> NoisePredictor:
        """The model for the view of a camera, given the view's depth map [H, W]."""
        ...

    def shrink(self) -> bool:
        """Make room on the device; says whether it could."""
        ...


class RenderedView(Protocol):
    """What a camera sees of the surface; `sculpting.views.View` is one."""

    @property
    def camera(self) -> TensorCamera:
        """The camera, of a square picture."""
        ...

    @property
    def normals(self) -> Tensor:
        """[H, W, 3] unit, space of that camera, zero where nothing is seen; not antialiased."""
        ...

    @property
    def depth(self) -> Tensor:
        """[H, W] metres in front of the camera, 0 where nothing is seen."""
        ...

    @property
    def mask(self) -> Tensor:
        """[H, W] coverage in 0..1, antialiased: through it outlines are moved."""
        ...


class _GivenGradient(torch.autograd.Function):
    """A value whose gradient with respect to a picture is already known.

    The picture may lie on the processor while the networks, and the value with them, are on the GPU: what comes back
    lies where the picture does, for the sculpt to add to its other losses.
    """

    @staticmethod
    def forward(ctx, picture: Tensor, gradient: Tensor, value: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(gradient)
        return value.to(picture.device, copy=True)

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (gradient,) = ctx.saved_tensors
        return upstream * gradient, None, None


class ScoreDistillation:
    """ISD of equation 3 on the normal or the depth renders of random views.

    The loss is a mean over the latents: its gradient with respect to them is g / n, with g from `latent_gradient` and n
    their number, and its value 0.5 |g|^2 / n, both times the configured weight. (ID-Sculpt's code takes the sum, and
    weighs normals by 10^4 against it: at 512 pixels n is 16384, so that here both weights are near 1.)

    The way back through the encoder is taken inside the call, so that the networks' graphs are gone, and a full device
    noticed, before the sculpt's own backward pass begins.
    """

    def __init__(self, prior: DistillationPrior, config: ScoreDistillationConfig, kind: RenderKind, seed: int) -> None:
        """Guide renders of a kind by a prior; random numbers depend on seed and progress alone."""
        self._prior = prior
        self._config = config
        self._kind: RenderKind = kind
        self._seed = seed

    def __call__(self, orbit: OrbitView, view: RenderedView, step: float) -> Tensor:
        """The loss of one view, a scalar with gradient.

        Args:
            orbit: the angles that the view's camera was made from; the camera itself is asked for them.
            view: the render.
            step: how much of the run is done, 0 to 1.

        Raises:
            PortraitHeadError: `out_of_memory`, after one retry with the next smaller memory plan, or `not_finite`.
        """
        normal = self._kind == "normal"
        picture = encode_normals(view.normals, view.mask) if normal else encode_depth(view.depth, view.mask)
        gradient, value = within_memory(
            lambda: self._picture_gradient(view, picture, step), self._prior.shrink, "distilling a view"
        )
        return _GivenGradient.apply(picture, gradient, value)  # pyright: ignore[reportReturnType]

    def _picture_gradient(self, view: RenderedView, picture: Tensor, progress: float) -> tuple[Tensor, Tensor]:
        """Gradient [1, 3, H, W] with respect to the picture, and the loss's value."""
        leaf = picture.detach().requires_grad_()
        with torch.set_grad_enabled(not self._prior.plan.encode_twice):
            latents = self._prior.encode(leaf)
        generator = torch.Generator().manual_seed((self._seed * 2**32 + round(progress * (2**32 - 1))) % 2**63)
        predictor = self._prior.at(view.camera, view.depth)
        timestep = self._config.timesteps.sample(progress, predictor.schedule.timesteps, generator)
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        known = latents.detach()
        gradient = latent_gradient(known, predictor, timestep, noise, self._config)
        if self._config.estimator == "vsd":
            predictor.learn(known, generator)
        if not latents.requires_grad:
            with torch.enable_grad():
                latents = self._prior.encode(leaf)
        share = self._config.loss_weight / gradient.numel()
        # On the way through the encoder its size is taken out: too small or too large, it would be lost in float16.
        size = max(float(gradient.abs().max()), torch.finfo(gradient.dtype).tiny)
        (on_picture,) = torch.autograd.grad(latents, leaf, gradient / size)
        return share * size * on_picture, 0.5 * share * gradient.square().sum()
