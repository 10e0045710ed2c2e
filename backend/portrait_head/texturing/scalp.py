"""Hair painted on the scalp: what shows between the hairs of a hair mesh, and all there is of cropped hair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from portrait_head.rendering.lighting import LUMINANCE, linear_to_srgb, srgb_to_linear
from portrait_head.texturing.noise import band_noise, triplanar
from portrait_head.texturing.shaping import step
from portrait_head.texturing.surface_fill import fill, gather
from portrait_head.texturing.uv_raster import UvRaster

_PALETTE = 64


@dataclass(frozen=True)
class HairTone:
    """Attributes:
    palette: [64, 3] float32 sRGB 0 to 1, the hair's colours from its darkest to its lightest.
    measured: False where the photo shows too little hair to tell.
    """

    palette: np.ndarray
    measured: bool

    @property
    def middle(self) -> np.ndarray:
        """[3] the median colour."""
        return self.palette[len(self.palette) // 2]

    def at(self, rank: np.ndarray) -> np.ndarray:
        """Colours [..., 3] at ranks 0 (darkest) to 1 (lightest)."""
        place = np.clip(rank, 0, 1) * (len(self.palette) - 1)
        low = np.minimum(place.astype(int), len(self.palette) - 2)
        part = (place - low)[..., None].astype(np.float32)
        return self.palette[low] * (1 - part) + self.palette[low + 1] * part


def hair_tone(image: np.ndarray, hair: np.ndarray) -> HairTone:
    """The colours of the hair in a photo [H, W, 3] uint8, ranked by lightness, under its mask [H, W] 0 to 1."""
    pixels = image[hair > 0.9].astype(np.float32) / 255
    if len(pixels) < 200:
        brown = linear_to_srgb(np.array([0.035, 0.022, 0.015], np.float32))
        return HairTone(np.linspace(0.5, 1.5, _PALETTE, dtype=np.float32)[:, None] * brown, False)
    luminance = srgb_to_linear(pixels) @ LUMINANCE
    order = np.argsort(luminance, kind="stable")
    # The darkest and lightest few are shadow and stray background; hue is smoothed over neighbouring ranks.
    inner = pixels[order][int(0.03 * len(order)) : max(int(0.97 * len(order)), 2)]
    blocks = np.array_split(inner, _PALETTE)
    palette = np.array([np.median(block, axis=0) for block in blocks], np.float32)
    kernel = np.ones(7) / 7
    padded = np.pad(palette, ((3, 3), (0, 0)), mode="edge")
    smooth = np.stack([np.convolve(padded[:, channel], kernel, mode="valid") for channel in range(3)], axis=1)
    return HairTone(smooth.astype(np.float32), True)


def paint_scalp(
    raster: UvRaster,
    laplacian: csr_matrix,
    colour: np.ndarray,
    photo: np.ndarray,
    hairy: np.ndarray,
    scalp: np.ndarray,
    points: np.ndarray,
    normals: np.ndarray,
    hair: HairTone,
    seed: int,
) -> np.ndarray:
    """Skin texels [N, 3] sRGB with hair where it grows.

    Args:
        colour: [N, 3] finished skin.
        photo: [N, 3] sRGB of the photo.
        hairy: [N], 0 to 1, where the photo shows hair that belongs on the scalp itself.
        scalp: [V], 0 to 1, where hair grows.
        points, normals: [N, 3] of the texels, metres.
        hair: its colours.
        seed: of the strands.
    """
    grows = raster.spread(scalp)
    rows = np.flatnonzero(grows > 0.01)
    if len(rows) == 0:
        return colour
    # Short strands that run down the head; stretched noise is their look at this scale.
    strands = triplanar(band_noise(512, (3.0, 40.0), seed + 3, 4.0)[..., None], points[rows], normals[rows], 0.05)[:, 0]
    known, trust = gather(raster.weights[rows], photo[rows], hairy[rows])
    smooth = raster.weights[rows] @ fill(laplacian, known, trust, hair.at(np.array(0.38)))
    spread = hair.at(0.38 + 0.16 * strands) - hair.at(np.array(0.38))
    painted = smooth + spread
    painted += (photo[rows] - painted) * step(hairy[rows], 0.1, 0.8)[:, None]
    # At the hairline single hairs stand on skin: the threshold moves with the strands.
    cover = step(grows[rows] + 0.16 * strands, 0.25, 0.75)
    out = colour.copy()
    out[rows] += (painted - out[rows]) * cover[:, None]
    return np.clip(out, 0, 1)
