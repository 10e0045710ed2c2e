"""The texture stage of the diffusion tier, with a painter that knows the head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from portrait_head.head_model import load_head_model
from portrait_head.progress import Progress
from portrait_head.rendering.camera import PinholeCamera
from portrait_head.rendering.orbit import OrbitRanges, orbit_view
from portrait_head.stages import prior_texture
from portrait_head.stages.fit import Fit
from portrait_head.stages.sculpt import Sculpt
from portrait_head.stages.texture import Texture
from portrait_head.texturing.painted_scene import Scene
from portrait_head.texturing.prior_painting import PriorPaintingConfig, reference_picture
from portrait_head.texturing.refinement import RefinementConfig
from portrait_head.texturing.uv_raster import head_raster
from portrait_head.texturing.view_order import FramingConfig
from portrait_head.texturing.view_painting import ViewPaintingConfig, ViewToPaint
from torch import Tensor

from tests.backend.texturing.painted_heads import GREY, Oracle, decibels, surfaces, true_texture

SIZE = 256
PHOTO = 400  # pixels of the photo's window
YAW = 60.0  # degrees, from where the photo was taken
FRAMING = FramingConfig(side=256)
PAINTING = PriorPaintingConfig(ViewPaintingConfig(framing=FRAMING), refinement=None)


class Painter(Oracle):
    """Paints as it really is and restores everything to grey."""

    def restore(self, view: ViewToPaint, timestep: int, generator: torch.Generator) -> Tensor:
        return torch.full_like(view.picture, GREY)


def photo_camera() -> PinholeCamera:
    return orbit_view(5.0, YAW, 0.7, 30.0, torch.tensor([0.02, 0.0, 0.0]), PHOTO, PHOTO).camera.to_pinhole()


def seen_by_photo() -> np.ndarray:
    """[N] cosine between the skin's normals and the way to the photo's camera, 0 where they turn away."""
    scene = Scene(surfaces(SIZE, np.zeros((SIZE, SIZE, 3), np.float32)))
    texels, camera = scene.texels(0), photo_camera()
    towards = torch.from_numpy(camera.position).float() - texels.points
    cosine = (texels.normals * torch.nn.functional.normalize(towards, dim=1)).sum(dim=1)
    return cosine.clamp(min=0).numpy()


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return true_texture(head_raster("skin", SIZE))


def begun(truth: np.ndarray) -> Texture:
    """What the photo showed of the truth, and grey."""
    raster, confidence = head_raster("skin", SIZE), (seen_by_photo() > 0.5).astype(np.float32)
    skin = raster.image(np.where(confidence[:, None] > 0, raster.flat(truth), np.float32(GREY)))
    nothing = np.full((4, 4, 4), round(255 * GREY), np.uint8)
    return Texture(
        skin=np.rint(skin * 255).astype(np.uint8),
        confidence=np.rint(raster.sparse_image(confidence) * 255).astype(np.uint8),
        eyes=nothing[..., :3],
        mouth=nothing[..., :3],
        lashes=nothing,
        hair=nothing,
        hair_uvs=np.zeros((0, 3, 2), np.float32),
        ssim=1.0,
    )


def head() -> tuple[Fit, Sculpt]:
    """The head model itself, bald."""
    model = load_head_model()
    vertices = model.vertices.astype(np.float32)
    weights, gaze = np.zeros(52, np.float32), np.zeros((2, 2), np.float32)
    names = len(model.identity_names)
    fit = Fit(photo_camera(), np.zeros(names), weights, gaze, 0 * vertices, vertices, vertices, 0.0, 0.0)
    none, faces = np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)
    bald = Sculpt("none", none, faces, np.zeros(len(vertices), np.float32), none, faces, none[:, 0], none)
    return fit, bald


def paint(texture: Texture, painter: Painter, config: PriorPaintingConfig = PAINTING) -> Texture:
    return prior_texture.run(texture, *head(), painter, config, 0, "cpu", Progress())


@pytest.fixture(scope="module")
def painter(truth: np.ndarray) -> Painter:
    return Painter(Scene(surfaces(SIZE, truth)))


@pytest.fixture(scope="module")
def painted(truth: np.ndarray, painter: Painter) -> Texture:
    return paint(begun(truth), painter)


class TestWhatComesOut:
    """Of a photo from the side, completed by the painter."""

    def test_every_texel_has_a_colour_and_it_is_the_right_one(self, truth, painted):
        raster = head_raster("skin", SIZE)
        found = raster.flat(painted.skin) / 255
        assert decibels(found, raster.flat(truth)) > 24  # pixels of 1 mm; of 0.5 mm more
        kept = raster.flat(begun(truth).skin)
        unpainted = (raster.flat(painted.skin) == kept).all(axis=1) & (seen_by_photo() <= 0.5)
        assert unpainted.mean() < 0.001  # the truth is grey somewhere

    def test_what_the_photo_saw_well_is_not_touched(self, truth, painted):
        well = head_raster("skin", SIZE).sparse_image((seen_by_photo() > 0.5).astype(np.float32)) > 0
        assert np.array_equal(painted.skin[well], begun(truth).skin[well])

    def test_its_confidence_is_that_of_photo_and_painted_views(self, truth, painted):
        raster = head_raster("skin", SIZE)
        before, after = (raster.flat(one.confidence) for one in (begun(truth), painted))
        assert (after >= before).all()
        assert (after > 0).mean() > 0.97 > 0.5 > (before > 0).mean()
        behind = seen_by_photo() == 0
        assert (after[behind] > 128).mean() > 0.8
        inside = np.zeros((SIZE, SIZE), bool)
        inside.reshape(-1)[raster.texels] = True
        assert not painted.confidence[~inside].any()

    def test_a_style_is_painted_over_what_the_photo_saw_too(self, truth, painter):
        raster = head_raster("skin", SIZE)
        other = begun(1 - truth)  # the photo does not have the look that the painter gives
        restyled = prior_texture.run(other, *head(), painter, PAINTING, 0, "cpu", Progress(), restyle=True)
        squarely = seen_by_photo() > 0.8
        found, wanted = raster.flat(restyled.skin)[squarely] / 255, raster.flat(truth)[squarely]
        assert decibels(found, wanted) > 24
        assert (raster.flat(restyled.confidence)[squarely] > 0).mean() > 0.97

    def test_the_rest_stays_as_it_was(self, truth, painted):
        assert np.array_equal(painted.eyes, begun(truth).eyes)
        assert np.array_equal(painted.hair, begun(truth).hair)


class TestReferenceView:
    """Equation 9 holds the texture to what the photo's own camera saw."""

    def test_it_is_the_photos_view_filled_with_the_head(self, truth):
        fit, _ = head()
        scene = Scene(surfaces(SIZE, truth))
        camera = reference_picture(scene, FRAMING, fit.camera).seen.camera
        wide, close = fit.camera.project(fit.neutral), camera.project(scene.vertices[: len(fit.neutral)]).numpy()
        middle, half = (close.min(axis=0) + close.max(axis=0)) / 2, np.ptp(close, axis=0).max() / 2
        assert middle == pytest.approx([128, 128], abs=0.05)
        assert half == pytest.approx(128 / FRAMING.margin, abs=0.05)
        zoom = np.ptp(close, axis=0) / np.ptp(wide, axis=0)
        assert zoom[0] == pytest.approx(zoom[1], rel=1e-4)
        assert close - close.mean(axis=0) == pytest.approx((wide - wide.mean(axis=0)) * zoom[0], abs=0.05)

    def test_the_stage_holds_to_that_view(self, truth, painter):
        """The prior drives all to grey; what the photo saw from the side stays, also where no front camera looks."""
        orbit = OrbitRanges(elevation=(0.0, 5.0), distance=(0.55, 0.65), field_of_view=(30.0, 32.0))
        refinement = RefinementConfig(
            rounds=1,
            views=6,
            updates=24,
            side=128,
            orbit=orbit,
            learning_rate=0.1,
            reference_mse=20.0,
            hold_photo=False,
        )
        changed = paint(begun(truth), painter, replace(PAINTING, refinement=refinement))
        raster = head_raster("skin", SIZE)
        moved = np.abs(raster.flat(changed.skin) / 255 - raster.flat(truth)).mean(axis=1)
        normals = Scene(surfaces(SIZE, truth)).texels(0).normals.numpy()
        aside = np.abs(normals[:, 1]) < 0.3
        held = (seen_by_photo() > 0.7) & (normals[:, 2] < -0.05) & aside
        free = (normals[:, 0] < -0.7) & aside  # the other side, which the photo did not see
        assert held.sum() > 100 and free.sum() > 100
        assert moved[held].mean() < 0.5 * moved[free].mean()


def test_from_below_the_inside_of_the_head_is_not_seen(truth):
    """The neck is open at its end; a lid closes it for the camera."""
    fit, bald = head()
    whole = prior_texture.paint_surfaces(begun(truth), fit.neutral, bald)
    lid = whole[3]
    below = orbit_view(-60.0, 20.0, 0.7, 30.0, torch.zeros(3), 160, 160).camera

    def inside(surfaces: tuple) -> float:
        seen = Scene(surfaces).look(below)
        return float((seen.covered & (seen.facing <= 0)).float().mean())

    assert inside(whole[:3]) > 0.02
    assert inside(whole) < 0.001
    skin = head_raster("skin", SIZE).flat(begun(truth).skin) / 255
    assert (skin.min(axis=0) < lid.texture[0, 0]).all() and (lid.texture[0, 0] < skin.max(axis=0)).all()
