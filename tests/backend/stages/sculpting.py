"""Running the sculpt stage on a drawn portrait."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from portrait_head.progress import Progress
from portrait_head.request import HeadRequest
from portrait_head.stages import guide
from portrait_head.stages import sculpt as stage
from portrait_head.stages.sculpt import Sculpt

from tests.backend.geometry.drawn_hair import Drawing


def sculpt(drawing: Drawing, request: HeadRequest | None = None, **changes: Any) -> Sculpt:
    """The stage's result; `changes` replace fields of the drawn portrait."""
    request = request or HeadRequest(photos=("drawn.png",))
    portrait = replace(drawing.portrait, **changes)
    guided = guide.run(request, portrait, drawing.fit, Progress())
    return stage.run(request, portrait, drawing.fit, guided, Progress())
