"""Stage 4: the surface of the head with its hair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait_head.geometry.hair import grow_hair
from portrait_head.geometry.hair_maps import Head
from portrait_head.geometry.hair_settings import HairSettings
from portrait_head.geometry.hair_view import look
from portrait_head.head_model import load_head_model
from portrait_head.head_model.model import HeadModel
from portrait_head.progress import Progress
from portrait_head.request import HeadRequest
from portrait_head.stages.fit import Fit
from portrait_head.stages.guide import Guide
from portrait_head.stages.portrait import Portrait

# MediaPipe's landmarks of eyes, nose and mouth: outer corners of the lids, the lids' edges under and over the pupils,
# root, tip and wings of the nose, corners of the mouth, both lips.
NEVER_HAIR = (33, 263, 159, 386, 145, 374, 168, 1, 129, 358, 61, 291, 0, 17)


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


def run(request: HeadRequest, portrait: Portrait, fit: Fit, guide: Guide, progress: Progress) -> Sculpt:
    """Lay the portrait's hair over the neutral head; a bare head where there is none or none can be told."""
    model = load_head_model()
    if request.hair == "none" or portrait.hair_style not in ("cropped", "volume"):
        return _bare(model)  # why the hair is unknown, the portrait stage has already said
    head = _head(model, fit.neutral)
    never_hair = portrait.landmarks[list(NEVER_HAIR), :2]
    view = look(fit.camera, fit.posed, head.skin, head.ears, portrait.hair, portrait.person, portrait.valid, never_hair)
    progress(0.3)
    generator = np.random.default_rng(request.seed)
    vertices, triangles, scalp = grow_hair(head, fit.posed, view, portrait.hair_style, HairSettings(), generator)
    progress(1.0)
    if len(triangles) == 0:
        return _bare(model, "No hair was found on the scalp: the head is left without.")
    return Sculpt(
        portrait.hair_style, vertices.astype(np.float32), triangles.astype(np.int32), scalp.astype(np.float32)
    )


def _bare(model: HeadModel, *warnings: str) -> Sculpt:
    return Sculpt(
        "none",
        np.empty((0, 3), np.float32),
        np.empty((0, 3), np.int32),
        np.zeros(len(model.vertices), np.float32),
        warnings,
    )


def _head(model: HeadModel, vertices: np.ndarray) -> Head:
    skin = model.part("skin")
    scalp = np.zeros(len(vertices))
    scalp[model.regions["scalp"]] = 1.0
    return Head(
        vertices=vertices,
        skin=model.triangles()[2 * skin.faces[0] : 2 * skin.faces[1]],
        ears=np.concatenate([model.regions["ear_left"], model.regions["ear_right"]]),
        scalp=scalp,
        eyes=np.concatenate([np.arange(*model.part(f"eye_{side}").vertices) for side in ("left", "right")]),
        rim=model.regions["rim"],
    )
