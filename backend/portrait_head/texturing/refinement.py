"""Texture refinement (ID-Sculpt, section 3.3): views out of agreement are brought together by what the prior restores.

A render of a random view gets noise and is restored by the prior (equation 8); the texture then moves so that its
renders come nearer to the restored ones, and the reference view to the photo (equation 9). The texture is optimised as
logits of its texels, so that it cannot leave 0 to 1, and read through mip maps, so that far and grazing views change
what they really show. One set of logits a texel: gutters follow their islands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from portrait_head.diffusion.views import view_angles
from portrait_head.progress import Progress
from portrait_head.rendering.orbit import OrbitRanges, orbit_view
from portrait_head.texturing.back_projection import BackProjectionConfig, back_project
from portrait_head.texturing.painted_scene import Scene, SeenScene, Texels
from portrait_head.texturing.view_painting import PaintedTexels, ViewToPaint

# From two pictures [1, 3, H, W] in 0..1 to a scalar. A pack with a trained distance (LPIPS) is one, too.
Perceptual = Callable[[Tensor, Tensor], Tensor]


class ViewRestorer(Protocol):
    """Something that removes what is wrong with a picture; `diffusion.inpainting.DiffusionPainter` is one."""

    def restore(self, view: ViewToPaint, timestep: int, generator: torch.Generator) -> Tensor:
        """The picture [H, W, 3] sRGB 0 to 1 after noise of `timestep` was put on it and taken away (equation 8)."""
        ...


@dataclass(frozen=True)
class RefinementConfig:
    """Rounds of restoring some views and then moving the texture towards all of them.

    Weights are of means over the pixels that show the head at no grazing angle. Lengths in metres, angles in degrees.
    """

    rounds: int = 3
    views: int = 8  # restored in a round, spread around the head
    updates: int = 60  # of the texture in a round, each on one of the round's views
    learning_rate: float = 0.02  # ID-Sculpt's code
    timesteps: tuple[int, int] = (50, 200)  # of 1000, the second excluded; ID-Sculpt's code
    orbit: OrbitRanges = field(  # ID-Sculpt's code; its unit is about 0.15 m
        default_factory=lambda: OrbitRanges(
            elevation=(-20.0, 45.0), distance=(2.5 * 0.15, 3.5 * 0.15), field_of_view=(30.0, 45.0)
        )
    )
    projection: BackProjectionConfig = field(default_factory=BackProjectionConfig)  # which pixels and texels count
    side: int = 512  # pixels
    mse: float = 1.0  # equation 9 weighs all four alike
    perceptual: float = 1.0
    reference_mse: float = 1.0
    reference_perceptual: float = 1.0
    hold_photo: bool = True  # what the photo saw well does not move at all
    background: float = 0.5  # grey behind the head


# The paper (section 4.1): 400 steps of batch size 1. What the photo saw is held by the reference's terms alone.
PAPER = RefinementConfig(rounds=400, views=1, updates=1, hold_photo=False)
# Ours: views restored together agree with each other before the texture moves, which a twentieth of them then suffice.
FAST = RefinementConfig()


@dataclass(frozen=True)
class ReferencePicture:
    """The photo's view, which equation 9 holds the texture to.

    Attributes:
        seen: what its camera sees of the scene.
        picture: [H, W, 3] sRGB 0 to 1, as the texture should look there (with the light that the texture has).
        weight: [H, W], 0 to 1, where it counts.
    """

    seen: SeenScene
    picture: Tensor
    weight: Tensor


def structure_distance(one: Tensor, other: Tensor, scales: int = 4) -> Tensor:
    """How much the edges of two pictures [1, C, H, W] differ, a mean over four sizes of the pictures.

    Stands in for a trained perceptual distance: differences of neighbouring pixels are compared, not the pixels, so
    that misplaced and missing detail counts and a smooth shift of tone, which the squared error sees, does not.
    """
    difference = one - other
    total = difference.new_zeros(())
    for scale in range(scales):
        across, down = difference.diff(dim=-1), difference.diff(dim=-2)
        # A rounded absolute value: its gradient is defined where the pictures agree.
        total = total + sum((part.square() + 1e-6).sqrt().mean() - 1e-3 for part in (across, down))
        if scale + 1 < scales and min(difference.shape[-2:]) >= 4:
            difference = avg_pool2d(difference, 2)
    return total / scales


class TexelLogits:
    """The colours of a surface's texels as something to optimise."""

    def __init__(self, texels: Texels, painted: PaintedTexels, open_share: Tensor) -> None:
        """Begin with the painted colours; `open_share` [N] says how far (0 to 1) each texel may leave them."""
        self._texels = texels
        self._start = painted.colour
        self._open = open_share[:, None]
        self._first = torch.logit(painted.colour.clamp(_LEAST, 1 - _LEAST))
        self.logits = self._first.clone().requires_grad_()
        self._met = torch.zeros(len(self.logits), dtype=torch.bool, device=self.logits.device)

    def meet(self, seen: SeenScene, config: BackProjectionConfig) -> None:
        """From now on the texels that this view sees may move.

        The others keep still although they, too, have gradients: a grazing pixel reads a coarse mip level, and that
        reaches behind the outline.
        """
        self._met[back_project(seen.normals, seen, self._texels, config).rows] = True

    def hold_unmet(self) -> None:
        """Take the gradient from texels that no view has seen."""
        if self.logits.grad is not None:
            self.logits.grad[~self._met] = 0

    def colour(self, logits: Tensor | None = None) -> Tensor:
        """[N, 3] sRGB, strictly inside 0 to 1 where a texel may move."""
        logits = self.logits if logits is None else logits
        return torch.lerp(self._start.to(logits), torch.sigmoid(logits), self._open.to(logits))

    def texture(self, logits: Tensor | None = None) -> Tensor:
        """[H, W, 3]."""
        return self._texels.image(self.colour(logits))

    def result(self) -> Tensor:
        """[N, 3] the colours; where nothing moved, those of the start to the last bit."""
        return torch.where(self.logits.detach() != self._first, self.colour().detach(), self._start)


_LEAST = 1 / 512  # half a step of 8 bits: a logit of black or white would be infinite


def refine(
    scene: Scene,
    painted: Mapping[int, PaintedTexels],
    restorer: ViewRestorer,
    config: RefinementConfig,
    seed: int,
    progress: Progress,
    reference: ReferencePicture | None = None,
    perceptual: Perceptual = structure_distance,
) -> dict[int, PaintedTexels]:
    """Refine the texels of a painted scene.

    Args:
        scene: the surfaces.
        painted: their texels, by surface, from `view_painting.paint_views`.
        restorer: the prior.
        config: rounds, views and weights.
        seed: of cameras, timesteps and noise.
        progress: told after every round.
        reference: the photo's view; None leaves its two terms out.
        perceptual: the second term of either kind.
    """
    generator = torch.Generator().manual_seed(seed)
    logits = {
        index: TexelLogits(scene.texels(index), texels, _open_share(texels, config))
        for index, texels in painted.items()
    }
    if reference is not None:
        for one in logits.values():
            one.meet(reference.seen, config.projection)
    optimiser = torch.optim.Adam([one.logits for one in logits.values()], lr=config.learning_rate)

    def textures() -> list[Tensor]:
        return [logits[i].texture() if i in logits else given for i, given in enumerate(scene.textures)]

    for round_ in range(config.rounds):
        targets = []
        with torch.no_grad():
            present = textures()
            for share in range(config.views):
                seen = scene.look(_random_camera(scene, config, share, generator))
                targets.append((seen, _restored(scene, seen, present, restorer, config, generator)))
                for one in logits.values():
                    one.meet(seen, config.projection)
        for update in range(config.updates):
            seen, target = targets[update % len(targets)]
            current = textures()
            weight = (seen.facing > config.projection.grazing_cosine).to(target)
            loss = view_loss(scene.render(seen, current), target, weight, config.mse, config.perceptual, perceptual)
            if reference is not None:
                shown = scene.render(reference.seen, current)
                weights = config.reference_mse, config.reference_perceptual
                loss = loss + view_loss(shown, reference.picture, reference.weight, *weights, perceptual)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            for one in logits.values():
                one.hold_unmet()
            optimiser.step()
        progress((round_ + 1) / config.rounds)
    return {
        index: PaintedTexels(one.result(), painted[index].confidence, painted[index].open_share)
        for index, one in logits.items()
    }


def view_loss(
    shown: Tensor,
    target: Tensor,
    weight: Tensor,
    mse: float,
    percept: float,
    perceptual: Perceptual = structure_distance,
) -> Tensor:
    """Two terms of equation 9: squared error and perceptual distance of a render to its target, both [H, W, 3].

    `weight` [H, W], 0 to 1, is where they count; outside it the pictures are taken as equal.
    """
    area = weight.sum().clamp(min=1.0)
    squared = ((shown - target).square().mean(dim=-1) * weight).sum() / area
    wanted = torch.lerp(shown.detach(), target, weight[..., None])
    distance = perceptual(*(picture.permute(2, 0, 1)[None] for picture in (shown, wanted)))
    return mse * squared + percept * distance * (weight.numel() / area)


def _restored(
    scene: Scene,
    seen: SeenScene,
    textures: list[Tensor],
    restorer: ViewRestorer,
    config: RefinementConfig,
    generator: torch.Generator,
) -> Tensor:
    picture = scene.render(seen, textures, config.background)
    angles = view_angles(seen.camera.rotation.cpu().numpy())
    view = ViewToPaint(picture, seen.covered, seen.covered, seen.normals, seen.camera, angles)
    low, high = config.timesteps
    timestep = int(torch.randint(low, high, (1,), generator=generator))
    return restorer.restore(view, timestep, generator).detach().to(picture)


def _random_camera(scene: Scene, config: RefinementConfig, share: int, generator: torch.Generator):
    """A camera drawn from the ranges; the azimuths of a round's views lie in as many equal parts of their range."""
    ranges = config.orbit
    drawn = torch.rand(4, generator=generator, dtype=torch.float64)
    drawn[1] = (share + drawn[1]) / config.views
    limits = (ranges.elevation, ranges.azimuth, ranges.distance, ranges.field_of_view)
    values = (low + (high - low) * part for part, (low, high) in zip(drawn.tolist(), limits, strict=True))
    centre = (scene.vertices.amin(dim=0) + scene.vertices.amax(dim=0)) / 2
    return orbit_view(*values, centre=centre, width=config.side, height=config.side).camera


def _open_share(texels: PaintedTexels, config: RefinementConfig) -> Tensor:
    return texels.open_share if config.hold_photo else torch.ones_like(texels.open_share)
