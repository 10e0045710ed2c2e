"""Which colours human skin can have, to tell skin from coloured light and to take that light out of a photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait_head.rendering.lighting import LUMINANCE, linear_to_srgb, srgb_to_linear


@dataclass(frozen=True)
class SkinToneConfig:
    """Ratios of linear RGB, tuned on portraits in light of known colour.

    The ten tones of the Monk scale run from (246, 237, 228) to (41, 36, 32) in sRGB, and redness peaks in between:
    portraits in white light lie well inside these bounds.

    Attributes:
        light, dark: luminances between which the upper bounds change.
        red: least red over green, and the most of light and of dark skin.
        blue: the same for green over blue.
        rebound: how much farther within its bounds a ratio comes than it lay beyond, in logarithms.
        least_pixels: fewer say nothing about the light.
    """

    light: float = 0.40
    dark: float = 0.08
    red: tuple[float, float, float] = (1.08, 1.80, 2.80)
    blue: tuple[float, float, float] = (1.02, 1.80, 2.40)
    rebound: float = 2.0
    least_pixels: int = 200


def white_balance(tone: np.ndarray, slack: float = 1.0, config: SkinToneConfig = SkinToneConfig()) -> np.ndarray:
    """Factors [3] on linear RGB that bring a skin tone to colours that skin has; exactly ones for a usual tone.

    A ratio beyond its bounds comes the farther within them the farther beyond it lies, up to their middle: the more of
    it was light, the less it tells of this skin.

    Args:
        tone: [3] linear RGB, median of the face's skin.
        slack: by which factor the ratios may lie beyond their bounds.
        config: bounds.
    """
    red, green, blue = np.maximum(np.asarray(tone, np.float64), 1e-4)
    luminance = float(LUMINANCE @ (red, green, blue))
    darkness = np.clip((config.light - luminance) / (config.light - config.dark), 0, 1)

    def likely(ratio: float, bounds: tuple[float, float, float]) -> float:
        least, most = bounds[0] / slack, (bounds[1] + darkness * (bounds[2] - bounds[1])) * slack
        middle = np.sqrt(least * most)
        if ratio < least:
            return min(least * (least / ratio) ** config.rebound, middle)
        return max(most * (most / ratio) ** config.rebound, middle) if ratio > most else ratio

    of_red, of_blue = likely(red / green, config.red), likely(green / blue, config.blue)
    if (of_red, of_blue) == (red / green, green / blue):
        return np.ones(3, np.float32)
    wanted = np.array([of_red, 1.0, 1 / of_blue]) * green
    wanted *= luminance / (LUMINANCE @ wanted)
    return (wanted / (red, green, blue)).astype(np.float32)


def in_white_light(
    image: np.ndarray, skin: np.ndarray, amount: float = 1.0, config: SkinToneConfig = SkinToneConfig()
) -> np.ndarray:
    """A photo [H, W, 3] uint8 sRGB without the colour of its light; the very same where the skin's colour is usual.

    Args:
        image: the photo.
        skin: [H, W] bool, plain skin of the face.
        amount: 0 (leave) to 1.
        config: bounds of skin's colours.
    """
    if skin.sum() < config.least_pixels or amount == 0:
        return image
    balance = white_balance(np.median(srgb_to_linear(image[skin].astype(np.float32) / 255), axis=0), config=config)
    if (balance == 1).all():
        return image
    every = np.arange(256, dtype=np.float32)[:, None] / 255
    table = np.rint(linear_to_srgb(srgb_to_linear(every) * balance ** np.float32(amount)) * 255)
    return np.stack([table.astype(np.uint8)[image[..., channel], channel] for channel in range(3)], axis=-1)
