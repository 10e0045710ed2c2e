"""The head model in known textures, and painters that know them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from portrait_head.head_model import load_head_model
from portrait_head.texturing.painted_scene import PaintSurface, Scene
from portrait_head.texturing.uv_raster import UvRaster, head_raster
from portrait_head.texturing.view_painting import ViewToPaint
from torch import Tensor

GREY = 0.5


def colour_of_place(points: np.ndarray) -> np.ndarray:
    """sRGB [N, 3] in 0.1 to 0.9 of points [N, 3] metres: waves of 12 to 40 mm, which know of no UV seam."""
    random = np.random.default_rng(7)
    waves = np.zeros((len(points), 3))
    for _ in range(12):
        direction = random.standard_normal(3)
        direction *= 2 * np.pi / random.uniform(0.012, 0.04) / np.linalg.norm(direction)
        waves += np.sin(points @ direction[:, None] + random.uniform(0, 2 * np.pi, 3)) * random.uniform(0.5, 1, 3)
    return (0.5 + 0.4 * np.tanh(waves / 3)).astype(np.float32)


def true_texture(raster: UvRaster) -> np.ndarray:
    """[H, W, 3] of the skin."""
    return raster.image(colour_of_place(raster.spread(load_head_model().vertices)))


def surfaces(size: int, texture: np.ndarray, confidence: np.ndarray | None = None) -> tuple[PaintSurface, ...]:
    """The skin in a texture, to be painted, and eyes and mouth in grey, to be shown."""
    model = load_head_model()
    uvs = model.uvs[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3, 2)

    def rows(*materials: str) -> np.ndarray:
        parts = [part for part in model.parts if part.material in materials]
        return np.concatenate([np.arange(2 * part.faces[0], 2 * part.faces[1]) for part in parts])

    skin, rest = rows("skin"), rows("eyes", "mouth")
    plain = np.full((4, 4, 3), GREY, np.float32)
    return (
        PaintSurface(
            model.vertices, model.triangles()[skin], uvs[skin], texture, head_raster("skin", size), confidence
        ),
        PaintSurface(model.vertices, model.triangles()[rest], uvs[rest], plain),
    )


@dataclass
class Oracle:
    """Paints any view as it really is, or in one colour, and remembers what it was asked for."""

    truth: Scene
    asked: list[ViewToPaint] = field(default_factory=list)

    def paint(self, view: ViewToPaint, generator: torch.Generator) -> Tensor:
        self.asked.append(view)
        return self.truth.render(self.truth.look(view.camera), self.truth.textures, GREY)


def decibels(found: np.ndarray, wanted: np.ndarray) -> float:
    """Peak signal to noise ratio of colours in 0 to 1."""
    return float(-10 * np.log10(((found - wanted) ** 2).mean()))
