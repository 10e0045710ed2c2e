"""The numbers that shape the hair."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HairSettings:
    """Metres unless said otherwise; tuned by eye on drawn hair styles and on a handful of portraits.

    Attributes:
        cell: side of a voxel.
        most_triangles: of the finished mesh.
        cropped: least and most thickness of a crop.
        volume: least and most thickness of longer hair where the photo does not show it.
        hull_slope: how much hair that hangs below the cranium leans inwards, metres a metre.
        edge: least and most width of the rim over which hair rises from the skin.
        edge_per_thickness: width of that rim for each metre of thickness.
        fringe: thickness right behind the hairline of the forehead.
        fringe_slope: how much it gains from there, metres a metre.
        lock_share: height of a lock's relief as a share of the thickness.
        lock_height: the most it can be.
        lock_ends: how uneven the ends of locks are.
        strand_share: height of the relief of bundles of strands on the finished mesh, as a share of the thickness.
        strand_height: the most it can be.
        dive: depth below the skin that the surface reaches beyond the hairline.
        near: reach of what the contour says, fine level.
        far: reach of what the contour says, coarse level.
        sunk: what lies deeper than this below the skin is left out of the mesh.
    """

    cell: float = 0.004
    most_triangles: int = 12000
    cropped: tuple[float, float] = (0.0025, 0.014)
    volume: tuple[float, float] = (0.006, 0.035)
    hull_slope: float = 0.25
    edge: tuple[float, float] = (0.006, 0.024)
    edge_per_thickness: float = 1.3
    fringe: float = 0.006
    fringe_slope: float = 0.35
    lock_share: float = 0.25
    lock_height: float = 0.005
    lock_ends: float = 0.012
    strand_share: float = 0.4
    strand_height: float = 0.005
    dive: float = 0.010
    near: float = 0.010
    far: float = 0.045
    sunk: float = 0.003
