"""Refinement brings a spoilt texture back to what an oracle restores, and leaves alone what nobody looks at."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest
import torch
from portrait_head.diffusion.views import ViewAngles
from portrait_head.progress import Progress
from portrait_head.rendering.orbit import OrbitRanges
from portrait_head.texturing.back_projection import back_project
from portrait_head.texturing.painted_scene import Scene
from portrait_head.texturing.prior_painting import PriorPaintingConfig, paint_with_prior
from portrait_head.texturing.refinement import (
    PAPER,
    ReferencePicture,
    RefinementConfig,
    TexelLogits,
    refine,
    structure_distance,
    view_loss,
)
from portrait_head.texturing.uv_raster import head_raster
from portrait_head.texturing.view_order import FramingConfig, framing_camera
from portrait_head.texturing.view_painting import PaintedTexels, ViewPaintingConfig, ViewToPaint
from torch import Tensor

from tests.backend.texturing.painted_heads import GREY, Oracle, decibels, surfaces, true_texture

SIZE = 256
FAR = OrbitRanges(elevation=(-20.0, 45.0), distance=(0.55, 0.65), field_of_view=(30.0, 32.0))
AROUND = RefinementConfig(rounds=2, views=6, updates=30, side=160, orbit=FAR)
FROM_THE_FRONT = dataclasses.replace(
    AROUND, orbit=dataclasses.replace(FAR, azimuth=(-20.0, 20.0), elevation=(0.0, 5.0))
)


@dataclass
class Restorer(Oracle):
    """Restores any view to what it really is."""

    timesteps: list[int] = field(default_factory=list)

    def restore(self, view: ViewToPaint, timestep: int, generator: torch.Generator) -> Tensor:
        self.timesteps.append(timestep)
        return self.paint(view, generator)


@dataclass(frozen=True)
class Spoilt:
    truth: np.ndarray
    scene: Scene
    restorer: Restorer
    texels: PaintedTexels

    def error(self, texels: PaintedTexels, which: np.ndarray | slice = slice(None)) -> float:
        wanted = head_raster("skin", SIZE).flat(self.truth)
        return float(((texels.colour.numpy() - wanted)[which] ** 2).mean())


@pytest.fixture
def spoilt() -> Spoilt:
    """A head whose texture is blurred and too red."""
    truth = true_texture(head_raster("skin", SIZE))
    blurred = cv2.GaussianBlur(truth, (0, 0), 3) + np.array([0.1, -0.05, -0.05], np.float32)
    scene = Scene(surfaces(SIZE, np.clip(blurred, 0, 1)))
    texels = scene.texels(0)
    free = torch.ones_like(texels.confidence)
    return Spoilt(truth, scene, Restorer(Scene(surfaces(SIZE, truth))), PaintedTexels(texels.colour, free, free))


def seen_from_all_sides(scene: Scene) -> np.ndarray:
    """[N] bool: squarely seen by one of four level views."""
    texels = scene.texels(0)
    found = torch.zeros(len(texels.points), dtype=torch.bool)
    config = ViewPaintingConfig()
    for azimuth in (0, 90, 180, -90):
        seen = scene.look(framing_camera(ViewAngles(azimuth, 0), scene.vertices, FramingConfig(side=256)))
        rows = back_project(seen.normals, seen, texels, config.projection)
        found[rows.rows[rows.trust > 0.5]] = True
    return found.numpy()


def run(spoilt: Spoilt, config: RefinementConfig, seed: int = 0, **more) -> PaintedTexels:
    return refine(spoilt.scene, {0: spoilt.texels}, spoilt.restorer, config, seed, Progress(), **more)[0]


def test_the_error_falls_to_a_third(spoilt):
    which = seen_from_all_sides(spoilt.scene)
    refined = run(spoilt, AROUND)
    assert spoilt.error(refined, which) < spoilt.error(spoilt.texels, which) / 3
    assert float(refined.colour.min()) >= 0
    assert float(refined.colour.max()) <= 1


def test_unseen_texels_stay_to_the_last_bit(spoilt):
    refined = run(spoilt, FROM_THE_FRONT)
    texels = spoilt.scene.texels(0)
    behind = (texels.normals[:, 2] < -0.3) & (texels.points[:, 2] < -0.05) & (texels.points[:, 1] > 0)
    assert int(behind.sum()) > 1000
    assert torch.equal(refined.colour[behind], spoilt.texels.colour[behind])
    front = (spoilt.scene.texels(0).normals[:, 2] > 0.7).numpy()
    assert spoilt.error(refined, front) < spoilt.error(spoilt.texels, front) / 2


def test_what_the_photo_saw_well_stays_unless_the_paper_is_followed(spoilt):
    kept = torch.rand(len(spoilt.texels.colour), generator=torch.Generator().manual_seed(1)) < 0.3
    held = dataclasses.replace(spoilt, texels=dataclasses.replace(spoilt.texels, open_share=(~kept).float()))
    refined = run(held, dataclasses.replace(AROUND, rounds=1, updates=6))
    assert torch.equal(refined.colour[kept], spoilt.texels.colour[kept])
    assert not torch.equal(refined.colour[~kept], spoilt.texels.colour[~kept])
    free = run(held, dataclasses.replace(AROUND, rounds=1, updates=6, hold_photo=False))
    assert not torch.equal(free.colour[kept], spoilt.texels.colour[kept])


def test_it_is_the_same_for_a_seed_and_timesteps_are_the_papers(spoilt):
    brief = dataclasses.replace(AROUND, rounds=1, updates=2)
    first, again = run(spoilt, brief), run(spoilt, brief)
    timesteps = spoilt.restorer.timesteps
    assert torch.equal(first.colour, again.colour)
    assert timesteps[:6] == timesteps[6:]
    assert not torch.equal(run(spoilt, brief, seed=1).colour, first.colour)
    assert PAPER.timesteps == (50, 200)
    assert all(50 <= timestep < 200 for timestep in timesteps)
    assert (PAPER.rounds * PAPER.updates, PAPER.views) == (400, 1)


def test_the_reference_view_is_held_to_its_picture(spoilt):
    seen = spoilt.scene.look(framing_camera(ViewAngles(0, 0), spoilt.scene.vertices, FramingConfig(side=160)))
    photo = spoilt.restorer.truth.render(seen, spoilt.restorer.truth.textures)
    reference = ReferencePicture(seen, photo, seen.covered.float())
    # The prior restores everything to grey; only the reference knows better.
    grey = Scene(surfaces(SIZE, np.full_like(spoilt.truth, GREY)))
    brief = dataclasses.replace(spoilt, restorer=Restorer(grey))
    front = (spoilt.scene.texels(0).normals[:, 2] > 0.7).numpy()
    config = dataclasses.replace(AROUND, rounds=1, updates=30)
    without, held = run(brief, config), run(brief, dataclasses.replace(config, reference_mse=5.0), reference=reference)
    assert spoilt.error(held, front) < 0.5 * spoilt.error(without, front)


def test_gradients_are_those_of_finite_differences(spoilt):
    seen = spoilt.scene.look(framing_camera(ViewAngles(30, 0), spoilt.scene.vertices, FramingConfig(side=24)))
    logits = TexelLogits(spoilt.scene.texels(0), spoilt.texels, spoilt.texels.open_share)
    truth = spoilt.restorer.truth
    target = truth.render(seen, truth.textures).double()
    eyes = spoilt.scene.textures[1].double()

    def loss(values: Tensor) -> Tensor:
        shown = spoilt.scene.render(seen, [logits.texture(values), eyes])
        return view_loss(shown, target, seen.covered.double(), 1.0, 1.0, pixels_and_structure)

    start = logits.logits.detach().double().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(start), start)
    steepest = gradient.abs().sum(dim=1).topk(5).indices
    for row in steepest.tolist():
        step = torch.zeros_like(start)
        step[row, 1] = 1e-4
        with torch.no_grad():
            difference = float(loss(start + step) - loss(start - step)) / 2e-4
        assert difference == pytest.approx(float(gradient[row, 1]), rel=1e-4, abs=1e-12)


def pixels_and_structure(one: Tensor, other: Tensor) -> Tensor:
    return structure_distance(one, other) + 0.1 * (one - other).square().mean()


class TestStructureDistance:
    """Detail counts, tone does not."""

    PICTURE = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))

    def test_nothing_between_equals_nor_under_a_shift_of_tone(self):
        assert float(structure_distance(self.PICTURE, self.PICTURE)) == pytest.approx(0, abs=1e-6)
        assert float(structure_distance(self.PICTURE, self.PICTURE * 0.999 + 0.3)) < 1e-3

    def test_grows_with_blur_and_with_misplacement(self):
        blurred = torch.nn.functional.avg_pool2d(self.PICTURE, 3, 1, 1)
        more = torch.nn.functional.avg_pool2d(blurred, 3, 1, 1)
        distances = [float(structure_distance(other, self.PICTURE)) for other in (blurred, more)]
        assert 0.01 < distances[0] < distances[1]
        assert float(structure_distance(self.PICTURE.roll(1, -1), self.PICTURE)) > 0.1

    def test_pictures_smaller_than_its_scales_are_fine(self):
        assert torch.isfinite(structure_distance(self.PICTURE[..., :3, :3], self.PICTURE[..., 1:4, 1:4]))


class TestBothTogether:
    """`paint_with_prior`, what the stage calls."""

    CONFIG = PriorPaintingConfig(
        ViewPaintingConfig(framing=FramingConfig(side=256)),
        dataclasses.replace(AROUND, rounds=1, updates=12),
    )

    def test_an_oracle_completes_a_half_known_head(self):
        raster = head_raster("skin", SIZE)
        truth = true_texture(raster)
        scene = Scene(surfaces(SIZE, truth))
        confidence = (scene.texels(0).normals[:, 2] > 0.5).float().numpy()
        given = raster.image(np.where(confidence[:, None] > 0, raster.flat(truth), np.float32(GREY)))
        told: list[float] = []
        prior = Restorer(scene)
        painted, eyes = paint_with_prior(
            surfaces(SIZE, given, confidence), prior, self.CONFIG, progress=Progress(told.append)
        )
        assert eyes is None
        assert painted is not None
        assert painted.texture.shape == (SIZE, SIZE, 3)
        known = confidence > 0
        assert np.array_equal(raster.flat(painted.texture)[known], raster.flat(given)[known])
        assert decibels(raster.flat(painted.texture), raster.flat(truth)) > 24  # 1 mm pixels; of 0.5 mm: 35
        assert told == sorted(told)
        assert told[-1] == 1.0
        assert len(prior.timesteps) == 6

    def test_refinement_may_be_left_out(self):
        truth = true_texture(head_raster("skin", SIZE))
        prior = Restorer(Scene(surfaces(SIZE, truth)))
        config = PriorPaintingConfig(
            ViewPaintingConfig(order=(ViewAngles(0, 0),), framing=FramingConfig(side=128)), refinement=None
        )
        paint_with_prior(surfaces(SIZE, np.full_like(truth, GREY)), prior, config)
        assert prior.timesteps == []
        assert len(prior.asked) == 1
