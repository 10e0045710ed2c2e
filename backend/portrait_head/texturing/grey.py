"""Photos without colour, and painted parts that must fit them."""

from __future__ import annotations

import numpy as np

from portrait_head.rendering.lighting import LUMINANCE

_COLOURLESS = 3.0  # mean spread of the channels, of 255, that compression of a grey photo can leave


def is_grey(image: np.ndarray) -> bool:
    """Whether an image [H, W, 3] uint8 has no colour."""
    return float(np.ptp(image.astype(np.int16), axis=-1).mean()) < _COLOURLESS


def grey_like(colour: np.ndarray) -> np.ndarray:
    """Colours [..., 3] (or with alpha [..., 4], which stays) without hue, as bright as before."""
    out = colour.copy()
    out[..., :3] = (colour[..., :3] @ LUMINANCE)[..., None]
    return out
