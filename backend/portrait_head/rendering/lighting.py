"""Light on matte surfaces: second-order spherical harmonics, and the way between stored and linear colour."""

from __future__ import annotations

import numpy as np

# Constants of the real spherical harmonics, as in Ramamoorthi and Hanrahan, "An Efficient Representation for
# Irradiance Environment Maps" (2001), equation 3.
_SH0 = 0.28209479177387814
_SH1 = 0.4886025119029199
_SH2 = 1.0925484305920792
_SH20 = 0.31539156525252005
_SH22 = 0.5462742152960396

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Of linear red, green and blue in sRGB's primaries (ITU-R BT.709)."""

COSINE_LOBE = np.array([np.pi] + [2 * np.pi / 3] * 3 + [np.pi / 4] * 5)
"""[9] what the cosine of a matte surface leaves of each coefficient of incoming light (equation 8 there)."""


def sh_basis(normals: np.ndarray) -> np.ndarray:
    """The nine real spherical harmonics up to order 2 at unit normals.

    Args:
        normals: [..., 3] unit vectors.

    Returns:
        [..., 9] in the order 1, y, z, x, xy, yz, 3z^2-1, xz, x^2-y^2 (each with its constant), orthonormal over the
        sphere; the dtype of `normals`.
    """
    x, y, z = normals[..., 0], normals[..., 1], normals[..., 2]
    basis = np.empty((*normals.shape[:-1], 9), dtype=normals.dtype)
    basis[..., 0] = _SH0
    basis[..., 1] = _SH1 * y
    basis[..., 2] = _SH1 * z
    basis[..., 3] = _SH1 * x
    basis[..., 4] = _SH2 * x * y
    basis[..., 5] = _SH2 * y * z
    basis[..., 6] = _SH20 * (3 * z * z - 1)
    basis[..., 7] = _SH2 * x * z
    basis[..., 8] = _SH22 * (x * x - y * y)
    return basis


def srgb_to_linear(colour: np.ndarray) -> np.ndarray:
    """sRGB to linear light (IEC 61966-2-1): uint8 0 to 255 or float 0 to 1, to float32 0 to 1 of the same shape."""
    if colour.dtype == np.uint8:
        return _LINEAR_OF_BYTE[colour]
    colour = np.asarray(colour, dtype=np.float32)
    curved = ((np.maximum(colour, 0.0) + 0.055) / 1.055) ** 2.4
    return np.where(colour <= 0.04045, colour / 12.92, curved).astype(np.float32)


def linear_to_srgb(colour: np.ndarray) -> np.ndarray:
    """Linear light 0 to 1 to sRGB 0 to 1 (IEC 61966-2-1), clipped to that range: float32 of the same shape."""
    colour = np.clip(np.asarray(colour, dtype=np.float32), 0.0, 1.0)
    return np.where(colour <= 0.0031308, colour * 12.92, 1.055 * colour ** (1 / 2.4) - 0.055).astype(np.float32)


def linear_to_bytes(colour: np.ndarray) -> np.ndarray:
    """Linear light 0 to 1 to stored sRGB uint8, rounded."""
    return np.rint(linear_to_srgb(colour) * 255).astype(np.uint8)


_LINEAR_OF_BYTE = srgb_to_linear(np.arange(256, dtype=np.float32) / 255)
