import numpy as np
import pytest
from portrait_head.texturing.surface_fill import edge_laplacian, fill, gather
from portrait_head.texturing.uv_raster import head_raster


@pytest.fixture(scope="module")
def strip() -> np.ndarray:
    """Triangles of a ladder of 2 x 40 vertices; vertex 2 i + j is step i on side j."""
    step = np.arange(39)[:, None] * 2
    return np.concatenate([step + [0, 1, 2], step + [1, 3, 2]])


def test_trusted_values_stay_and_the_rest_runs_between_them(strip):
    values, trust = np.zeros((80, 1)), np.zeros(80)
    values[-2:], trust[:2], trust[-2:] = 1.0, 1.0, 1.0
    found = fill(edge_laplacian(strip, 80), values, trust * 1e4, np.zeros(1), pull=1e-9)[:, 0]
    np.testing.assert_allclose(found[[0, -1]], [0, 1], atol=1e-3)
    assert (np.diff(found[::2]) > 0).all()
    np.testing.assert_allclose(found[40], 0.5, atol=0.03)


def test_far_from_everything_the_prior_holds(strip):
    values, trust = np.ones((80, 1)), np.zeros(80)
    trust[:2] = 1.0
    found = fill(edge_laplacian(strip, 80), values, trust, np.full(1, 5.0), pull=0.05)[:, 0]
    assert found[0] < 2 < 4.9 < found[-1]


def test_a_prior_for_each_vertex(strip):
    prior = np.linspace(0, 1, 80)[:, None]
    found = fill(edge_laplacian(strip, 80), np.zeros((80, 1)), np.zeros(80), prior, smoothness=1e-6, pull=np.ones(80))
    np.testing.assert_allclose(found, prior, atol=1e-4)


def test_gathering_what_was_spread_gives_it_back():
    raster = head_raster("skin", 256)
    assert raster.weights.shape is not None
    vertices = np.random.default_rng(1).random((raster.weights.shape[1], 2)).astype(np.float32)
    constant = np.full_like(vertices, 0.25)
    means, trust = gather(raster.weights, raster.spread(constant), np.ones(len(raster.texels)))
    seen = trust > 0
    np.testing.assert_allclose(means[seen], 0.25, atol=1e-5)
    np.testing.assert_allclose(trust[seen], 1.0, atol=1e-5)


def test_untrusted_texels_do_not_enter():
    raster = head_raster("skin", 256)
    values = np.zeros((len(raster.texels), 1), np.float32)
    trust = np.ones(len(raster.texels), np.float32)
    values[::2], trust[::2] = 1.0, 0.0
    means, share = gather(raster.weights, values, trust)
    assert means.max() == 0
    assert 0.3 < np.median(share[share > 0]) < 0.7
