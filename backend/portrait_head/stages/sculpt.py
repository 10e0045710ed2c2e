"""Stage 4: the surface of the head with its hair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sculpt:
    """The hair over the fitted head.

    Attributes:
        style: "none", "cropped" (a thin shell) or "volume".
        hair_vertices: [N, 3] float32 metres, head space; N = 0 where there is no hair mesh.
        hair_triangles: [M, 3] int32, outward.
        scalp: [V] float32, 0 to 1 for each vertex of the head: how much hair grows there.
        warnings: sentences for the user.
    """

    style: str
    hair_vertices: np.ndarray
    hair_triangles: np.ndarray
    scalp: np.ndarray
    warnings: tuple[str, ...] = ()
