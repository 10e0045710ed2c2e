import numpy as np
import pytest
from portrait_head.geometry.surface import vertex_normals
from portrait_head.head_model import load_head_model
from portrait_head.texturing.completion import blotches, complete, mirrored, skin_detail
from portrait_head.texturing.skin import faces_of
from portrait_head.texturing.surface_fill import edge_laplacian
from portrait_head.texturing.uv_raster import head_raster

TONE = np.array([0.8, 0.65, 0.55], np.float32)


@pytest.fixture(scope="module")
def skin():
    model = load_head_model()
    triangles = faces_of(model, "skin")
    return model, head_raster("skin", 256), edge_laplacian(triangles, len(model.vertices)), triangles


def completed(skin, colour, trust, detail=None):
    model, raster, laplacian, _ = skin
    count = len(model.vertices)
    tones, pull = np.broadcast_to(TONE, (count, 3)), np.full(count, 0.01)
    detail = np.zeros_like(colour) if detail is None else detail
    return complete(raster, colour, trust, tones, pull, model.mirror, laplacian, detail)


def test_what_the_photo_saw_stays(skin):
    rng = np.random.default_rng(0)
    colour = rng.random((len(skin[1].texels), 3), np.float32)
    trust = np.ones(len(colour), np.float32)
    np.testing.assert_allclose(completed(skin, colour, trust), colour, atol=1e-5)


def test_the_unseen_side_gets_the_marks_of_the_other(skin):
    model, raster, _, _ = skin
    x = raster.spread(model.vertices)[:, 0]
    colour = np.broadcast_to(TONE, (len(x), 3)).copy()
    spot = np.linalg.norm(raster.spread(model.vertices) - [0.04, 0.0, 0.085], axis=1) < 0.012
    colour[spot] = 0.2
    trust = (x > 0.0).astype(np.float32)
    found = completed(skin, np.where(trust[:, None] > 0, colour, 0).astype(np.float32), trust)
    other = mirrored(raster, spot[:, None].astype(np.float32))[:, 0] > 0.5
    assert spot.sum() > 50
    assert found[other].mean() < 0.35
    beside = (x < -0.01) & ~other & (np.linalg.norm(raster.spread(model.vertices) - [-0.04, 0, 0.085], axis=1) < 0.03)
    np.testing.assert_allclose(np.median(found[beside], axis=0), TONE, atol=0.03)


def test_a_mole_is_not_mirrored_onto_skin_that_was_seen(skin):
    """Not even onto skin that was seen less well than the mole: what decides is whether it was seen at all."""
    model, raster, _, _ = skin
    points = raster.spread(model.vertices)
    colour = np.broadcast_to(TONE, (len(points), 3)).copy()
    mole = np.linalg.norm(points - [0.04, 0.0, 0.085], axis=1) < 0.006
    colour[mole] = 0.2
    other = mirrored(raster, mole[:, None].astype(np.float32))[:, 0] > 0.5
    assert mole.sum() > 10
    for seen, darkest in ((1.0, 0.99), (0.65, 0.97), (0.0, 0.6)):
        trust = np.where(points[:, 0] > 0, 1.0, seen).astype(np.float32)
        found = completed(skin, np.where(trust[:, None] > 0, colour, 0).astype(np.float32), trust)
        np.testing.assert_allclose(found[mole], colour[mole], atol=1e-4)
        kept = found[other].mean() / TONE.mean()
        assert kept > darkest if seen else kept < darkest


def test_mirrored_tone_follows_the_side_it_is_put_on(skin):
    model, raster, _, _ = skin
    points = raster.spread(model.vertices)
    lit = np.where(points[:, :1] > 0, TONE, TONE * 0.8).astype(np.float32)
    trust = ((points[:, 0] > 0) | (points[:, 1] > 0.0)).astype(np.float32) * (points[:, 2] > 0.05)
    found = completed(skin, lit, trust)
    cheek = (points[:, 0] < -0.03) & (points[:, 1] < -0.005) & (points[:, 1] > -0.03) & (points[:, 2] > 0.06)
    assert cheek.sum() > 30
    assert 0.78 * TONE.mean() < found[cheek].mean() < 0.93 * TONE.mean()


def test_what_neither_side_shows_has_tone_and_detail(skin):
    model, raster, _, triangles = skin
    points = raster.spread(model.vertices)
    normals = raster.spread(vertex_normals(model.vertices, triangles))
    rng = np.random.default_rng(1)
    colour = (TONE + 0.03 * rng.standard_normal((len(points), 1))).astype(np.float32)
    face = raster.spread(np.isin(np.arange(len(model.vertices)), model.regions["face"]))
    trust = (face > 0.9).astype(np.float32)
    smooth = np.broadcast_to(TONE, colour.shape)
    detail, fine = skin_detail(raster, colour, smooth, trust, points, normals, seed=0)
    found = completed(skin, colour, trust, detail)
    back = points[:, 2] < -0.05
    np.testing.assert_allclose(found[back].mean(axis=0), TONE, atol=0.02)
    # Never flat, never blotched.
    assert 0.004 < found[back].std(axis=0).mean() < 0.03
    assert 0.005 < fine.std() < 0.02


def test_blotches_are_the_same_for_the_same_seed(skin):
    model, _, _, triangles = skin
    normals = vertex_normals(model.vertices, triangles)
    first = blotches(model.vertices, normals, 3)
    np.testing.assert_array_equal(first, blotches(model.vertices, normals, 3))
    assert 0.003 < first.std() < 0.02
