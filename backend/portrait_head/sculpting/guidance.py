"""Where a judge of other views, such as score distillation, plugs into the sculpting."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from portrait_head.rendering.orbit import OrbitView
from portrait_head.sculpting.views import View


class ViewGuidance(Protocol):
    """Says how a view of the head should differ."""

    def __call__(self, orbit: OrbitView, view: View, step: float) -> Tensor:
        """A scalar loss whose gradient carries into the view.

        Args:
            orbit: the camera and its angles round the head.
            view: normals in the space of that camera, depth and mask; encode normals as (n + 1) / 2 where a model
                wants colours.
            step: 0 to 1, how much of the refining is done.
        """
        ...
