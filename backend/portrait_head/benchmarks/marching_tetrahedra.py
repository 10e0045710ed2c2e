"""How much faster a band of tetrahedra that know their edges is than finding the unique edges at every step.

Both sides descend the same loss from the same field, a head-sized blob with a nose and hair that it has to grow. Timed
is what the method decides: extraction, its backward pass, and for the band also its tests and every time it is laid.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from portrait_head.geometry import flexicubes
from portrait_head.geometry.active_band import ActiveBand
from portrait_head.geometry.marching_tetrahedra import TRIANGLES
from portrait_head.geometry.tet_grid import RESOLUTIONS, TET_PAIRS, TetGrid
from portrait_head.threads import torch_threads

BOX = ((-0.13, -0.20, -0.14), (0.13, 0.16, 0.16))  # metres: a head with hair and a margin
ROUNDS, STEPS = 3, 8
TRAVEL = 0.1  # cells that a value moves a step at most, as with Adam at the rates that sculpting starts with
Extractor = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def measure(
    resolutions: Sequence[int] = (64, 128), threads: int = 1, rounds: int = ROUNDS, steps: int = STEPS
) -> Iterator[dict[str, Any]]:
    """Time the band against unique edges, and against kaolin's where it is installed.

    Args:
        resolutions: cells along the longest side of the box.
        threads: torch's, for all sides; one by default, because more of them measure the scheduler on a busy machine.
        rounds: how many means the median is taken of.
        steps: of each side in a round, in alternation, so that what else the machine does strikes both.

    Yields:
        A line a resolution: `seconds` a step for each side (the median of the rounds' means), `ratio` (reference over
        band), how often the band was laid, what was worked on and how far the sides' fields end apart in the mean.
    """
    with torch_threads(threads):
        _compare(TetGrid.over(torch.tensor(BOX), RESOLUTIONS[0]), 1, 1)  # what a process does once is not the method's
        for resolution in resolutions:
            grid = TetGrid.over(torch.tensor(BOX), resolution)
            yield {"resolution": resolution, **_compare(grid, rounds, steps)}


def unique_edges(positions: Tensor, tets: Tensor, sdf: Tensor) -> tuple[Tensor, Tensor]:
    """Marching tetrahedra as the paper tells it: find the crossed tetrahedra, sort out their edges, interpolate.

    Shen et al., "Deep Marching Tetrahedra" (2021), section 3.1.3.

    Args:
        positions: [N, 3] metres.
        tets: [T, 4] int64.
        sdf: [N] positive inside.

    Returns:
        Vertices [V, 3] metres and triangles [F, 3].
    """
    with torch.no_grad():
        inside = sdf > 0
        count = inside[tets].sum(dim=1)
        mixed = tets[(count > 0) & (count < 4)]
        pairs = mixed[:, torch.tensor(TET_PAIRS)].reshape(-1, 2).sort(dim=1).values
        edges, edge_of_pair = pairs.unique(dim=0, return_inverse=True)
        crossed = inside[edges[:, 0]] != inside[edges[:, 1]]
        vertex_of_edge = crossed.cumsum(dim=0) - 1
        case = (inside[mixed] * torch.tensor([1, 2, 4, 8])).sum(dim=1)
        table = torch.tensor(TRIANGLES)[case]
        vertices_of_tet = vertex_of_edge[edge_of_pair.reshape(-1, 6)]
        triangles = vertices_of_tet.gather(1, table.clamp(min=0)).reshape(-1, 3)[table.reshape(-1, 3)[:, 0] >= 0]
        first, second = edges[crossed].unbind(dim=1)
    share = (sdf[first] / (sdf[first] - sdf[second]))[:, None]
    return (1 - share) * positions[first] + share * positions[second], triangles


def _compare(grid: TetGrid, rounds: int, steps: int) -> dict[str, Any]:
    start = _head(grid.vertices, 0.09)
    tets = grid.tetrahedra.tets.long()
    band = _Band(grid, start)
    sides: dict[str, Any] = {"band": band, "unique_edges": _WholeGrid(grid, tets, start, unique_edges)}
    if flexicubes.available():
        sides["kaolin"] = _WholeGrid(grid, tets, start, flexicubes.kaolin_marching_tetrahedra)
    means: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(steps):
            for name, side in sides.items():
                seconds[name].append(side.step())
        for name, each in seconds.items():
            means[name].append(statistics.mean(each))
    took = {name: statistics.median(each) for name, each in means.items()}
    return {
        "ratio": round(took["unique_edges"] / took["band"], 1),
        "seconds": {name: round(value, 5) for name, value in took.items()},
        "bands_laid": band.laid,
        "steps": rounds * steps,
        "vertices": band.vertex_count,
        "tetrahedra": {"grid": len(tets), "band": len(band.active.tetrahedra.tets)},
        "fields_differ_by_cells": float((band.sdf - sides["unique_edges"].sdf.detach()).abs().mean()) / grid.cell,
        "device": f"cpu {platform.machine()}",
        "threads": torch.get_num_threads(),
    }


class _Band:
    """A descent in the band, laid again whenever its rim is reached."""

    def __init__(self, grid: TetGrid, sdf: Tensor) -> None:
        self.grid, self.sdf = grid, sdf.clone()
        self.laid = 0
        self.vertex_count = 0

    def step(self) -> float:
        started = time.perf_counter()
        if self.laid == 0 or self.active.needs_refresh(self.values):
            if self.laid:
                self.sdf[self.active.vertices] = self.values.detach()
            self.active = ActiveBand.around(self.grid, self.sdf)
            self.values = self.sdf[self.active.vertices].requires_grad_()
            self.deformation = torch.zeros(len(self.values), 3, requires_grad=True)
            self.laid += 1
        surface = self.active.extract(self.values, self.deformation)
        seconds = time.perf_counter() - started
        self.vertex_count = len(surface.vertices)
        seconds += _backward(surface.vertices, self.values, self.deformation)
        _descend(self.values, self.vertex_count, self.grid.cell)
        self.sdf[self.active.vertices] = self.values.detach()
        return seconds


class _WholeGrid:
    """A descent over every tetrahedron of the grid."""

    def __init__(self, grid: TetGrid, tets: Tensor, sdf: Tensor, extract: Extractor) -> None:
        self.grid, self.tets, self.extract = grid, tets, extract
        self.sdf = sdf.clone().requires_grad_()
        self.deformation = torch.zeros(len(sdf), 3, requires_grad=True)

    def step(self) -> float:
        started = time.perf_counter()
        vertices, _ = self.extract(self.grid.vertices + self.deformation, self.tets, self.sdf)
        seconds = time.perf_counter() - started
        seconds += _backward(vertices, self.sdf, self.deformation)
        _descend(self.sdf, len(vertices), self.grid.cell)
        return seconds


def _backward(vertices: Tensor, sdf: Tensor, deformation: Tensor) -> float:
    """Seconds of the backward pass for the mean squared distance to the head wanted, its gradient given beforehand."""
    wanted = vertices.detach().requires_grad_()
    (gradient,) = torch.autograd.grad((_head(wanted, 0.1) ** 2).mean(), wanted)
    sdf.grad = deformation.grad = None
    started = time.perf_counter()
    vertices.backward(gradient)
    return time.perf_counter() - started


def _descend(sdf: Tensor, vertex_count: int, cell: float) -> None:
    """One step down the gradient, a cell's share at most; the mean's gradient is taken per vertex."""
    assert sdf.grad is not None
    with torch.no_grad():
        sdf -= (sdf.grad * vertex_count).clamp(-TRAVEL * cell, TRAVEL * cell)


def _head(points: Tensor, radius: float) -> Tensor:
    """[...] metres, about the signed distance to a head with a nose and hair of points [..., 3]; positive inside."""
    skull = radius - ((points - points.new_tensor([0, -0.02, 0.01])) / points.new_tensor([0.8, 1.2, 1.0])).norm(dim=-1)
    nose = 0.02 - (points - points.new_tensor([0, -0.03, 0.115])).norm(dim=-1)
    waves = 0.004 * torch.sin(points[..., 0] * 150) * torch.sin(points[..., 1] * 150)
    return torch.maximum(skull + waves * (points[..., 1] > 0), nose)
