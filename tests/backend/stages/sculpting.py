"""Running the sculpt stage on a drawn portrait."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from portrait_head.head_model import load_head_model
from portrait_head.progress import Progress
from portrait_head.request import HeadRequest
from portrait_head.sculpting.config import GridConfig, SculptConfig
from portrait_head.stages import guide
from portrait_head.stages import sculpt as stage
from portrait_head.stages.sculpt import Sculpt

from tests.backend.geometry.drawn_hair import Drawing

COARSE = SculptConfig(grid=GridConfig(resolution=48), image_size=96, settle_steps=0, refine_steps=6, check_every=3)


@dataclass(frozen=True)
class Laid:
    """Hair as it is laid over the head before anything is carved; the fields are those of `Sculpt`."""

    style: str
    hair_vertices: np.ndarray
    hair_triangles: np.ndarray
    scalp: np.ndarray


def lay_hair(drawing: Drawing, request: HeadRequest | None = None, **changes: Any) -> Laid:
    """The stage's first part alone; `changes` replace fields of the drawn portrait."""
    request = request or HeadRequest(photos=("drawn.png",))
    grown = stage.grow_hair(load_head_model(), request, replace(drawing.portrait, **changes), drawing.fit)
    vertices, triangles = grown.vertices.astype(np.float32), grown.triangles.astype(np.int32)
    return Laid(grown.style, vertices, triangles, grown.scalp)


def sculpt(drawing: Drawing, request: HeadRequest | None = None, **changes: Any) -> Sculpt:
    """The stage's result on a coarse grid; `changes` replace fields of the drawn portrait."""
    request = request or HeadRequest(photos=("drawn.png",))
    portrait = replace(drawing.portrait, **changes)
    guided = guide.run(request, portrait, drawing.fit, Progress())
    return stage.run(request, portrait, drawing.fit, guided, Progress(), COARSE)
