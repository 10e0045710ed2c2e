import numpy as np
import pytest
from portrait_head.photo.skin_tone import white_balance
from portrait_head.rendering.lighting import LUMINANCE, srgb_to_linear

# sRGB of portraits' skin, from light to dark.
SKIN = ((236, 200, 176), (205, 172, 145), (190, 142, 110), (141, 96, 66), (92, 60, 42), (58, 40, 31))


def linear(colour: tuple[int, int, int]) -> np.ndarray:
    return srgb_to_linear(np.array(colour, np.float32) / 255)


@pytest.mark.parametrize("colour", SKIN)
def test_skin_of_any_tone_is_left_alone(colour: tuple[int, int, int]) -> None:
    np.testing.assert_allclose(white_balance(linear(colour)), 1, atol=1e-5)


@pytest.mark.parametrize("light", [(1.5, 0.9, 0.4), (0.5, 0.8, 1.5), (0.6, 1.2, 0.6), (1.6, 0.7, 0.9)])
def test_coloured_light_is_taken_back_as_far_as_skin_goes(light: tuple[float, float, float]) -> None:
    true = linear((205, 172, 145))
    seen = true * np.array(light, np.float32)
    found = seen * white_balance(seen)
    assert LUMINANCE @ found == pytest.approx(LUMINANCE @ seen, rel=1e-4)  # the light's colour, not its strength

    def hue(colour: np.ndarray) -> np.ndarray:
        return np.log(colour[[0, 2]] / colour[1])

    assert np.linalg.norm(hue(found) - hue(true)) < 0.7 * np.linalg.norm(hue(seen) - hue(true))
    # What has been brought to the bound stays there, up to the dependence of the bound on luminance.
    np.testing.assert_allclose(white_balance(found), 1, atol=0.02)
