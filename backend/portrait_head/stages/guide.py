"""Stage 3: what the sculpting is guided by besides the photo itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait_head.geometry.surface import vertex_normals
from portrait_head.head_model import load_head_model
from portrait_head.progress import Progress
from portrait_head.rendering.raycast import RayCaster, visibility
from portrait_head.request import HeadRequest
from portrait_head.stages.fit import Fit
from portrait_head.stages.portrait import Portrait


@dataclass(frozen=True)
class Guide:
    """References in the photo's camera.

    Attributes:
        normals: [S, S, 3] float32 unit normals of the fitted head, camera space (x right, y up, z to the viewer), not
            encoded; zero where the head is not seen.
        depth: [S, S] float32 metres from the camera's plane, infinite where the head is not seen.
        warnings: sentences for the user.
    """

    normals: np.ndarray
    depth: np.ndarray
    warnings: tuple[str, ...] = ()


def run(request: HeadRequest, portrait: Portrait, fit: Fit, progress: Progress) -> Guide:
    """The embedded tier's references: normals and depth of the fitted head as the photo sees it."""
    triangles = load_head_model().triangles()
    hits = visibility(RayCaster(fit.posed, triangles), fit.camera)
    normals = hits.interpolate(vertex_normals(fit.posed, triangles), triangles) @ fit.camera.rotation.T
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    normals = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)
    depth = -fit.camera.to_camera(hits.interpolate(fit.posed, triangles))[..., 2]
    progress(1.0)
    return Guide(normals.astype(np.float32), np.where(hits.hit, depth, np.inf).astype(np.float32))
