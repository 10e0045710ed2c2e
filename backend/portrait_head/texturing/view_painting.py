"""Progressive texture inpainting (ID-Sculpt, section 3.3): view after view, each painted only where none saw before.

Equation 7 of the paper, T_k = m T_{k-1} + (1 - m) T^_k, keeps a texel for ever once it has a colour, even if it was
smeared there by a grazing view. Here m is no switch but a confidence: how squarely a texel was seen at best. A view may
paint what is unknown, and what it sees so much better than any before that this is worth it; what the photo saw well
is never touched.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from portrait_head.diffusion.views import ViewAngles
from portrait_head.progress import Progress
from portrait_head.rendering.tensor_camera import TensorCamera
from portrait_head.texturing.back_projection import BackProjectionConfig, back_project, clear_of_edges, view_trust
from portrait_head.texturing.painted_scene import PaintSurface, Scene, SeenScene, Texels
from portrait_head.texturing.surface_fill import edge_laplacian, fill, gather
from portrait_head.texturing.view_order import PAPER_ORDER, FramingConfig, framing_camera


@dataclass(frozen=True)
class ViewToPaint:
    """A view as a painter is given it.

    Attributes:
        picture: [H, W, 3] sRGB 0 to 1, the head in its present texture before a plain background.
        unseen: [H, W] bool, what is to be painted.
        mask: [H, W] bool, where the head is.
        normals: [H, W, 3] unit, in the space of this view's camera, zero off the head; not encoded.
        camera: of this view.
        angles: from where it looks.
    """

    picture: Tensor
    unseen: Tensor
    mask: Tensor
    normals: Tensor
    camera: TensorCamera
    angles: ViewAngles


class ViewPainter(Protocol):
    """Something that can complete pictures of the head; `diffusion.inpainting.DiffusionPainter` is one."""

    def paint(self, view: ViewToPaint, generator: torch.Generator) -> Tensor:
        """The whole picture [H, W, 3] sRGB 0 to 1, painted where `view.unseen`.

        Args:
            view: what there is.
            generator: of random numbers, on the CPU.
        """
        ...


@dataclass(frozen=True)
class ViewPaintingConfig:
    """Confidences run from 0 (never seen) to 1 (seen squarely)."""

    order: tuple[ViewAngles, ...] = PAPER_ORDER
    framing: FramingConfig = field(default_factory=FramingConfig)
    projection: BackProjectionConfig = field(default_factory=BackProjectionConfig)
    known: float = 0.2  # confidence from which a texel counts as seen; the limit of ID-Sculpt's code on its texel count
    gain: float = 0.35  # by how much better a view must see a painted texel to paint it anew
    photo_open: float = 0.2  # what the photo saw with less may be painted over
    photo_kept: float = 0.6  # what it saw with more is never touched
    overlap: int = 2  # pixels by which the painted part reaches into the known one, so that no line is left between
    least_unseen: float = 2e-4  # share of the picture under which a view is left out
    background: float = 0.5  # grey behind the head
    fill_smoothness: float = 0.3  # of what no view saw; see `surface_fill.fill`
    fill_pull: float = 1e-5  # there, back to the given texture: so weak that it only keeps the system solvable


@dataclass(frozen=True)
class PaintedTexels:
    """Attributes:
    colour: [N, 3] sRGB 0 to 1.
    confidence: [N], 0 to 1; 0 where no view saw the texel and its colour is its neighbours'.
    open_share: [N], 0 to 1, how far the photo leaves the texel to others.
    """

    colour: Tensor
    confidence: Tensor
    open_share: Tensor


def paint_views(
    scene: Scene, painter: ViewPainter, config: ViewPaintingConfig, seed: int, progress: Progress
) -> dict[int, PaintedTexels]:
    """Paint a scene from all views of the order, and fill what none of them saw.

    Args:
        scene: the surfaces.
        painter: completes the views.
        config: order and limits.
        seed: view k of the order gives the painter a generator that depends on it and k alone.
        progress: told after every view.

    Returns:
        the texels of each surface that has a raster, by the surface's index.
    """
    canvases = {i: _Canvas(scene.texels(i), config) for i, s in enumerate(scene.surfaces) if s.raster is not None}
    for step, angles in enumerate(config.order):
        camera = framing_camera(angles, scene.vertices, config.framing)
        generator = torch.Generator().manual_seed((seed * 1009 + step) % 2**63)
        _paint_view(scene, canvases, camera, angles, painter, generator, config)
        progress((step + 1) / len(config.order))
    return {
        index: PaintedTexels(_filled(scene.surfaces[index], canvas, config), canvas.confidence, canvas.open)
        for index, canvas in canvases.items()
    }


class _Canvas:
    """The texels of one surface while they are painted."""

    def __init__(self, texels: Texels, config: ViewPaintingConfig) -> None:
        self.texels = texels
        self.colour = texels.colour.clone()
        self.confidence = texels.confidence.clone()
        share = ((texels.confidence - config.photo_open) / (config.photo_kept - config.photo_open)).clamp(0, 1)
        self.open = 1 - share * share * (3 - 2 * share)  # [N], 0 where the photo saw it well
        self._config = config

    def put(self, painted: Tensor, unseen: Tensor, seen: SeenScene) -> None:
        """Take the painted pixels of a picture [H, W, 3] over to the texels that want them (equation 7)."""
        config = self._config
        found = back_project(
            torch.cat([painted, unseen[..., None].to(painted)], dim=-1), seen, self.texels, config.projection
        )
        before = self.confidence[found.rows]
        wanted = (before < config.known) | (found.trust > before + config.gain)
        good = wanted & (found.values[:, 3] > 0.5)
        rows, trust, before = found.rows[good], found.trust[good], before[good]
        # Squares: of two views the more frontal one decides, and a border still has no step.
        share = self.open[rows] * trust.square() / (trust.square() + before.square())
        colour = found.values[good, :3].clamp(0, 1)
        self.colour[rows] = self.colour[rows] + share[:, None] * (colour - self.colour[rows])
        self.confidence[rows] = torch.where(share > 0, torch.maximum(before, trust), before)


def _paint_view(
    scene: Scene,
    canvases: dict[int, _Canvas],
    camera: TensorCamera,
    angles: ViewAngles,
    painter: ViewPainter,
    generator: torch.Generator,
    config: ViewPaintingConfig,
) -> None:
    seen = scene.look(camera)
    textures, known = list(scene.textures), []
    for index, surface in enumerate(scene.surfaces):
        canvas = canvases.get(index)
        if canvas is None:
            known.append(scene.vertices.new_ones((*surface.texture.shape[:2], 2)) * scene.vertices.new_tensor([1, 0]))
            continue
        textures[index] = canvas.texels.image(canvas.colour)
        known.append(canvas.texels.image(torch.stack([canvas.confidence, canvas.open], dim=1)))
    confidence, open_share = scene.render(seen, known).unbind(-1)
    unseen = unseen_pixels(confidence, open_share, seen, config)
    if float(unseen.float().mean()) < config.least_unseen:
        return
    picture = scene.render(seen, textures, config.background)
    view = ViewToPaint(picture, unseen, seen.covered, seen.normals, camera, angles)
    painted = painter.paint(view, generator)
    for index, canvas in canvases.items():
        canvas.put(painted, unseen & (seen.owner == index), seen)


def unseen_pixels(confidence: Tensor, open_share: Tensor, seen: SeenScene, config: ViewPaintingConfig) -> Tensor:
    """[H, W] bool: where a view is to be painted.

    Args:
        confidence: [H, W] of what is seen there.
        open_share: [H, W], 0 where the photo forbids a change.
        seen: the view.
        config: limits.
    """
    trust = view_trust(seen.facing, config.projection) * clear_of_edges(seen, config.projection)
    wanted = (confidence < config.known) | (trust > confidence + config.gain)
    wanted &= (seen.facing > 0) & (open_share > 0)  # the inside of an open neck is nobody's to paint
    width = 2 * config.overlap + 1
    wider = max_pool2d(wanted[None, None].float(), width, 1, config.overlap)[0, 0] > 0
    return wider & (seen.facing > 0)


def _filled(surface: PaintSurface, canvas: _Canvas, config: ViewPaintingConfig) -> Tensor:
    """Colours [N, 3]: where no view came, the given texture is changed as much as its neighbours on the surface were.

    So a dark hole stays dark, and takes the tone of what was painted round it; no seam of the layout shows.
    """
    raster = surface.raster
    unseen = canvas.confidence == 0
    if raster is None or not bool(unseen.any()):
        return canvas.colour
    change = (canvas.colour - canvas.texels.colour).cpu().numpy()
    means, trust = gather(raster.weights, change, (~unseen).cpu().numpy().astype(np.float32))
    laplacian = edge_laplacian(surface.triangles, len(surface.vertices))
    smooth = fill(laplacian, means, trust, np.zeros(3), config.fill_smoothness, config.fill_pull)
    spread = torch.from_numpy(raster.spread(smooth)).to(canvas.colour)
    return torch.where(unseen[:, None], (canvas.texels.colour + spread).clamp(0, 1), canvas.colour)
