"""How second-order spherical harmonics change with the normal."""

from __future__ import annotations

import numpy as np

from portrait_head.rendering.lighting import sh_basis


def sh_gradient(normals: np.ndarray) -> np.ndarray:
    """[..., 9, 3] derivative of `sh_basis` by the normal's coordinates, at unit normals [..., 3].

    The harmonics are polynomials of degree two, whose central differences are exact.
    """
    step = np.eye(3) * 0.5
    return np.stack([sh_basis(normals + offset) - sh_basis(normals - offset) for offset in step], axis=-1)
