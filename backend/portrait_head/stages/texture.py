"""Stage 5: the textures of head and hair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Texture:
    """Base colours, sRGB uint8, one image a material; row 0 is the image's top (UV v = 1).

    Attributes:
        skin: [S, S, 3].
        confidence: [S, S] uint8, how well the photo saw each texel of the skin.
        eyes: [E, E, 3].
        mouth: [E, E, 3] teeth, tongue and cavity.
        lashes: [E, E, 4] with alpha.
        hair: [H, W, 4] with alpha; 1 x 1 where there is no hair mesh.
        hair_uvs: [M, 3, 2] float32 for each corner of the hair's triangles.
        ssim: structural similarity of the face re-rendered in the photo's camera before the light was taken out.
        warnings: sentences for the user.
    """

    skin: np.ndarray
    confidence: np.ndarray
    eyes: np.ndarray
    mouth: np.ndarray
    lashes: np.ndarray
    hair: np.ndarray
    hair_uvs: np.ndarray
    ssim: float
    warnings: tuple[str, ...] = ()
