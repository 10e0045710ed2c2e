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
from portrait_head.texturing.neck_cap import neck_cap
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
    restyle: bool = False,
) -> Texture:
    """Paint the skin of the head at rest view after view, beside eyes, mouth and hair as they are.

    Args:
        texture: as the embedded tier paints it; its completion is what the painting starts from.
        fit: the head, and the photo's camera, whose view the refinement holds to.
        sculpt: the hair that hides skin, and what it made of the head.
        prior: completes and restores views.
        config: how many views, and how they are brought together.
        seed: of everything random.
        device: of rendering, "cpu" or "cuda".
        progress: told how far it is.
        restyle: paint what the photo saw as well, for a style that the photo does not have (ID-Sculpt, section 4.5).

    Returns:
        The texture with another skin, every texel of it coloured; its confidence is that of the photo or of the
        painted view that saw a texel best, 0 where no view did and the colour follows the neighbours'.
    """
    if restyle:
        texture = replace(texture, confidence=np.zeros_like(texture.confidence))
    surfaces = paint_surfaces(texture, sculpt.refine(fit).neutral, sculpt)
    painted = paint_with_prior(surfaces, prior, config, seed, progress, device, fit.camera)[0]
    raster = surfaces[0].raster
    assert painted is not None and raster is not None  # the skin has one
    return replace(texture, skin=_bytes(painted.texture), confidence=_bytes(raster.sparse_image(painted.confidence)))


def paint_surfaces(texture: Texture, vertices: np.ndarray, sculpt: Sculpt) -> tuple[PaintSurface, ...]:
    """The skin, which is painted, and what is only shown with it: eyes, mouth, a lid on the neck, and hair.

    Args:
        texture: all colours as they are, and how well the photo saw the skin.
        vertices: [V, 3] metres, of the head at rest.
        sculpt: the hair.
    """
    model = load_head_model()
    raster = head_raster("skin", len(texture.skin))
    seen = raster.flat(texture.confidence.astype(np.float32) / BYTE)
    skin = replace(_surface(model, vertices, "skin", texture.skin), raster=raster, confidence=seen)
    shown = [_surface(model, vertices, "eyes", texture.eyes), _surface(model, vertices, "mouth", texture.mouth)]
    shown.append(neck_cap(model, vertices, raster, raster.flat(skin.texture)))
    if len(sculpt.hair_triangles):
        hair = texture.hair[..., :3].astype(np.float32) / BYTE
        shown.append(PaintSurface(sculpt.hair_vertices, sculpt.hair_triangles, texture.hair_uvs, hair))
    return skin, *shown


def _surface(model: HeadModel, vertices: np.ndarray, material: str, texture: np.ndarray) -> PaintSurface:
    """All parts of the head that wear one material."""
    parts = [part for part in model.parts if part.material == material]
    rows = np.concatenate([np.arange(2 * part.faces[0], 2 * part.faces[1]) for part in parts])
    uvs = model.uvs[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3, 2)[rows]
    return PaintSurface(vertices, model.triangles()[rows], uvs, texture.astype(np.float32) / BYTE)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 1) * BYTE).astype(np.uint8)
