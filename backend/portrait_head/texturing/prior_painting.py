"""The whole of the prior's texturing: paint what the photo did not see, then make the views agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch

from portrait_head.diffusion.views import ViewAngles
from portrait_head.progress import Progress
from portrait_head.rendering.camera import PinholeCamera
from portrait_head.rendering.tensor_camera import TensorCamera
from portrait_head.texturing.painted_scene import PaintSurface, Scene
from portrait_head.texturing.refinement import (
    FAST,
    PAPER,
    Perceptual,
    ReferencePicture,
    RefinementConfig,
    ViewRestorer,
    refine,
    structure_distance,
)
from portrait_head.texturing.view_order import FramingConfig, filling, framing_camera
from portrait_head.texturing.view_painting import ViewPainter, ViewPaintingConfig, paint_views

_PAINTING_SHARE = 0.4  # of the time; refinement takes the rest


class TexturePrior(ViewPainter, ViewRestorer, Protocol):
    """Paints and restores."""


@dataclass(frozen=True)
class PriorPaintingConfig:
    """Both halves; `refinement` None leaves the second out."""

    painting: ViewPaintingConfig = field(default_factory=ViewPaintingConfig)
    refinement: RefinementConfig | None = FAST


PRIOR_PAINTING_FAST = PriorPaintingConfig()
PRIOR_PAINTING_PAPER = replace(PRIOR_PAINTING_FAST, refinement=PAPER)


@dataclass(frozen=True)
class PaintedTexture:
    """Attributes:
    texture: [H, W, 3] float32 sRGB 0 to 1, gutters included.
    confidence: [N] float32 of the raster's texels: how squarely the photo or a painted view saw them; 0 where the
        colour is the neighbours'.
    """

    texture: np.ndarray
    confidence: np.ndarray


def paint_with_prior(
    surfaces: Sequence[PaintSurface],
    prior: TexturePrior,
    config: PriorPaintingConfig = PRIOR_PAINTING_FAST,
    seed: int = 0,
    progress: Progress | None = None,
    device: torch.device | str = "cpu",
    photo_camera: PinholeCamera | None = None,
    perceptual: Perceptual = structure_distance,
) -> list[PaintedTexture | None]:
    """Paint surfaces whose textures hold what the photo showed.

    Args:
        surfaces: of one head; those without a raster are shown and come back as None.
        prior: completes and restores views.
        config: settings.
        seed: of everything random.
        progress: told fractions.
        device: of rendering; the prior may compute on another.
        photo_camera: of the photo, whose view the refinement holds to (equation 9); None looks from the front.
        perceptual: see `refinement.refine`.
    """
    report = progress or Progress()
    scene = Scene(surfaces, device)
    refinement = config.refinement
    share = _PAINTING_SHARE if refinement else 1.0
    painted = paint_views(scene, prior, config.painting, seed, Progress(lambda done: report(share * done)))
    if refinement is not None:
        reference = reference_picture(scene, config.painting.framing, photo_camera)
        told = Progress(lambda done: report(share + (1 - share) * done))
        painted = refine(scene, painted, prior, refinement, seed + 1, told, reference, perceptual)
    found: list[PaintedTexture | None] = []
    for index in range(len(surfaces)):
        texels = painted.get(index)
        if texels is None:
            found.append(None)
            continue
        texture = scene.texels(index).image(texels.colour)
        found.append(PaintedTexture(texture.cpu().numpy(), texels.confidence.cpu().numpy()))
    return found


def reference_picture(scene: Scene, framing: FramingConfig, photo: PinholeCamera | None) -> ReferencePicture:
    """The given textures as the photo's camera sees them, the head filling the picture, where the photo was trusted.

    Not the photo itself: its light is out of the textures by now and must not come back.
    """
    if photo is None:
        camera = framing_camera(ViewAngles(0.0, 0.0), scene.vertices, framing)
    else:
        camera = filling(TensorCamera.from_pinhole(photo, scene.device), scene.vertices, framing)
    seen = scene.look(camera)
    trust = []
    for index, surface in enumerate(scene.surfaces):
        if surface.raster is None:
            trust.append(scene.vertices.new_zeros((*surface.texture.shape[:2], 1)))
        else:
            texels = scene.texels(index)
            trust.append(texels.image(texels.confidence[:, None]))
    picture = scene.render(seen, scene.textures)
    return ReferencePicture(seen, picture, scene.render(seen, trust)[..., 0])
