"""Which colours human skin can have, to tell skin from coloured light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait_head.rendering.lighting import LUMINANCE


@dataclass(frozen=True)
class SkinToneConfig:
    """Ratios of linear RGB, tuned on portraits in light of known colour.

    The ten tones of the Monk scale run from (246, 237, 228) to (41, 36, 32) in sRGB, and redness peaks in between:
    portraits in white light lie well inside these bounds.

    Attributes:
        light, dark: luminances between which the upper bounds change.
        red: least red over green, and the most of light and of dark skin.
        blue: the same for green over blue.
    """

    light: float = 0.40
    dark: float = 0.08
    red: tuple[float, float, float] = (1.08, 1.80, 2.80)
    blue: tuple[float, float, float] = (1.02, 1.80, 2.40)


def white_balance(tone: np.ndarray, slack: float = 1.0, config: SkinToneConfig = SkinToneConfig()) -> np.ndarray:
    """Factors [3] on linear RGB that bring a skin tone to the nearest colour that skin has; ones for a usual tone.

    Args:
        tone: [3] linear RGB, median of the face's skin.
        slack: by which factor the ratios may lie beyond their bounds.
        config: bounds.
    """
    red, green, blue = np.maximum(np.asarray(tone, np.float64), 1e-4)
    luminance = float(LUMINANCE @ (red, green, blue))
    darkness = np.clip((config.light - luminance) / (config.light - config.dark), 0, 1)

    def bounded(ratio: float, bounds: tuple[float, float, float]) -> float:
        least, most = bounds[0] / slack, (bounds[1] + darkness * (bounds[2] - bounds[1])) * slack
        return float(np.clip(ratio, least, most))

    wanted = np.array([bounded(red / green, config.red), 1.0, 1 / bounded(green / blue, config.blue)]) * green
    wanted *= luminance / (LUMINANCE @ wanted)
    return (wanted / (red, green, blue)).astype(np.float32)
