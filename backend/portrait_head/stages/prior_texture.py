"""Stage 5 in the diffusion tier: what the photo did not see of the skin is painted by the models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from portrait_head.head_model import load_head_model
from portrait_head.head_model.model import HeadModel
from portrait_head.progress import Progress
from portrait_head.stages.fit import Fit
from portrait_head.stages.sculpt import Sculpt
from portrait_head.stages.texture import Texture
from portrait_head.texturing.painted_scene import PaintSurface
from portrait_head.texturing.prior_painting import PriorPaintingConfig, TexturePrior, paint_with_prior
from portrait_head.texturing.uv_raster import head_raster

BYTE = np.float32(255)


def run(
    texture: Texture,
    fit: Fit,
    sculpt: Sculpt,
    prior: TexturePrior,
    config: PriorPaintingConfig,
    seed: int,
    device: str,
    progress: Progress,
) -> Texture:
    """Paint the skin of the head at rest view after view, beside eyes, mouth and hair as they are.

    Args:
        texture: as the embedded tier paints it; its completion is what the painting starts from.
        fit: the head.
        sculpt: the hair that hides skin.
        prior: completes and restores views.
        config: how many views, and how they are brought together.
        seed: of everything random.
        device: of rendering, "cpu" or "cuda".
        progress: told how far it is.
    """
    model = load_head_model()
    raster = head_raster("skin", len(texture.skin))
    seen = texture.confidence.astype(np.float32) / BYTE
    skin = replace(_surface(model, fit.neutral, "skin", texture.skin), raster=raster, confidence=raster.flat(seen))
    shown = [_surface(model, fit.neutral, "eyes", texture.eyes), _surface(model, fit.neutral, "mouth", texture.mouth)]
    if len(sculpt.hair_triangles):
        hair = texture.hair[..., :3].astype(np.float32) / BYTE
        shown.append(PaintSurface(sculpt.hair_vertices, sculpt.hair_triangles, texture.hair_uvs, hair))
    painted = paint_with_prior((skin, *shown), prior, config, seed, progress, device)[0]
    assert painted is not None  # the skin has a raster
    return replace(texture, skin=_bytes(painted.texture), confidence=_bytes(raster.sparse_image(painted.confidence)))


def _surface(model: HeadModel, vertices: np.ndarray, material: str, texture: np.ndarray) -> PaintSurface:
    """All parts of the head that wear one material."""
    parts = [part for part in model.parts if part.material == material]
    rows = np.concatenate([np.arange(2 * part.faces[0], 2 * part.faces[1]) for part in parts])
    uvs = model.uvs[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3, 2)[rows]
    return PaintSurface(vertices, model.triangles()[rows], uvs, texture.astype(np.float32) / BYTE)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 1) * BYTE).astype(np.uint8)
