"""kaolin's surface extractors, where the user installed kaolin: FlexiCubes, and marching tetrahedra to compare with.

Shen et al., "Flexible Isosurface Extraction for Gradient-Based Mesh Optimization" (2023). Nothing else imports kaolin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from portrait_head.errors import PortraitHeadError
from portrait_head.geometry.isosurface import Isosurface

# kaolin's order of a cube's corners and of its weights.
CUBE_CORNERS = ((0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1), (1, 1, 1))
EDGE_WEIGHTS, CORNER_WEIGHTS = 12, 8


def available() -> bool:
    """Whether kaolin can be imported."""
    try:
        _kaolin_conversions()
    except PortraitHeadError:
        return False
    return True


@dataclass(frozen=True)
class CubeGrid:
    """A box of cubes, numbered as kaolin does: x changes slowest.

    Attributes:
        vertices: [N, 3] float32 metres, the corners.
        cubes: [C, 8] int64 into `vertices`, in the order of `CUBE_CORNERS`.
        cells: how many cubes along each axis.
    """

    vertices: Tensor
    cubes: Tensor
    cells: tuple[int, int, int]

    @staticmethod
    def over(bounds: Tensor, resolution: int) -> CubeGrid:
        """The grid over a box [2, 3] in metres, `resolution` cubes along its longest side; it grows to whole cubes."""
        low, high = bounds.double()
        cell = float((high - low).max()) / resolution
        counts = ((high - low) / cell - 1e-4).ceil().long().cpu()  # float32 bounds must not add a cube to a side
        start = (low + high) / 2 - counts.to(low) * cell / 2
        x, y, z = counts.tolist()
        axes = [torch.arange(count + 1, device=bounds.device) for count in (x, y, z)]
        places = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
        strides = torch.tensor([(y + 1) * (z + 1), z + 1, 1], device=bounds.device)
        lowest = (places[:-1, :-1, :-1] * strides).sum(dim=-1).reshape(-1, 1)
        corners = (torch.tensor(CUBE_CORNERS, device=bounds.device) * strides).sum(dim=-1)
        return CubeGrid((start + cell * places.reshape(-1, 3)).float(), lowest + corners, (x, y, z))

    def crossed(self, sdf: Tensor) -> Tensor:
        """[V, 2] int64: the inner and the outer end of each edge whose ends a field [N] puts on different sides."""
        shape = [count + 1 for count in self.cells]
        inside = (sdf.detach() > 0).reshape(shape)
        number = torch.arange(len(sdf), device=sdf.device).reshape(shape)
        edges = []
        for axis in range(3):
            first, second = (number.narrow(axis, start, shape[axis] - 1) for start in (0, 1))
            sides = [inside.narrow(axis, start, shape[axis] - 1) for start in (0, 1)]
            differ = sides[0] != sides[1]
            ends = torch.stack([first[differ], second[differ]], dim=1)
            edges.append(torch.where(sides[0][differ][:, None], ends, ends.flip(1)))
        return torch.cat(edges)


class FlexiCubesExtractor:
    """FlexiCubes over a box, as a `SurfaceExtractor`.

    The surface lies a little inside of the box: edges on its walls carry no faces.
    """

    def __init__(self, bounds: Tensor, resolution: int) -> None:
        """Lay the cubes.

        Args:
            bounds: [2, 3] metres; its device is where everything happens.
            resolution: cubes along the longest side.

        Raises:
            PortraitHeadError: ``missing_package`` without kaolin.
        """
        self._flexicubes = _kaolin_conversions().FlexiCubes(device=bounds.device)
        self.grid = CubeGrid.over(bounds, resolution)
        # Zero is FlexiCubes' neutral weight: it squashes them by tanh and sigmoid.
        weights = EDGE_WEIGHTS + CORNER_WEIGHTS + 1
        self.weights = torch.zeros(len(self.grid.cubes), weights, device=bounds.device, requires_grad=True)

    @property
    def vertices(self) -> Tensor:
        """[N, 3] float32 metres."""
        return self.grid.vertices

    def parameters(self) -> list[Tensor]:
        """One tensor [C, 21]: weights of each cube's edges and corners, and of how its quadrilaterals are split."""
        return [self.weights]

    def around(self, sdf: Tensor) -> FlexiCubesField:
        """The whole grid: FlexiCubes itself passes over cubes that are not crossed."""
        return FlexiCubesField(torch.arange(len(sdf), device=sdf.device), self.grid, self.weights, self._flexicubes)


@dataclass(frozen=True)
class FlexiCubesField:
    """Every sample of a FlexiCubes grid, as an `ActiveField`.

    Attributes:
        vertices: [N] int64, all of them.
        grid: the cubes.
        weights: [C, 21] of the cubes.
        flexicubes: kaolin's extractor.
    """

    vertices: Tensor
    grid: CubeGrid
    weights: Tensor
    flexicubes: Any

    def needs_refresh(self, values: Tensor) -> bool:
        """Never: nothing is left out."""
        return False

    def extract(self, values: Tensor, deformation: Tensor) -> Isosurface:
        """The surface of values [N] and a deformation [N, 3], metres."""
        beta, alpha, gamma = self.weights.split([EDGE_WEIGHTS, CORNER_WEIGHTS, 1], dim=1)
        vertices, triangles, deviation = self.flexicubes(
            self.grid.vertices + deformation,
            -values,  # kaolin's fields are negative inside
            self.grid.cubes,
            list(self.grid.cells),
            beta=beta,
            alpha=alpha,
            gamma_f=gamma.squeeze(1),
            training=torch.is_grad_enabled(),
        )
        return Isosurface(vertices, triangles.int(), self.grid.crossed(values), deviation)


def kaolin_marching_tetrahedra(positions: Tensor, tets: Tensor, sdf: Tensor) -> tuple[Tensor, Tensor]:
    """kaolin's vertices [V, 3] and triangles [F, 3] for corners [N, 3], tetrahedra [T, 4] int64 and a field [N].

    With fields that are positive inside its triangles face inwards.

    Raises:
        PortraitHeadError: ``missing_package`` without kaolin.
    """
    vertices, triangles = _kaolin_conversions().marching_tetrahedra(positions[None], tets, sdf[None])
    return vertices[0], triangles[0]


def _kaolin_conversions() -> Any:
    try:
        from kaolin.ops import conversions
    except ImportError as error:
        raise PortraitHeadError(
            "missing_package",
            f"FlexiCubes needs kaolin 0.18 or newer, which cannot be imported ({error}).",
            "Install kaolin built for this version of torch, or choose marching tetrahedra.",
        ) from error
    return conversions
