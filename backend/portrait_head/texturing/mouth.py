"""Teeth, gums, tongue and the cavity of the mouth: painted, since a photo shows them by accident at most."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from portrait_head.head_model.model import HeadModel
from portrait_head.texturing.noise import band_noise, triplanar
from portrait_head.texturing.shaping import mix, step
from portrait_head.texturing.uv_raster import UvRaster


@dataclass(frozen=True)
class MouthConfig:
    """Colours are linear RGB; tooth widths are millimetres from the midline outwards (Ash, Dental Anatomy)."""

    enamel: tuple[float, float, float] = (0.84, 0.79, 0.69)
    dentine: tuple[float, float, float] = (0.72, 0.62, 0.46)  # shines through towards the gum
    tip: tuple[float, float, float] = (0.78, 0.76, 0.71)  # enamel alone at the biting edge
    gap: tuple[float, float, float] = (0.13, 0.055, 0.035)
    gum: tuple[float, float, float] = (0.42, 0.13, 0.12)
    tongue: tuple[float, float, float] = (0.40, 0.12, 0.115)
    cavity: tuple[float, float, float] = (0.20, 0.045, 0.04)
    throat: tuple[float, float, float] = (0.035, 0.008, 0.008)
    upper_widths: tuple[float, ...] = (8.5, 6.5, 7.6, 7.1, 6.6, 10.4, 9.8)
    lower_widths: tuple[float, ...] = (5.3, 5.7, 6.8, 7.0, 7.1, 11.4, 10.8)
    crown: float = 0.53  # share of the strip's height that is crown; the rest is gum
    scallop: float = 0.09  # how far the gum climbs between the teeth, as a share of the height


def paint_mouth(model: HeadModel, raster: UvRaster, seed: int, config: MouthConfig = MouthConfig()) -> np.ndarray:
    """Linear base colour [S, S, 3] float32 of teeth, tongue and cavity.

    Args:
        model: gives their shapes at rest.
        raster: of the material `mouth`.
        seed: of the small variations.
    """
    points = raster.spread(model.vertices)
    quad = raster.triangle // 2
    noise = band_noise(256, (4.0, 200.0), seed)[..., None]
    bumps = band_noise(256, (3.0, 12.0), seed + 1)[..., None]
    colour = np.zeros((len(points), 3), np.float32)
    for part in model.parts:
        if part.material != "mouth":
            continue
        mine = (quad >= part.faces[0]) & (quad < part.faces[1])
        vertices = model.vertices[slice(*part.vertices)]
        mottle = triplanar(noise, points[mine], np.ones((int(mine.sum()), 3)), 0.04)[:, 0]
        if part.name.startswith("teeth"):
            upper = part.name == "teeth_upper"
            colour[mine] = _teeth(points[mine], vertices, upper, mottle, config)
        elif part.name == "tongue":
            papillae = triplanar(bumps, points[mine], np.ones((int(mine.sum()), 3)), 0.03)[:, 0]
            colour[mine] = _tongue(points[mine], vertices, mottle, papillae, config)
        else:
            colour[mine] = _cavity(points[mine], vertices, mottle, config)
    return raster.image(np.clip(colour, 0.002, 1.0))


def arch_length(points: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Metres [N] along the dental arch from the midline (unsigned) of points near a strip of teeth."""
    outer = _arch(vertices)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(outer, axis=0), axis=1))])
    place = np.stack([np.abs(points[:, 0]), points[:, 2]], axis=1)
    best = np.full(len(points), np.inf)
    length = np.zeros(len(points))
    for start, end, base, stop in zip(outer[:-1], outer[1:], along[:-1], along[1:], strict=True):
        edge = end - start
        t = np.clip((place - start) @ edge / (edge @ edge), 0.0, 1.0)
        distance = np.linalg.norm(place - start - t[:, None] * edge, axis=1)
        nearer = distance < best
        best[nearer] = distance[nearer]
        length[nearer] = (base + t * (stop - base))[nearer]
    return length


def _arch(vertices: np.ndarray) -> np.ndarray:
    """The outer border of the strip seen from above, from the midline backwards: [P, 2] (|x|, z) metres."""
    place = np.stack([np.abs(vertices[:, 0]), vertices[:, 2]], axis=1)
    centre = np.array([0.0, place[:, 1].min()])
    angle = np.arctan2(place[:, 0], place[:, 1] - centre[1])
    radius = np.linalg.norm(place - centre, axis=1)
    bins = np.linspace(0.0, np.pi / 2, 13)
    border = [
        place[near][np.argmax(radius[near])]
        for low, high in pairwise(bins)
        if (near := np.flatnonzero((angle >= low - 1e-6) & (angle <= high + 1e-6))).size
    ]
    border[0] = np.array([0.0, place[:, 1].max()])
    return np.array(border)


def _teeth(
    points: np.ndarray, vertices: np.ndarray, upper: bool, mottle: np.ndarray, config: MouthConfig
) -> np.ndarray:
    widths = np.array(config.upper_widths if upper else config.lower_widths) * 1e-3
    arch = _arch(vertices)
    whole = np.linalg.norm(np.diff(arch, axis=0), axis=1).sum()
    edges = np.concatenate([[0.0], np.cumsum(widths)]) * min(whole / widths.sum(), 1.15)
    length = arch_length(points, vertices)
    tooth = np.clip(np.searchsorted(edges, length, side="right") - 1, 0, len(widths) - 1)
    within = np.clip((length - edges[tooth]) / (edges[tooth + 1] - edges[tooth]), 0.0, 1.0)
    low, high = vertices[:, 1].min(), vertices[:, 1].max()
    height = (points[:, 1] - low) / (high - low)
    if not upper:
        height = 1.0 - height  # 0 at the biting edge, 1 at the root

    # Shade differs a little from tooth to tooth and canines are darker, or the row looks like a gum shield.
    shade = 1.0 - 0.05 * (tooth == 2) - 0.018 * tooth + 0.012 * np.sin(tooth * 5.1 + np.sign(points[:, 0]) * 1.3)
    crown = mix(np.array(config.tip), np.array(config.enamel), step(height, 0.0, 0.16))
    crown = mix(crown, np.array(config.dentine), 0.75 * step(height, 0.16, config.crown))
    crown = crown * (shade * (1 + 0.012 * mottle))[:, None]
    centred = np.abs(within - 0.5) * 2
    crown = crown * (1 - 0.10 * step(centred, 0.35, 1.0))[:, None]  # the curve of the crown turns from the light
    # Gaps widen towards the biting edge, where corners are round.
    width = (edges[tooth + 1] - edges[tooth]) * 0.5
    from_edge = (1 - centred) * width
    gap_width = 0.00022 + 0.00042 * (1 - step(height, 0.0, 0.12))
    crown = mix(crown, np.array(config.gap), 0.85 * (1 - step(from_edge, gap_width * 0.4, gap_width * 1.9)))

    line = config.crown - config.scallop * (centred**2)
    gum = np.array(config.gum) * (1 + 0.05 * mottle - 0.22 * step(height, 0.6, 1.0))[:, None]
    gum = gum * (1 + 0.10 * (1 - centred))[:, None]
    edge = step(height, line - 0.018, line + 0.018)
    shadow = 1 - 0.25 * np.exp(-(((height - line) / 0.03) ** 2))
    # Cheeks and lips keep the light from the back teeth; a flat white one there looks like a chip of paper.
    shadow *= 1 - 0.62 * step(vertices[:, 2].max() - points[:, 2], 0.008, 0.024)
    return mix(crown, gum, edge) * shadow[:, None]


def _tongue(
    points: np.ndarray, vertices: np.ndarray, mottle: np.ndarray, papillae: np.ndarray, config: MouthConfig
) -> np.ndarray:
    back, front = vertices[:, 2].min(), vertices[:, 2].max()
    forward = (points[:, 2] - back) / (front - back)
    top = step(points[:, 1], float(np.percentile(vertices[:, 1], 30)), float(np.percentile(vertices[:, 1], 80)))
    base = mix(np.array(config.tongue) * 0.8, np.array(config.tongue) * [1.08, 1.35, 1.3], top)  # pale coat on top
    base = base * (0.25 + 0.75 * step(forward, 0.05, 0.75))[:, None]
    groove = 1 - 0.28 * np.exp(-((points[:, 0] / 0.0011) ** 2)) * top
    return base * (groove * (1 + 0.05 * mottle + 0.06 * papillae * top))[:, None]


def _cavity(points: np.ndarray, vertices: np.ndarray, mottle: np.ndarray, config: MouthConfig) -> np.ndarray:
    back, front = vertices[:, 2].min(), vertices[:, 2].max()
    inward = step((front - points[:, 2]) / (front - back), 0.05, 0.55)
    wet = np.array(config.cavity) * (1 + 0.10 * mottle)[:, None]
    return mix(wet, np.array(config.throat), inward)
