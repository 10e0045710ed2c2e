"""Hair over the template from drawn portraits whose hair is known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
from portrait_head.geometry import surface
from portrait_head.geometry.hair import MOVED_REACH, STRAND_ROWS, STRANDS, _draw, _relief, hair_mesh, reshaped
from portrait_head.geometry.hair_settings import HairSettings
from portrait_head.geometry.nearest import SurfaceIndex
from portrait_head.head_model import load_head_model
from portrait_head.rendering.raycast import RayCaster, visibility
from portrait_head.request import HeadRequest
from portrait_head.stages import sculpt as sculpt_stage

from tests.backend.geometry.drawn_hair import draw
from tests.backend.stages.sculpting import Laid, lay_hair

STYLES = ("bob", "long", "bun", "crop", "receding")


@cache
def sculpted(style: str, yaw: float = 0.0) -> Laid:
    return lay_hair(draw(style, yaw))


def seen_hair(style: str, yaw: float = 0.0) -> np.ndarray:
    """Pixels of the drawn portrait in which the sculpted hair lies before the head."""
    drawing, result, model = draw(style, yaw), sculpted(style, yaw), load_head_model()
    head = visibility(RayCaster(model.vertices, model.triangles()), drawing.fit.camera)
    hair = visibility(RayCaster(result.hair_vertices, result.hair_triangles), drawing.fit.camera)
    return hair.hit & (hair.distance < head.distance)


def height_over_skin(result: Laid) -> np.ndarray:
    """Signed metres [N] along the ray from the head's middle: positive outside the skin."""
    model = load_head_model()
    middle = np.array([0.0, 0.06, 0.0])
    away = result.hair_vertices - middle
    distance = np.linalg.norm(away, axis=1)
    hits = RayCaster(model.vertices, model.triangles()).cast(middle + away / distance[:, None], -away)
    return distance - (1 - hits.distance)


# Far hair of a turned head is guessed from the near side, so less of it is met.
@pytest.mark.parametrize(("yaw", "recall", "overlap"), [(0.0, 0.85, 0.95), (25.0, 0.72, 0.90)])
@pytest.mark.parametrize("style", STYLES)
def test_the_photo_shows_the_hair_where_the_mask_has_it(style: str, yaw: float, recall: float, overlap: float) -> None:
    drawing, hair = draw(style, yaw), seen_hair(style, yaw)
    mask = drawing.portrait.hair > 0.5
    assert (hair & mask).sum() >= recall * mask.sum()
    outline, truth = hair | drawing.bare, mask | drawing.bare
    assert (outline & truth).sum() >= overlap * (outline | truth).sum()


@pytest.mark.parametrize("yaw", [0.0, 25.0])
@pytest.mark.parametrize("style", STYLES)
def test_no_hair_grows_before_the_face_or_under_the_neck(style: str, yaw: float) -> None:
    model = load_head_model()
    x, y, z = sculpted(style, yaw).hair_vertices.T
    before_the_face = (np.abs(x) < 0.045) & (y < 0.05) & (z > 0.06)
    assert not before_the_face.any()
    assert y.min() > model.vertices[model.regions["rim"], 1].min()


@pytest.mark.parametrize("style", STYLES)
def test_the_mesh_is_outward_small_and_without_slivers_of_other_pieces(style: str) -> None:
    result = sculpted(style)
    assert result.hair_vertices.dtype == np.float32
    assert result.hair_triangles.dtype == np.int32
    assert 1000 < len(result.hair_triangles) <= HairSettings().most_triangles + 10
    normals = surface.vertex_normals(result.hair_vertices.astype(float), result.hair_triangles)
    high = (result.hair_vertices[:, 1] > 0.085) & (height_over_skin(result) > 0.001)
    outward = result.hair_vertices[high] - (0, 0.06, 0)
    assert (np.einsum("nk,nk->n", normals[high], outward) > 0).mean() > 0.95


@pytest.mark.parametrize("style", ["crop", "receding"])
def test_a_crop_is_a_thin_shell_with_sunk_edges(style: str) -> None:
    result = sculpted(style)
    height = height_over_skin(result)
    edges = np.sort(
        np.concatenate(
            [result.hair_triangles[:, [0, 1]], result.hair_triangles[:, [1, 2]], result.hair_triangles[:, [2, 0]]]
        ),
        axis=1,
    )
    unique, count = np.unique(edges, axis=0, return_counts=True)
    border = np.unique(unique[count == 1])
    not_ear = result.hair_vertices[border, 1] > 0.06
    assert height[border][not_ear].max() < 0.0
    assert np.percentile(height, 99) < HairSettings().cropped[1] + 0.002
    # What covers the scalp stands off it far enough for any renderer: little of it lies within half a millimetre.
    assert (np.abs(height) < 5e-4).mean() < 0.06


@pytest.mark.parametrize("style", ["bob", "long"])
def test_the_unseen_back_of_evenly_full_hair_is_guessed_within_a_centimetre(style: str) -> None:
    drawing, result = draw(style), sculpted(style)
    assert drawing.hair is not None
    angles = np.radians(np.linspace(130, 230, 21))
    directions = np.stack([np.sin(angles), np.zeros(21), np.cos(angles)], axis=-1)
    origins = directions + (0.0, 0.09, 0.0)
    expected = RayCaster(*drawing.hair).cast(origins, -directions).distance
    found = RayCaster(result.hair_vertices, result.hair_triangles).cast(origins, -directions).distance
    assert np.abs(found - expected).max() < 0.010


@pytest.mark.parametrize("style", STYLES)
def test_even_hair_grows_evenly_on_both_sides(style: str) -> None:
    model, scalp = load_head_model(), sculpted(style).scalp
    assert np.abs(scalp - scalp[model.mirror]).mean() < 0.01


def test_hair_grows_on_the_scalp_alone() -> None:
    model = load_head_model()
    for style in STYLES:
        scalp = sculpted(style).scalp
        off = np.setdiff1d(np.arange(len(scalp)), model.regions["scalp"])
        assert (scalp[off] == 0).all()
        assert scalp.max() > 0.99


def test_a_bald_crown_stays_bald_where_the_photo_cannot_see_it() -> None:
    model, result = load_head_model(), sculpted("receding")
    x, y, z = model.vertices.T
    crown = np.isin(np.arange(len(x)), model.regions["scalp"]) & (y > 0.125)
    back = np.isin(np.arange(len(x)), model.regions["scalp"]) & (z < -0.05) & (y < 0.03)
    assert result.scalp[crown].max() < 0.1
    assert result.scalp[back].mean() > 0.8
    assert result.hair_vertices[:, 1].max() < 0.125


def test_long_hair_hangs_behind_the_neck_and_a_bob_does_not() -> None:
    def lowest_behind(style: str) -> float:
        vertices = sculpted(style).hair_vertices
        return float(vertices[(vertices[:, 2] < -0.03) & (np.abs(vertices[:, 0]) < 0.05), 1].min())

    assert lowest_behind("long") < -0.09
    assert -0.06 < lowest_behind("bob") < 0.0


def test_a_bun_stands_on_top_of_the_head_only() -> None:
    vertices = sculpted("bun").hair_vertices
    assert 0.19 < vertices[:, 1].max() < 0.22
    assert np.abs(vertices[vertices[:, 1] > 0.18, 0]).max() < 0.05


def test_a_stain_over_a_crop_never_becomes_a_topknot() -> None:
    drawing = draw("crop")
    stained = drawing.portrait.hair.copy()
    top = int(np.nonzero(stained.any(axis=1))[0][0])
    stained[max(top - 50, 0) : top + 10, 240:275] = 1.0
    vertices = lay_hair(drawing, hair=stained).hair_vertices
    assert vertices[:, 1].max() < load_head_model().vertices[:, 1].max() + HairSettings().cropped[1] + 0.001


def test_hair_of_another_head_is_left_out() -> None:
    drawing = draw("crop")
    with_other = drawing.portrait.hair.copy()
    with_other[60:200, 10:80] = 1.0
    assert np.array_equal(lay_hair(drawing, hair=with_other).hair_vertices, sculpted("crop").hair_vertices)


def test_a_mask_that_takes_ears_for_hair_puts_no_crop_over_them() -> None:
    drawing, model = draw("crop", 25.0), load_head_model()
    ears = model.vertices[np.concatenate([model.regions["ear_left"], model.regions["ear_right"]])]
    hull = cv2.convexHull(drawing.fit.camera.project(ears[ears[:, 0] > 0]).astype(np.float32))
    mask = cv2.fillConvexPoly(drawing.portrait.hair.copy(), np.round(hull).astype(np.int32), (1.0,))
    mask = cv2.dilate(mask, np.ones((25, 25), np.uint8)) * drawing.bare
    portrait = replace(drawing.portrait, hair=mask)
    grown = sculpt_stage.grow_hair(model, HeadRequest(photos=("drawn.png",)), portrait, drawing.fit)
    assert grown.volume is not None
    assert (grown.volume.depth(ears) > 0.001).mean() < 0.02  # but for what the voxels blur


@pytest.mark.parametrize("style", ["crop", "bob"])
def test_hair_that_is_carved_outwards_stays_whole(style: str) -> None:
    drawing, model = draw(style), load_head_model()
    grown = sculpt_stage.grow_hair(model, HeadRequest(photos=("drawn.png",)), drawing.portrait, drawing.fit)
    assert grown.volume is not None
    out = 0.9 * MOVED_REACH
    field = reshaped(grown.volume, lambda points: np.full(len(points), out), lambda points: points[:, 0] * 0).field
    for end in (field[0], field[-1], field[:, -1], field[:, :, 0]):  # both sides, the top, the back
        assert end.max() < 0, "the surface would be cut open where the field ends"


def test_locks_have_relief_and_a_seed_of_their_own() -> None:
    drawing = draw("bob")
    rows, turned = np.arange(90.0), np.linspace(0, 143, 90)
    one, again, other = (
        _relief(rows, turned, _draw(90, STRANDS, STRAND_ROWS, np.random.default_rng(seed)), STRAND_ROWS)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.1
    assert np.abs(one).max() < 1.0
    settings = HairSettings()
    model = load_head_model()
    portrait, fit = drawing.portrait, drawing.fit
    grown = sculpt_stage.grow_hair(model, HeadRequest(photos=("drawn.png",)), portrait, fit)
    assert grown.volume is not None
    smooth, _ = hair_mesh(replace(grown.volume, strands=()), settings)
    apart = SurfaceIndex(*hair_mesh(grown.volume, settings)).nearest(smooth).distance
    assert 0.0002 < apart.mean() < settings.strand_height  # of half that height either way
