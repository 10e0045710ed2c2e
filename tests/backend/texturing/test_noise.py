import numpy as np
from portrait_head.texturing.noise import band_noise, random_phase, triplanar


def test_noise_is_normalised_and_repeatable():
    noise = band_noise(128, (4, 40), seed=3)
    assert abs(noise.mean()) < 1e-5
    assert abs(noise.std() - 1) < 1e-5
    np.testing.assert_array_equal(noise, band_noise(128, (4, 40), seed=3))
    assert np.abs(noise - band_noise(128, (4, 40), seed=4)).mean() > 0.5


def test_noise_repeats_without_a_seam():
    noise = band_noise(128, (6, 40), seed=0)
    inside = np.abs(np.diff(noise, axis=0)).mean()
    across = np.abs(noise[0] - noise[-1]).mean()
    assert across < 1.5 * inside


def test_stretch_makes_features_longer_along_rows():
    noise = band_noise(256, (4, 60), seed=0, stretch=8)
    assert np.abs(np.diff(noise, axis=0)).mean() < 0.4 * np.abs(np.diff(noise, axis=1)).mean()


def test_grown_texture_has_the_deviation_of_its_sample():
    patch = np.repeat(band_noise(64, (3, 12), seed=2)[..., None] * 0.02, 3, axis=2)
    grown = random_phase(patch, 256, seed=0)
    assert grown.shape == (256, 256, 3)
    assert abs(grown.std() / patch.std() - 1) < 0.3
    assert np.abs(grown.mean(axis=(0, 1))).max() < 1e-4


def test_grown_texture_has_no_grain_in_one_direction():
    stripes = np.repeat(np.sin(np.arange(64) * 1.1)[None, :, None], 64, axis=0) * np.ones(3)
    grown = random_phase(stripes, 256, seed=0)[..., 0]
    along, across = np.abs(np.diff(grown, axis=0)).mean(), np.abs(np.diff(grown, axis=1)).mean()
    assert 0.8 < along / across < 1.25


def test_wrapping_a_tile_keeps_its_deviation_on_slanted_surfaces():
    rng = np.random.default_rng(0)
    tile = band_noise(128, (4, 30), seed=1)[..., None]
    points = rng.random((20_000, 3)) * 0.5
    slanted = np.ones((20_000, 3))
    assert 0.8 < triplanar(tile, points, slanted, 0.1).std() < 1.1
