"""Views painted one after the other: an oracle's textures come back whole, and each view changes what it may."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from portrait_head.diffusion.views import ViewAngles, view_angles
from portrait_head.head_model import load_head_model
from portrait_head.progress import Progress
from portrait_head.rendering.raycast import RayCaster
from portrait_head.texturing.painted_scene import Scene
from portrait_head.texturing.sampling import sample_texture
from portrait_head.texturing.uv_raster import head_raster
from portrait_head.texturing.view_order import PAPER_ORDER, FramingConfig, framing_camera
from portrait_head.texturing.view_painting import PaintedTexels, ViewPaintingConfig, ViewToPaint, paint_views
from torch import Tensor

from tests.backend.texturing.painted_heads import GREY, Oracle, decibels, surfaces, true_texture

SIZE = 512
SMALL = 256  # texels a side where colours are flat
FEW_PIXELS = FramingConfig(side=256)
FRONT, AT_60, BEHIND = ViewAngles(0, 0), ViewAngles(60, 0), ViewAngles(180, 0)


@dataclass(frozen=True)
class Finished:
    truth: np.ndarray
    oracle: Oracle
    texels: PaintedTexels
    image: np.ndarray


@pytest.fixture(scope="module")
def finished() -> Finished:
    """A grey head that an oracle has painted in the paper's order."""
    truth = true_texture(head_raster("skin", SIZE))
    oracle = Oracle(Scene(surfaces(SIZE, truth)))
    scene = Scene(surfaces(SIZE, np.full_like(truth, GREY)))
    texels = paint_views(scene, oracle, ViewPaintingConfig(), 0, Progress())[0]
    return Finished(truth, oracle, texels, scene.texels(0).image(texels.colour).numpy())


class TestOracle:
    """A painter that knows the head."""

    def test_the_texture_comes_back_over_the_whole_head(self, finished):
        wanted = head_raster("skin", SIZE).flat(finished.truth)
        assert decibels(finished.texels.colour.numpy(), wanted) > 30

    def test_every_texel_has_a_colour(self, finished):
        """Views reach all but what the head itself hides; those texels take over what happened round them."""
        colour, seen = finished.texels.colour.numpy(), finished.texels.confidence.numpy() > 0
        assert np.isfinite(colour).all()
        assert (np.abs(colour - GREY).max(axis=1) > 0).all()  # none is as it was given: 100 %
        assert np.isfinite(finished.image).all() and (np.abs(finished.image - GREY).max(axis=-1) > 0).all()
        assert seen.mean() > 0.98
        model, raster = load_head_model(), head_raster("skin", SIZE)
        for region, least in (("forehead", 1.0), ("scalp", 1.0), ("ear_left", 0.99), ("nose", 0.99)):
            there = np.zeros(len(model.vertices), np.float32)
            there[model.regions[region]] = 1
            assert seen[raster.spread(there) > 0.5].mean() >= least

    def test_no_seam_of_the_layout_shows(self, finished):
        seams, inner = (colour_steps(finished.image, seam) for seam in (True, False))
        assert len(seams) > 50
        assert seams.mean() < 1.1 * inner.mean()

    def test_views_come_in_the_papers_order(self, finished):
        below = [(a, -15) for a in (-45, 45, 0, -90, 90, 120, -120, 150, -150, 180)]
        assert [(v.azimuth, v.elevation) for v in PAPER_ORDER] == below + [(a, 45) for a in (0, 90, -90, 135, -135)]
        assert [view.angles for view in finished.oracle.asked] == list(PAPER_ORDER)
        for view in finished.oracle.asked:
            looked = view_angles(view.camera.rotation.numpy())
            assert looked.elevation == pytest.approx(view.angles.elevation, abs=1e-3)
            assert (looked.azimuth - view.angles.azimuth + 180) % 360 == pytest.approx(180, abs=1e-3)

    def test_normals_are_those_of_the_current_camera(self, finished):
        for view in finished.oracle.asked:
            normals = view.normals[view.mask]
            assert torch.allclose(normals.norm(dim=1), torch.ones(()), atol=1e-4)
            towards = normals[view.unseen[view.mask], 2] > 0  # what is to be painted, without the open neck's inside
            assert float(towards.float().mean()) > 0.97  # of a camera elsewhere it would be about half

    def test_less_and_less_is_left_to_paint(self, finished):
        shares = [float(view.unseen[view.mask].float().mean()) for view in finished.oracle.asked]
        assert shares[0] > 0.95
        assert shares[2] < 0.2  # the front, after both its sides
        assert shares[9] < 0.1  # the back, after all around


def colour_steps(image: np.ndarray, seams: bool) -> np.ndarray:
    """Change of colour per millimetre across edges of the mesh, one texel beside them on either side."""
    model = load_head_model()
    part = model.part("skin")
    rows = slice(2 * part.faces[0], 2 * part.faces[1])
    triangles = model.triangles()[rows]
    uvs = model.uvs[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3, 2)[rows]
    sides: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for triangle, corners in enumerate(triangles):
        for corner in range(3):
            edge = sorted((int(corners[corner]), int(corners[(corner + 1) % 3])))
            sides.setdefault((edge[0], edge[1]), []).append((triangle, corner))
    pairs = np.array([pair for pair in sides.values() if len(pair) == 2])  # [E, 2 sides, (triangle, corner)]
    triangle, corner = pairs[..., 0], pairs[..., 1]

    def beside(values: np.ndarray, inwards: np.ndarray) -> np.ndarray:
        """Values [T, 3, C] at the middle of the edge, moved into the triangle: [E, 2, C]."""
        one, two, far = (values[triangle, (corner + step) % 3] for step in range(3))
        return (one + two) / 2 + inwards[..., None] * (far - (one + two) / 2)

    on_edge = beside(uvs, np.zeros(triangle.shape))
    is_seam = np.linalg.norm(on_edge[:, 0] - on_edge[:, 1], axis=1) > 1e-6
    middle = (uvs[triangle, corner] + uvs[triangle, (corner + 1) % 3]) / 2
    height = np.linalg.norm(uvs[triangle, (corner + 2) % 3] - middle, axis=-1) * image.shape[0]
    inwards = np.minimum(1 / np.maximum(height, 1e-6), 0.5)
    places = beside(model.vertices[triangles], inwards)
    colours = sample_texture(image, beside(uvs, inwards).reshape(-1, 2)).reshape(*triangle.shape, 3)
    apart = np.linalg.norm(places[:, 0] - places[:, 1], axis=1) * 1000
    steps = np.abs(colours[:, 0] - colours[:, 1]).max(axis=1) / np.maximum(apart, 0.05)
    return steps[is_seam == seams]


@dataclass
class FlatColours:
    """Paints the k-th view that it is asked for in the k-th colour, and notes its random numbers."""

    colours: tuple[float, ...] = (0.1, 0.9, 0.3)
    drawn: list[float] = field(default_factory=list)
    asked: list[ViewToPaint] = field(default_factory=list)

    def paint(self, view: ViewToPaint, generator: torch.Generator) -> Tensor:
        colour = self.colours[len(self.asked)]
        self.asked.append(view)
        self.drawn.append(float(torch.rand((), generator=generator)))
        return torch.full_like(view.picture, colour)


def paint_flat(order, confidence=None, texture=None, seed=0, painter=None, **settings) -> PaintedTexels:
    given = np.full((SMALL, SMALL, 3), GREY, np.float32) if texture is None else texture
    config = ViewPaintingConfig(order=order, framing=FEW_PIXELS, **settings)
    scene = Scene(surfaces(SMALL, given, confidence))
    return paint_views(scene, painter or FlatColours(), config, seed, Progress())[0]


@dataclass(frozen=True)
class Sight:
    """How a view sees the texels of the skin: [N] cosine, and whether nothing is in between."""

    cosine: np.ndarray
    free: np.ndarray


def sight(angles: ViewAngles) -> Sight:
    scene = Scene(surfaces(SMALL, np.zeros((SMALL, SMALL, 3), np.float32)))
    texels = scene.texels(0)
    camera = framing_camera(angles, scene.vertices, FEW_PIXELS)
    away = (texels.points - camera.position).double().numpy()
    distance = np.linalg.norm(away, axis=1)
    hits = RayCaster(scene.vertices.numpy(), scene.triangles.numpy()).cast(camera.position.double().numpy(), away)
    cosine = -(away * texels.normals.numpy()).sum(axis=1) / distance
    return Sight(cosine, hits.distance > distance - 0.004)  # a pixel is 1 mm wide, and slanted surfaces deep in it


class TestEquation7:
    """T_k = m T_{k-1} + (1 - m) T^_k, with m a confidence."""

    def test_a_view_changes_what_it_sees_and_nothing_else(self):
        painted, seen = paint_flat((FRONT,)), sight(FRONT)
        changed = painted.confidence.numpy() > 0
        assert (changed & ~seen.free).mean() < 2e-4
        assert (seen.cosine[changed] > 0.15).all()
        assert np.allclose(painted.colour.numpy()[changed], 0.1)
        square = seen.free & (seen.cosine > 0.9)
        assert changed[square].mean() > 0.97  # the others lie at depth edges

    def test_what_is_known_from_before_stays_unless_it_is_seen_much_better(self):
        first, second = paint_flat((AT_60,)), paint_flat((AT_60, FRONT))
        before, changed = first.confidence, (first.colour != second.colour).any(dim=1) & (first.confidence > 0)
        assert torch.equal(first.colour[before > 0.9], second.colour[before > 0.9])
        config = ViewPaintingConfig()
        limit = torch.maximum(torch.full_like(before, config.known), second.confidence - config.gain)
        assert (before[changed] <= limit[changed]).all()
        grazed = (before > 0.02) & (before < 0.5) & (second.confidence > 0.95)  # smeared at 60 degrees, squarely now
        assert int(grazed.sum()) > 100
        assert float((second.colour[grazed] - 0.9).abs().max()) < 0.2  # from 0.1

    def test_confidence_never_falls(self):
        first, second = paint_flat((AT_60,)), paint_flat((AT_60, FRONT))
        assert (second.confidence >= first.confidence).all()

    def test_what_the_photo_saw_well_is_never_touched(self):
        raster = head_raster("skin", SMALL)
        x = raster.spread(load_head_model().vertices)[:, 0]
        confidence = np.clip(x / 0.04, 0, 1).astype(np.float32)  # the subject's left half
        texture = np.random.default_rng(0).random((SMALL, SMALL, 3), np.float32)
        painted = paint_flat((FRONT, AT_60, BEHIND), confidence, texture)
        kept = confidence >= 0.6
        assert torch.equal(painted.colour[kept], torch.from_numpy(raster.flat(texture)[kept]))
        assert not torch.equal(painted.colour[~kept], torch.from_numpy(raster.flat(texture)[~kept]))

    def test_a_known_head_is_not_painted_at_all(self):
        painter = FlatColours()
        paint_flat((FRONT, BEHIND), np.ones(len(head_raster("skin", SMALL).texels)), painter=painter)
        assert painter.asked == []

    def test_the_painter_is_shown_the_present_texture_before_a_background_and_the_eyes(self):
        painter = FlatColours()
        paint_flat((FRONT, AT_60), painter=painter)
        first, second = painter.asked
        assert float(first.unseen[first.mask].float().mean()) < 1  # the eyes are known
        assert torch.allclose(first.picture, torch.tensor(GREY))  # all of it is grey
        assert float((second.picture[second.mask & ~second.unseen] - 0.1).abs().median()) < 1e-3
        assert torch.equal(second.picture[~second.mask], torch.full_like(second.picture, GREY)[~second.mask])


def test_texels_that_no_view_sees_change_as_their_neighbours_and_keep_their_detail():
    texture = np.full((SMALL, SMALL, 3), GREY, np.float32)
    texture[::2] += 0.1
    painted = paint_flat((FRONT,), texture=texture)
    given = torch.from_numpy(head_raster("skin", SMALL).flat(texture))
    unseen = painted.confidence == 0
    change = (painted.colour - given)[unseen]
    assert float(change.mean()) == pytest.approx(0.1 - (GREY + 0.05), abs=0.05)
    assert float(painted.colour[unseen].std()) == pytest.approx(float(given[unseen].std()), rel=0.3)


def test_random_numbers_depend_on_seed_and_place_in_the_order_alone():
    one, again, other = FlatColours(), FlatColours(), FlatColours()
    first, second = (paint_flat((FRONT, AT_60), painter=painter) for painter in (one, again))
    paint_flat((FRONT, AT_60), seed=1, painter=other)
    assert torch.equal(first.colour, second.colour)
    assert one.drawn == again.drawn
    assert len({*one.drawn, *other.drawn}) == 4


def test_the_head_fills_the_picture_of_every_view():
    vertices = torch.from_numpy(load_head_model().vertices).float()
    for angles in PAPER_ORDER:
        camera = framing_camera(angles, vertices)
        pixels = camera.project(vertices)
        size = pixels.amax(dim=0) - pixels.amin(dim=0)
        assert float(size.max()) == pytest.approx(512 / 1.1, abs=0.1)
        assert torch.allclose(pixels.amin(dim=0) + pixels.amax(dim=0), torch.full((2,), 512.0), atol=0.1)


def test_a_surface_without_a_raster_is_not_painted():
    skin, eyes = surfaces(SMALL, np.zeros((SMALL, SMALL, 3), np.float32))
    scene = Scene((dataclasses.replace(skin, raster=None), eyes))
    assert (
        paint_views(scene, FlatColours(), ViewPaintingConfig(order=(FRONT,), framing=FEW_PIXELS), 0, Progress()) == {}
    )
