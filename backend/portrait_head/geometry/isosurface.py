"""What sculpting needs of a way to turn a field into a surface, whichever it is.

active = extractor.around(sdf)
values, deformation = sdf[active.vertices], ...     # what is optimised; the field elsewhere stays as it is
each step:
    if active.needs_refresh(values):
        sdf[active.vertices] = values               # and lay it anew, moments of the optimiser likewise
        active = extractor.around(sdf)
    surface = active.extract(values, deformation)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Isosurface:
    """A surface with gradients to the field and deformation that made it.

    Attributes:
        vertices: [V, 3] metres.
        triangles: [F, 3] int32, counter-clockwise seen from outside.
        crossed: [C, 2] int64, the active vertices at the inner and the outer end of each edge that the surface crosses.
        deviation: [D] metres to be kept small, how unevenly vertices lie among their crossings (Shen et al., "Flexible
            Isosurface Extraction", 2023, equation 8); [0] where that means nothing.
    """

    vertices: Tensor
    triangles: Tensor
    crossed: Tensor
    deviation: Tensor


class ActiveField(Protocol):
    """The part of a field that a surface can reach for now."""

    @property
    def vertices(self) -> Tensor:
        """[M] int64, ascending: the samples of the field that matter."""
        ...

    def needs_refresh(self, values: Tensor) -> bool:
        """Whether other samples may matter by now, for values [M] at `vertices`."""
        ...

    def extract(self, values: Tensor, deformation: Tensor) -> Isosurface:
        """The surface where values [M] vanish, positive inside, with samples moved by a deformation [M, 3], metres."""
        ...


class SurfaceExtractor(Protocol):
    """A lattice of samples, and a rule that makes a surface of values there."""

    @property
    def vertices(self) -> Tensor:
        """[N, 3] float32 metres, where the field is sampled."""
        ...

    def parameters(self) -> list[Tensor]:
        """Tensors of the rule itself to optimise along with field and deformation; often none."""
        ...

    def around(self, sdf: Tensor) -> ActiveField:
        """What to work on for a field [N], positive inside."""
        ...
