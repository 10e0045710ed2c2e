import numpy as np
import pytest
from portrait_head.head_model import load_head_model
from portrait_head.texturing.blending import multiband
from portrait_head.texturing.noise import band_noise
from portrait_head.texturing.uv_raster import UvRaster, head_raster

SIZE = 512
LEVEL = 0.0  # metres above the head's origin: the border runs over cheeks and nose


@pytest.fixture(scope="module")
def raster() -> UvRaster:
    return head_raster("skin", SIZE)


@pytest.fixture(scope="module")
def front(raster: UvRaster) -> np.ndarray:
    return raster.spread(load_head_model().vertices)[:, 2] > 0.05


def seen_above(raster: UvRaster) -> np.ndarray:
    height = raster.spread(load_head_model().vertices)[:, 1]
    return (height > LEVEL).astype(np.float32)


def pores(raster: UvRaster, seed: int, shortest: float) -> np.ndarray:
    noise = band_noise(SIZE, (shortest, 4 * shortest), seed)[..., None].repeat(3, axis=-1)
    return raster.flat(noise) * np.float32(0.02)


def steps(raster: UvRaster, colour: np.ndarray, front: np.ndarray) -> tuple[float, float]:
    """Step of tone between texels above and below the border of what is seen, and mean step elsewhere in the face."""
    shade, share = raster.sparse_image(colour.mean(axis=1)), raster.sparse_image(seen_above(raster))
    face = raster.sparse_image(front.astype(np.float32)) > 0
    step = shade[:-1] - shade[1:]
    both = face[1:] & face[:-1]
    border = both & (share[:-1] > share[1:])
    assert border.sum() > 100
    return abs(float(step[border].mean())), float(np.abs(step[both & ~border]).mean())


def test_what_is_known_everywhere_is_taken_whole(raster):
    lower, upper = pores(raster, 0, 3), pores(raster, 1, 3) + 0.5
    found = multiband(raster, lower, upper, np.ones(len(upper), np.float32))
    np.testing.assert_allclose(found, upper, atol=1e-5)


def test_where_nothing_is_known_nothing_changes(raster):
    lower = pores(raster, 0, 3)
    np.testing.assert_array_equal(multiband(raster, lower, lower + 1, np.zeros(len(lower), np.float32)), lower)


def test_a_difference_of_tone_leaves_no_border(raster, front):
    lower, upper = pores(raster, 0, 3) + 0.5, pores(raster, 1, 3) + 0.6
    pasted = np.where(seen_above(raster)[:, None] > 0, upper, lower)
    at_border, inside = steps(raster, pasted, front)
    assert at_border > 5 * inside
    at_border, inside = steps(raster, multiband(raster, lower, upper, seen_above(raster)), front)
    assert at_border < inside


def test_far_from_the_border_both_keep_their_own_tone(raster, front):
    lower, upper = pores(raster, 0, 3) + 0.5, pores(raster, 1, 3) + 0.6
    found = multiband(raster, lower, upper, seen_above(raster))
    height = raster.spread(load_head_model().vertices)[:, 1]
    above, below = found[front & (height > LEVEL + 0.05)], found[height < LEVEL - 0.12]
    assert abs(above.mean() - 0.6) < 0.02
    assert abs(below.mean() - 0.5) < 0.02


def test_pores_end_at_the_border_not_centimetres_away(raster, front):
    lower = np.full((len(raster.texels), 3), 0.5, np.float32)
    upper = lower + pores(raster, 1, 3)
    found = multiband(raster, lower, upper, seen_above(raster))
    height = raster.spread(load_head_model().vertices)[:, 1]
    close = front & (height > LEVEL + 0.003) & (height < LEVEL + 0.012)
    assert found[close].std() > 0.85 * upper[close].std()
    beyond = front & (height < LEVEL - 0.003) & (height > LEVEL - 0.012)
    assert found[beyond].std() < 0.25 * upper[close].std()


def test_what_stands_beyond_the_border_does_not_leak(raster):
    lower, upper, share = pores(raster, 0, 3), pores(raster, 1, 3) + 0.1, seen_above(raster)
    rubbish = np.where(share[:, None] > 0, upper, np.random.default_rng(0).random(upper.shape, np.float32))
    found = multiband(raster, lower, rubbish, share)
    np.testing.assert_allclose(found, multiband(raster, lower, upper, share), atol=1e-5)
