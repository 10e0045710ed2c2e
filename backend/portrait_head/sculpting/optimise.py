"""The optimisation: signed distance and deformation until the surface looks as the views ask."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from portrait_head.errors import PortraitHeadError
from portrait_head.geometry.marching_tetrahedra import TetSurface, marching_tetrahedra, sign_consistency
from portrait_head.geometry.tet_grid import TetGrid
from portrait_head.rendering.normals import face_normals
from portrait_head.rendering.orbit import orbit_view, sample_orbit
from portrait_head.rendering.rasteriser import Rasteriser, make_rasteriser
from portrait_head.rendering.tensor_camera import TensorCamera
from portrait_head.sculpting import losses
from portrait_head.sculpting.config import SculptConfig, Weights
from portrait_head.sculpting.field import SurfaceField
from portrait_head.sculpting.guidance import ViewGuidance
from portrait_head.sculpting.references import NEAR, Reference
from portrait_head.sculpting.start import Depth, depth_on_grid
from portrait_head.sculpting.views import View, look

Terms = dict[str, Tensor]


@dataclass(frozen=True)
class Sculpted:
    """What came out.

    Attributes:
        vertices: [V, 3] float32 metres.
        triangles: [F, 3] int32, closed, outward.
        first_loss: of the photo's view before the first step.
        best_loss: of the photo's view for the surface that was kept.
        best_step: the step that gave it, 0 for the surface begun with.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    first_loss: float
    best_loss: float
    best_step: int


@dataclass(frozen=True)
class Stays:
    """How firmly a grid's vertices stay where they began.

    Attributes:
        held: [N] float32, how dear a bend is, 1 the usual price.
        smooth: [N] float32, how dear a departure of single vertices is, 1 the usual price.
        pliancy: [N] float32, 0 to 1, the share of what bends the surface over centimetres that a vertex goes along
            with; at 0 only detail of a cell's size can change.
    """

    held: Tensor
    smooth: Tensor
    pliancy: Tensor


@dataclass(frozen=True)
class Watch:
    """Who is told while it runs: `progress` the share done, `preview` a picture's makings every few steps."""

    progress: Callable[[float], None] = lambda share: None
    preview: Callable[[np.ndarray, np.ndarray], None] = lambda vertices, triangles: None


class Sculptor:
    """Carves one head.

    Args:
        grid: of tetrahedra.
        depth: of the body begun with.
        begun: vertices [V, 3] metres and triangles [F, 3] of the head begun with, finer than the grid can tell.
        stays: how firmly each place stays where it began.
        reference: the photo's view.
        config: every number.
        guidance: judges other views; None for none.
    """

    def __init__(
        self,
        grid: TetGrid,
        depth: Depth,
        begun: tuple[np.ndarray, np.ndarray],
        stays: Stays,
        reference: Reference,
        config: SculptConfig,
        guidance: ViewGuidance | None = None,
    ) -> None:
        self._grid, self._stays, self._config, self._guidance = grid, stays, config, guidance
        self._field = SurfaceField(grid, depth_on_grid(grid, depth), config.grid.reach, config.moves, stays.pliancy)
        self._depth = depth
        self._rasteriser: Rasteriser = make_rasteriser(grid.device)
        self._target = _Target.of(reference, grid.device)
        self._generator = torch.Generator().manual_seed(config.seed)
        self._centre = grid.bounds.mean(dim=0).float().to(grid.device)
        self._begun = self._pictures(*begun)

    def run(self, watch: Watch) -> Sculpted:
        """Take all steps; the surface that suits the photo's view best is kept.

        Raises:
            PortraitHeadError: `sculpt_diverged` with the name of the loss that is not a number any more.
        """
        config = self._config
        settling, total = config.settle_steps, config.settle_steps + config.refine_steps
        first_loss = self._judge()
        settled = self._field.state()
        best = (first_loss, 0, settled)
        for step in range(total):
            if step == settling:
                settled = self._field.state()
            if step < settling:
                self._settling_loss(step).backward()
                self._field.step(_fall(step / settling, config.moves.last_step), bending=False)
            else:
                share = (step - settling) / config.refine_steps
                self._refining_loss(share).backward()
                self._field.step(_fall(share, config.moves.last_step))
            if (step + 1) % config.check_every == 0 or step + 1 == total:
                loss = self._judge()
                best = (loss, step + 1, self._field.state()) if loss <= best[0] else best
            if (step + 1) % config.preview_every == 0:
                surface, _ = self._extract()
                watch.preview(surface.vertices.detach().cpu().numpy(), surface.triangles.cpu().numpy())
            watch.progress((step + 1) / total)
        best_loss, best_step, found = best
        surface = self._field.surface(found, settled if best_step > settling else found, self._depth)
        vertices = surface.vertices.cpu().numpy().astype(np.float32)
        return Sculpted(vertices, surface.triangles.cpu().numpy(), first_loss, best_loss, best_step)

    def _extract(self) -> tuple[TetSurface, Terms]:
        """The surface now, on a band that holds all of it, and what its signed distance costs."""
        sdf, deformation, bend, shift, departure = self._field.evaluate()
        if self._field.band.needs_refresh(sdf):
            self._field.lay_band()
            sdf, deformation, bend, shift, departure = self._field.evaluate()
        surface = marching_tetrahedra(self._field.band.tetrahedra, sdf, deformation)
        held, smooth = (
            price.index_select(0, self._field.band.vertices) for price in (self._stays.held, self._stays.smooth)
        )
        return surface, {
            "sign": sign_consistency(sdf, surface.crossed, self._grid.cell).mean(),
            "hold": (held * bend.square().sum(dim=1)).mean(),
            "smooth": (smooth * departure.square()).mean(),
            "deformation": shift.square().sum(dim=1).mean(),
        }

    @torch.no_grad()
    def _pictures(self, vertices: np.ndarray, triangles: np.ndarray) -> list[View]:
        """The head begun with from all sides (ID-Sculpt's first phase has 40 views of its 3D GAN)."""
        config, device = self._config, self._grid.device
        points = torch.from_numpy(vertices.astype(np.float32)).to(device)
        faces = torch.from_numpy(triangles.astype(np.int64)).to(device)
        size = config.image_size
        reach = 2.2 * math.degrees(
            math.atan(float((points - self._centre).norm(dim=1).amax()) / config.settle_distance)
        )
        views = []
        for elevation, azimuth in config.settle_views if config.settle_steps else ():
            orbit = orbit_view(elevation, azimuth, config.settle_distance, reach, self._centre, size, size)
            views.append(look(self._rasteriser, points, faces, orbit.camera))
        return views

    def _settling_loss(self, step: int) -> Tensor:
        """First phase: the extracted surface takes on the normals of the head begun with."""
        surface, terms = self._extract()
        wanted = self._begun[step % len(self._begun)]
        view = look(self._rasteriser, surface.vertices, surface.triangles.long(), wanted.camera)
        same = view.fragments.covered & wanted.fragments.covered & ((view.depth - wanted.depth).abs() < NEAR)
        facing = wanted.normals[..., 2].clamp(min=0)  # what is seen edge-on tells little
        terms["normal"] = _mean(losses.normal_error(view.normals, wanted.normals), same * facing)
        return weighted_sum(terms, self._config.settle)

    def _refining_loss(self, share: float) -> Tensor:
        """Second phase: the photo's view, and other views where there is guidance."""
        weights = self._config.refine
        surface, terms = self._extract()
        vertices, triangles = surface.vertices, surface.triangles.long()  # sums by int32 are slow on a CPU
        terms["laplacian"] = losses.uniform_laplacian(vertices, triangles).mean()
        bends = losses.normal_consistency(face_normals(vertices, triangles), neighbours(triangles))
        terms["normal_consistency"] = bends.mean()
        guided = self._guidance is not None and float(torch.rand((), generator=self._generator)) < (
            self._config.guided_share
        )
        if guided:
            size = self._config.image_size
            orbit = sample_orbit(self._config.orbit, self._centre, size, size, self._generator)
            view = look(self._rasteriser, vertices, triangles, orbit.camera)
            terms["guidance"] = self._guidance(orbit, view, share)  # type: ignore[misc]
        else:
            view = look(self._rasteriser, vertices, triangles, self._target.camera)
            terms |= self._target.terms(view, surface, self._rasteriser)
        return weighted_sum(terms, weights)

    @torch.no_grad()
    def _judge(self) -> float:
        """How well the surface suits the photo's view."""
        surface, _ = self._extract()
        view = look(self._rasteriser, surface.vertices, surface.triangles.long(), self._target.camera)
        terms = self._target.terms(view, surface, self._rasteriser)
        return float(weighted_sum(terms, self._config.refine))


@dataclass(frozen=True)
class _Target:
    """The reference as tensors."""

    camera: TensorCamera
    mask: Tensor
    mask_weight: Tensor
    normals: Tensor
    depth: Tensor
    weight: Tensor
    near: Tensor
    landmarks: Tensor
    landmark_normals: Tensor
    landmark_places: Tensor  # [K, 2] in -1 to 1 of the picture

    @staticmethod
    def of(reference: Reference, device: torch.device) -> _Target:
        camera = TensorCamera.from_pinhole(reference.camera, device)

        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(device)

        landmarks = tensor(reference.landmarks)
        size = torch.tensor([camera.width, camera.height], device=device)
        return _Target(
            camera,
            tensor(reference.mask),
            tensor(reference.mask_weight),
            tensor(reference.normals),
            tensor(reference.depth),
            tensor(reference.weight),
            tensor(reference.near),
            landmarks,
            tensor(reference.landmark_normals),
            camera.project(landmarks) / size * 2 - 1,
        )

    def terms(self, view: View, surface: TetSurface, rasteriser: Rasteriser) -> Terms:
        """The losses of the photo's view; those without evidence are left out."""
        terms: Terms = {}
        if bool((self.mask_weight > 0).any()):
            terms["mask"] = _mean(losses.mask_error(view.mask, self.mask), self.mask_weight)
        seen = self.weight * view.fragments.covered * ((view.depth - self.near).abs() < NEAR)
        rows = (seen > 0).reshape(-1).nonzero().squeeze(1)
        if len(rows):
            weight = seen.reshape(-1).index_select(0, rows)
            normals = view.normals.reshape(-1, 3).index_select(0, rows)
            wanted = self.normals.reshape(-1, 3).index_select(0, rows)
            depth, wanted_depth = (image.reshape(-1).index_select(0, rows) for image in (view.depth, self.depth))
            terms["normal"] = _mean(losses.normal_error(normals, wanted), weight)
            terms["depth"] = _mean(losses.depth_error(depth, wanted_depth, weight), weight)
            terms["depth_correlation"] = losses.depth_correlation(depth, wanted_depth, weight)
        if len(self.landmarks):
            places = rasteriser.interpolate(surface.vertices, surface.triangles, view.fragments)
            at = grid_sample(places.permute(2, 0, 1)[None], self.landmark_places[None, None], align_corners=False)
            error = losses.landmark_error(at[0, :, 0].T, self.landmarks, self.landmark_normals)
            terms["landmarks"] = error.mean()
        return terms


def weighted_sum(terms: Mapping[str, Tensor], weights: Weights) -> Tensor:
    """The sum of scalar losses times the weights of the same names.

    Raises:
        PortraitHeadError: `sculpt_diverged` with the name of the first loss that is not finite.
    """
    for name, value in terms.items():
        if not bool(torch.isfinite(value)):
            raise PortraitHeadError(
                "sculpt_diverged",
                f"The sculpting's loss {name} is {float(value)}.",
                "Run again with the preset quick; if that fails too, the photo's masks or references are broken.",
            )
    return sum((getattr(weights, name) * value for name, value in terms.items()), torch.zeros(()))


def neighbours(triangles: Tensor) -> Tensor:
    """[P, 2] int64 pairs of triangles [F, 3] (int64) that share an edge."""
    start, end = triangles.reshape(-1), triangles.roll(-1, dims=1).reshape(-1)
    count = int(triangles.max()) + 1 if len(triangles) else 0
    key, order = torch.sort(torch.minimum(start, end) * count + torch.maximum(start, end))
    same = (key[1:] == key[:-1]).nonzero().squeeze(1)
    owner = torch.div(order, 3, rounding_mode="floor")
    return torch.stack([owner.index_select(0, same), owner.index_select(0, same + 1)], dim=1)


def _fall(share: float, last: float) -> float:
    """The length of a step after `share` of a phase: from 1 to `last` along half a cosine."""
    return last + (1 - last) * (1 + math.cos(math.pi * share)) / 2


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=losses.ALMOST_ZERO)
