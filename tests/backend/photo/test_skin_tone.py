import numpy as np
import pytest
from portrait_head.photo.skin_tone import in_white_light, white_balance
from portrait_head.rendering.lighting import LUMINANCE, linear_to_bytes, srgb_to_linear

# sRGB of portraits' skin, from light to dark.
SKIN = ((236, 200, 176), (205, 172, 145), (190, 142, 110), (141, 96, 66), (92, 60, 42), (58, 40, 31))


def linear(colour: tuple[int, int, int]) -> np.ndarray:
    return srgb_to_linear(np.array(colour, np.float32) / 255)


@pytest.mark.parametrize("colour", SKIN)
def test_skin_of_any_tone_is_left_alone(colour: tuple[int, int, int]) -> None:
    np.testing.assert_array_equal(white_balance(linear(colour)), 1)


@pytest.mark.parametrize("light", [(1.5, 0.9, 0.4), (0.5, 0.8, 1.5), (0.6, 1.2, 0.6), (1.6, 0.7, 0.9)])
def test_coloured_light_is_taken_back_as_far_as_skin_goes(light: tuple[float, float, float]) -> None:
    true = linear((205, 172, 145))
    seen = true * np.array(light, np.float32)
    found = seen * white_balance(seen)
    assert LUMINANCE @ found == pytest.approx(LUMINANCE @ seen, rel=1e-4)  # the light's colour, not its strength

    def hue(colour: np.ndarray) -> np.ndarray:
        return np.log(colour[[0, 2]] / colour[1])

    assert np.linalg.norm(hue(found) - hue(true)) < 0.4 * np.linalg.norm(hue(seen) - hue(true))
    np.testing.assert_array_equal(white_balance(found), 1)


def test_skin_beyond_its_bounds_moves_without_a_jump() -> None:
    bound = np.array([1.8 * 0.5, 0.5, 0.5 / 1.4])
    moved = [white_balance(bound * [factor, 1, 1])[0] for factor in (0.999, 1.001, 1.02, 1.1)]
    assert moved[0] == 1
    assert moved[1] == pytest.approx(1, abs=0.005)
    assert moved[1] > moved[2] > moved[3]


def test_a_picture_in_usual_light_is_the_very_same() -> None:
    picture = np.full((20, 20, 3), SKIN[1], np.uint8)
    everywhere = np.ones((20, 20), bool)
    assert in_white_light(picture, everywhere) is picture
    blue = linear_to_bytes(srgb_to_linear(picture.astype(np.float32) / 255) * np.array([0.5, 0.8, 1.4], np.float32))
    assert in_white_light(blue, everywhere, 0.0) is blue
    assert in_white_light(blue, np.zeros((20, 20), bool)) is blue


def test_what_was_white_is_white_again() -> None:
    """The light that is read from skin is the light on everything else."""
    picture = np.full((20, 40, 3), SKIN[1], np.uint8)
    picture[:, 20:] = 150
    skin = np.zeros((20, 40), bool)
    skin[:, :20] = True
    light = np.array([0.5, 0.8, 1.4], np.float32)
    seen = linear_to_bytes(srgb_to_linear(picture.astype(np.float32) / 255) * light)
    before, after = (np.ptp(image[0, 30].astype(int)) for image in (seen, in_white_light(seen, skin)))
    assert before > 60
    assert after < 20
