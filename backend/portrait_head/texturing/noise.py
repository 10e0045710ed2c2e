"""Random detail that repeats without a seam and is the same for the same seed."""

from __future__ import annotations

import numpy as np

from portrait_head.texturing.sampling import sample_texture

_NEGLIGIBLE = 0.02  # share of a projection that is not worth its look-up


def band_noise(size: int, wavelengths: tuple[float, float], seed: int, stretch: float = 1.0) -> np.ndarray:
    """Tileable noise [size, size] float32 of mean 0 and deviation 1.

    Args:
        size: texels a side.
        wavelengths: shortest and longest wavelength, texels.
        seed: of the random phases.
        stretch: how much longer features are along rows' direction of increase (v) than across it.
    """
    frequency_v = np.fft.fftfreq(size)[:, None] * stretch
    frequency_u = np.fft.rfftfreq(size)[None, :]
    radius = np.hypot(frequency_u, frequency_v)
    low, high = 1.0 / wavelengths[1], 1.0 / wavelengths[0]
    # Amplitude 1/f within the band, with soft shoulders: what skin, hair and other grown things look like.
    shape = np.exp(-((radius / high) ** 4)) * (1 - np.exp(-((radius / low) ** 4))) / np.maximum(radius, 1e-9)
    white = np.random.default_rng(seed).standard_normal((size, size)).astype(np.float32)
    noise = np.fft.irfft2(np.fft.rfft2(white) * shape, s=(size, size))
    return ((noise - noise.mean()) / noise.std()).astype(np.float32)


def random_phase(patch: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Tileable texture [size, size, C] float32 with the spectrum and colour correlation of `patch` [h, w, C].

    After Galerne, Gousseau and Morel, "Random Phase Textures" (2011), but with the same power in all directions: a
    photo enlarged onto a texture has grain along its rows and columns, which is not the skin's. Its mean is zero.
    """
    height, width, channels = patch.shape
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    centred = patch - np.average(patch.reshape(-1, channels), axis=0, weights=window.reshape(-1))
    spot = np.zeros((size, size))
    spot[:height, :width] = centred.mean(axis=2) * window / np.sqrt((window**2).sum())
    power = np.abs(np.fft.rfft2(spot)) ** 2
    radius = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]) * size
    ring = np.rint(radius).astype(int)
    per_ring = np.bincount(ring.reshape(-1), power.reshape(-1)) / np.maximum(np.bincount(ring.reshape(-1)), 1)
    white = np.random.default_rng(seed).standard_normal((size, size))
    grey = np.fft.irfft2(np.fft.rfft2(white) * np.sqrt(per_ring[ring]), s=(size, size))
    grey -= grey.mean()
    share = centred.reshape(-1, channels).std(axis=0) / max(float(centred.mean(axis=2).std()), 1e-9)
    return (grey[..., None] * np.clip(share, 0.5, 1.6)).astype(np.float32)


def triplanar(tile: np.ndarray, points: np.ndarray, normals: np.ndarray, metres: float) -> np.ndarray:
    """A tile [S, S, C] wrapped round a surface without UVs: [N, C].

    Args:
        tile: repeats in both directions.
        points: [N, 3] metres.
        normals: [N, 3], any length: they choose between the projections along the three axes.
        metres: size of one tile on the surface.
    """
    weights = np.abs(normals).astype(np.float32) ** 4
    # Root of the sum of squares, not the sum, keeps the deviation of noise where projections overlap.
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True)) + np.float32(1e-9)
    scaled = (points / metres).astype(np.float32)
    out = np.zeros((len(points), tile.shape[2]), np.float32)
    for axis, across in enumerate(([2, 1], [0, 2], [0, 1])):
        rows = np.flatnonzero(weights[:, axis] > _NEGLIGIBLE)
        out[rows] += weights[rows, axis, None] * sample_texture(tile, scaled[rows][:, across])
    return out
