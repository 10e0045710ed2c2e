"""Stage 3: what the sculpting is guided by besides the photo itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait_head.geometry.surface import vertex_normals
from portrait_head.head_model import load_head_model
from portrait_head.progress import Progress
from portrait_head.rendering.raycast import RayCaster, visibility
from portrait_head.request import HeadRequest
from portrait_head.sculpting.head_solid import EYES, head_solid
from portrait_head.stages.fit import Fit
from portrait_head.stages.portrait import Portrait


@dataclass(frozen=True)
class Guide:
    """References in the photo's camera.

    Attributes:
        normals: [S, S, 3] float32 unit normals of the fitted head, camera space (x right, y up, z to the viewer), not
            encoded; zero where the head is not seen.
        depth: [S, S] float32 metres from the camera's plane, infinite where the head is not seen.
        face: [S, S] float32, 0 to 1, where that is the skin of the face and no ear, neck, scalp or open mouth.
        reference_normals: [S, S, 3] float32 as `normals`, of the person and not of the fit, from a model pack or from
            the user; zero where unknown; None where there are none.
        reference_depth: [S, S] float32 growing away from the viewer, in any unit and from any zero; infinite where
            unknown; None where there is none.
        warnings: sentences for the user.
    """

    normals: np.ndarray
    depth: np.ndarray
    face: np.ndarray
    reference_normals: np.ndarray | None = None
    reference_depth: np.ndarray | None = None
    warnings: tuple[str, ...] = ()


def run(request: HeadRequest, portrait: Portrait, fit: Fit, progress: Progress) -> Guide:
    """The embedded tier's references: normals and depth of the fitted head as the photo sees it."""
    model = load_head_model()
    skin = head_solid(model, fit.posed)
    eyes = [model.part(f"eye_{side}") for side in EYES]
    shown = np.concatenate([skin.triangles, *(model.triangles()[2 * e.faces[0] : 2 * e.faces[1]] for e in eyes)])
    is_face = np.zeros(len(model.vertices))
    is_face[model.regions["face"]] = 1.0
    hits = visibility(RayCaster(skin.vertices, shown), fit.camera)
    normals = hits.interpolate(vertex_normals(skin.vertices, shown), shown) @ fit.camera.rotation.T
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    normals = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)
    depth = -fit.camera.to_camera(hits.interpolate(skin.vertices, shown))[..., 2]
    face = hits.interpolate(skin.spread(is_face)[:, None], shown)[..., 0]
    progress(1.0)
    return Guide(
        normals.astype(np.float32), np.where(hits.hit, depth, np.inf).astype(np.float32), face.astype(np.float32)
    )
