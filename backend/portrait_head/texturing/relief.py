"""Pores and fine lines of the skin, from what the photo shows of them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.rendering.lighting import LUMINANCE


@dataclass(frozen=True)
class ReliefConfig:
    """Dark is deep: small dark places are hollows (Beeler et al., "High-Quality Single-Shot Capture of Facial
    Geometry", 2010, section 5), which holds for pores and lines but not for moles and make-up, so it is kept shallow.

    Attributes:
        finest: metres, deviation of the blur that takes out the photo's grain.
        coarsest: metres, of the blur that takes out tone.
        depth: metres of height for a change of brightness by a factor e; furrows of skin are 20-100 micrometres deep.
        limit: of that change; beyond are hairs, moles and borders.
    """

    finest: float = 0.0002
    coarsest: float = 0.0010
    depth: float = 0.00012
    limit: float = 0.12


def skin_height(image: np.ndarray, metres: float, config: ReliefConfig = ReliefConfig()) -> np.ndarray:
    """Height [H, W] float32 in metres of what is finer than the skin's tone.

    Args:
        image: [H, W, 3] uint8 sRGB base colour.
        metres: size of a texel where people look.
        config: see there.
    """
    # sRGB is about the root of light: the logarithm's change is twice that of the code's.
    grey = image.astype(np.float32) @ (LUMINANCE / 255)
    logarithm = 2.2 * np.log(np.maximum(grey, 0.02))
    fine = cv2.GaussianBlur(logarithm, (0, 0), max(config.finest / metres, 0.5))
    band = fine - cv2.GaussianBlur(fine, (0, 0), max(config.coarsest / metres, 1.0))
    return np.float32(config.depth) * np.float32(config.limit) * np.tanh(band / np.float32(config.limit))


def slopes(height: np.ndarray) -> np.ndarray:
    """Rise [H, W, 2] of a height image for each texel along growing u and growing v (rows run the other way)."""
    rise = np.empty((*height.shape, 2), np.float32)
    rise[..., 0] = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
    rise[..., 1] = -cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
    return rise
