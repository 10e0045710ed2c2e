"""How well a head agrees with the references of the photo's view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from portrait_head.geometry.surface import vertex_normals
from portrait_head.rendering.raycast import RayCaster, visibility
from portrait_head.sculpting.losses import depth_error
from portrait_head.sculpting.references import NEAR, Reference


@dataclass(frozen=True)
class Disagreement:
    """Attributes:
    normals: mean of one minus the cosine to the references' normals.
    depth: metres, root of the mean squared distance from the references' depth at its best scale and shift.
    """

    normals: float
    depth: float

    def less_than(self, other: Disagreement) -> bool:
        """Whether both are smaller than another head's."""
        return self.normals < other.normals and self.depth < other.depth


def disagreement(reference: Reference, vertices: np.ndarray, triangles: np.ndarray) -> Disagreement:
    """Compare a head's skin, vertices [V, 3] metres and triangles [T, 3], where the references are trusted.

    Pixels where there is no skin near the fitted head's are left out (eyes, a parted mouth). Without any both are
    infinite.
    """
    camera = reference.camera
    hits = visibility(RayCaster(vertices, triangles), camera)
    depth = -camera.to_camera(hits.interpolate(vertices, triangles))[..., 2]
    rows = np.flatnonzero((hits.hit & (reference.weight > 0) & (np.abs(depth - reference.near) < NEAR)).ravel())
    if len(rows) == 0:
        return Disagreement(np.inf, np.inf)
    weight = reference.weight.ravel()[rows]
    normals = hits.interpolate(vertex_normals(vertices, triangles), triangles).reshape(-1, 3)[rows] @ camera.rotation.T
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    cosine = np.einsum("nk,nk->n", normals, reference.normals.reshape(-1, 3)[rows])
    trusted = torch.from_numpy(weight.astype(np.float64))
    wanted = torch.from_numpy(reference.depth.ravel()[rows].astype(np.float64))
    apart = depth_error(torch.from_numpy(depth.ravel()[rows]), wanted, trusted).numpy()
    return Disagreement(
        float(np.average(1 - cosine, weights=weight)), float(np.sqrt(np.average(apart, weights=weight)))
    )
