"""What is optimised: a grid bent by displacements on lattices of falling spacing, and signed distances in it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from portrait_head.geometry.active_band import ActiveBand
from portrait_head.geometry.marching_tetrahedra import TetSurface, marching_tetrahedra
from portrait_head.geometry.tet_grid import TetGrid
from portrait_head.sculpting.adam import BandParameter
from portrait_head.sculpting.config import FieldConfig
from portrait_head.sculpting.start import Depth

NEAR = 0.75  # cells from the surface within which a finer grid asks the body itself; its edges are half a cell long


@dataclass(frozen=True)
class FieldState:
    """What an optimisation has found.

    Attributes:
        lattices: of each [1, 3, D, H, W] metres, the displacements on it.
        offsets: [N] metres by which signed distances depart from the first.
        shifts: [N, 3] metres by which the vertices themselves are moved.
    """

    lattices: tuple[Tensor, ...]
    offsets: Tensor
    shifts: Tensor


class SurfaceField:
    """Signed distances and deformations of a grid's vertices, evaluated in a band around the surface.

    Displacements on coarse lattices bend the grid, and with it the surface, smoothly over several centimetres, so that
    what an outline tells reaches the surface on both sides of it. They carry thin things such as ears along, where
    offsets of the signed distance would thicken them. What is left goes to the vertices themselves, as in DMTet.

    Args:
        grid: of tetrahedra.
        first: [N] metres, positive inside, what to begin with.
        reach: metres by which a signed distance may change.
        config: spacings and steps.
        pliancy: [N] 0 to 1, the share of the lattices' displacement that each vertex takes.
    """

    def __init__(self, grid: TetGrid, first: Tensor, reach: float, config: FieldConfig, pliancy: Tensor) -> None:
        self._grid, self._first, self._reach, self._config, self._pliancy = grid, first, reach, config, pliancy
        self._freedom = grid.wall_freedom()
        self._low, high = grid.bounds.float().to(grid.device)
        self._lattices: list[BandParameter] = []
        self._spans: list[Tensor] = []
        for spacing in config.spacings:
            counts = ((high - self._low) / spacing).ceil().long() + 1
            self._spans.append(spacing * (counts - 1))
            # `grid_sample` wants depth, height, width for z, y, x.
            lattice = BandParameter((1, 3, *counts.flip(0).tolist()), grid.device)
            lattice.activate(torch.zeros(1, dtype=torch.int64, device=grid.device))
            self._lattices.append(lattice)
        self._offsets = BandParameter((grid.vertex_count,), grid.device)
        self._shifts = BandParameter((grid.vertex_count, 3), grid.device)
        self.lay_band()

    def lay_band(self) -> None:
        """Find the tetrahedra that the surface crosses now or may cross next, and look at them alone."""
        self._offsets.store()
        self._shifts.store()
        self.band = ActiveBand.around(self._grid, self._everywhere(), self._config.band_hops)
        vertices = self.band.vertices
        self._offsets.activate(vertices)
        self._shifts.activate(vertices)
        self._places = self._in_lattices(self.band.tetrahedra.vertices)
        self._part_first = self._first.index_select(0, vertices)
        self._part_pliancy = self._pliancy.index_select(0, vertices)[:, None]
        self._part_freedom = self._freedom.index_select(0, vertices) * (
            self._config.deformation_reach * self._grid.cell
        )

    def evaluate(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """For the band's M vertices, metres.

        Returns:
            signed distance [M]; how the vertices are moved [M, 3]; the part of that which the lattices move [M, 3];
            the part which the vertices themselves move [M, 3]; how the signed distance departs from the first [M].
        """
        departure = self._offsets.active.clamp(-self._reach, self._reach)
        bend = self._part_pliancy * _displacement(tuple(lattice.active for lattice in self._lattices), self._places)
        shift = torch.tanh(self._shifts.active) * self._part_freedom
        return self._part_first + departure, bend + shift, bend, shift, departure

    def step(self, scale: float, bending: bool = True) -> None:
        """One step of Adam, `scale` times as long as configured, and no gradients after it; lattices rest if told."""
        config = self._config
        for lattice, rate in zip(self._lattices, config.lattice_step, strict=True):
            lattice.step(rate * scale * bending, config.betas, config.floor)
        self._offsets.step(config.vertex_step * scale, config.betas, config.floor)
        self._shifts.step(config.deformation_step * scale, config.betas, config.floor)

    @torch.no_grad()
    def state(self) -> FieldState:
        """What has been found so far, as a copy."""
        self._offsets.store()
        self._shifts.store()
        reach = self._config.deformation_reach * self._grid.cell
        return FieldState(
            tuple(lattice.active.detach().clone() for lattice in self._lattices),
            self._offsets.whole.clamp(-self._reach, self._reach),
            torch.tanh(self._shifts.whole) * self._freedom * reach,
        )

    @torch.no_grad()
    def surface(self, state: FieldState, settled: FieldState, depth: Depth) -> TetSurface:
        """The surface of a state; if the cells are coarse on a grid of half the cell, from the exact body.

        What the first phase found is how samples far apart are best set to show that body; the body itself needs
        none of it, so only what came later is added.

        Args:
            state: what is extracted.
            settled: the state at the end of the first phase.
            depth: of the body begun with.
        """
        grid = self._grid
        if grid.cell <= self._config.fine_cell:
            band = ActiveBand.around(grid, self._first + state.offsets, hops=0)
            sdf, pliancy, shifts = (
                values.index_select(0, band.vertices)
                for values in (self._first + state.offsets, self._pliancy, state.shifts)
            )
        else:
            finer, moved = grid.finer(), (state.offsets - settled.offsets)[:, None]
            whole = grid.interpolate(self._first[:, None] + moved, finer.vertices)[:, 0]
            near = (whole.abs() < NEAR * grid.cell).nonzero().squeeze(1)
            places = finer.vertices.index_select(0, near)
            exact = torch.from_numpy(depth(places.cpu().numpy())).to(whole)
            whole[near] = exact + grid.interpolate(moved, places)[:, 0]
            band = ActiveBand.around(finer, whole, hops=0)
            sdf = whole.index_select(0, band.vertices)
            carried = torch.cat([self._pliancy[:, None], state.shifts - settled.shifts], dim=1)
            carried = grid.interpolate(carried, band.tetrahedra.vertices)
            pliancy, shifts = carried[:, 0], carried[:, 1:]
            shifts = shifts * finer.wall_freedom().index_select(0, band.vertices)
        bend = _displacement(state.lattices, self._in_lattices(band.tetrahedra.vertices))
        return marching_tetrahedra(band.tetrahedra, sdf, pliancy[:, None] * bend + shifts)

    def _in_lattices(self, points: Tensor) -> list[Tensor]:
        """For every lattice [1, 1, 1, M, 3] where points [M, 3] lie between its first and last node, -1 to 1."""
        return [((points - self._low) / span * 2 - 1)[None, None, None] for span in self._spans]

    @torch.no_grad()
    def _everywhere(self) -> Tensor:
        """[N] metres, the signed distance of every vertex of the grid."""
        return self._first + self._offsets.whole.clamp(-self._reach, self._reach)


def _displacement(lattices: tuple[Tensor, ...], places: list[Tensor]) -> Tensor:
    """[M, 3] metres: the sum of what the lattices say at places in each of them [1, 1, 1, M, 3]."""
    found = torch.zeros((), device=lattices[0].device)
    for lattice, where in zip(lattices, places, strict=True):
        found = found + grid_sample(lattice, where, align_corners=True)[0, :, 0, 0].T
    return found
