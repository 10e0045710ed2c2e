"""How rough each place of the head is, 0 (a mirror) to 1, as `roughness` of glTF and the Principled shader means it.

Both square it to the width of the GGX lobe. That gloss differs from region to region of a face by as much as this was
measured by Weyrich et al., "Analysis of Human Faces using a Measurement-Based Skin Reflectance Model" (2006), on 149
people; the values here are this project's, chosen by looking at renders in raking light.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait_head.head_model.model import HeadModel
from portrait_head.texturing.shaping import step
from portrait_head.texturing.surface_fill import edge_laplacian, fill
from portrait_head.texturing.uv_raster import UvRaster


@dataclass(frozen=True)
class RoughnessConfig:
    """Roughness by place; the T-zone of forehead, nose and chin has most sebaceous glands, and is oiliest.

    Attributes:
        skin: cheeks, temples, neck.
        forehead, nose, chin: the T-zone.
        lips: moist, with fine lines.
        lids: thin skin that lies over the moist eye.
        lid_margin: the wet edge of the lids.
        brows, ears, scalp: hair and skin under hair scatter more.
        chin_half_width: metres to either side of the middle.
        hollow: how much rougher the bottom of the deepest pore is: oil lies on the ridges.
        cornea, sclera: the tear film over the iris is optically smooth; the conjunctiva beside it has fine folds.
        enamel, gum, tongue, cavity: all wet with saliva.
        hair: along strands; strand: how much it varies from strand to strand, which breaks highlights up.
    """

    skin: float = 0.56
    forehead: float = 0.49
    nose: float = 0.43
    chin: float = 0.50
    lips: float = 0.38
    lids: float = 0.48
    lid_margin: float = 0.25
    brows: float = 0.58
    ears: float = 0.54
    scalp: float = 0.60
    chin_half_width: float = 0.022
    hollow: float = 0.10
    cornea: float = 0.03
    sclera: float = 0.14
    enamel: float = 0.16
    gum: float = 0.24
    tongue: float = 0.34
    cavity: float = 0.30
    hair: float = 0.42
    strand: float = 0.12


SMOOTHNESS = 1.0  # of borders between regions: about an edge of the mesh to either side
LIP_SMOOTHNESS = 0.15


def skin_roughness(model: HeadModel, config: RoughnessConfig = RoughnessConfig()) -> np.ndarray:
    """[V] float32 of the skin's vertices; other parts have the skin's common value."""
    regions = model.regions
    value = np.full(len(model.vertices), config.skin)
    value[regions["scalp"]] = config.scalp
    value[regions["forehead"]] = config.forehead
    value[regions["nose"]] = config.nose
    face = regions["face"]
    below = model.vertices[face, 1] < model.vertices[regions["lips"], 1].min()
    value[face[below & (np.abs(model.vertices[face, 0]) < config.chin_half_width)]] = config.chin
    for side in ("left", "right"):
        value[regions[f"brow_{side}"]] = config.brows
        value[regions[f"ear_{side}"]] = config.ears
        for lid in ("upper", "lower"):
            value[regions[f"lid_{lid}_{side}"]] = config.lids
    laplacian = edge_laplacian(model.triangles(), len(value))
    even = np.ones(len(value))
    smooth = fill(laplacian, value[:, None], even, np.array([config.skin]), SMOOTHNESS)[:, 0]
    # Lips and the lids' edges have a border that is seen: they are laid over what has been smoothed.
    wet = np.zeros((len(value), 2))
    wet[regions["lips"], 0] = 1.0
    for side in ("left", "right"):
        wet[regions[f"eye_loop_{side}"], 1] = 1.0
        wet[regions[f"eye_socket_{side}"], 1] = 1.0
    amount = np.clip(fill(laplacian, wet, even, np.zeros(2), LIP_SMOOTHNESS), 0, 1)
    smooth += amount[:, 0] * (config.lips - smooth)
    return (smooth + amount[:, 1] * (config.lid_margin - smooth)).astype(np.float32)


def eye_roughness(angle: np.ndarray, iris: float, config: RoughnessConfig = RoughnessConfig()) -> np.ndarray:
    """[N] of places on the eyeball, `angle` [N] degrees from its axis; the cornea ends at `iris` degrees."""
    return config.cornea + (config.sclera - config.cornea) * step(angle, iris - 1.0, iris + 4.0)


def mouth_roughness(model: HeadModel, raster: UvRaster, config: RoughnessConfig = RoughnessConfig()) -> np.ndarray:
    """[N] float32 of the texels of teeth, gums, tongue and cavity."""
    quad = raster.triangle // 2
    height = raster.spread(model.vertices[:, 1])
    rough = np.full(len(quad), config.cavity, np.float32)
    for part in model.parts:
        mine = (quad >= part.faces[0]) & (quad < part.faces[1])
        if part.name == "tongue":
            rough[mine] = config.tongue
        elif part.name.startswith("teeth"):
            own = model.vertices[slice(*part.vertices), 1]
            share = (height[mine] - own.min()) / np.ptp(own)  # 0 at the lower edge
            crown = share if part.name == "teeth_upper" else 1 - share
            rough[mine] = config.enamel + (config.gum - config.enamel) * step(crown, 0.38, 0.50)
    return rough
