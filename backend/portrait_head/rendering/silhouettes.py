"""Antialiasing of silhouettes: neighbouring pixels blended by where an outline crosses between their centres.

After Laine et al., "Modular Primitives for High-Performance Differentiable Rendering" (2020), section 3.6: between two
neighbouring pixels that see different triangles, where a silhouette edge of the nearer surface crosses the segment
between their centres, the pixel into which the edge reaches is blended with the other, by how far it reaches. There
the edge is looked for on the triangle that the nearer pixel sees; here among all silhouette edges of the mesh, because
a finely divided surface turns away from the viewer through triangles that are thinner than a pixel, and of all that
cross before what the outer pixel sees the outermost counts, because a rough surface has folds within its outline.

Finding the crossings is discrete and the rasterisers' own; blending is this module's and differentiable.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from portrait_head.rendering.tensor_camera import TensorCamera


@dataclass(frozen=True)
class Crossings:
    """Silhouette edges between the centres of neighbouring pixels, at most one for each pair.

    Attributes:
        axis: [N] int64, 0 for a pixel and its right neighbour, 1 for a pixel and the one below it.
        row: [N] int64 of the first pixel of the pair.
        column: [N] int64 of the first pixel of the pair.
        surface_second: [N] bool, whether the edge's surface covers the second pixel's side.
        edge: [N, 2] int64, the vertices of the edge.
    """

    axis: torch.Tensor
    row: torch.Tensor
    column: torch.Tensor
    surface_second: torch.Tensor
    edge: torch.Tensor


def blend(
    image: torch.Tensor, crossings: Crossings, camera_vertices: torch.Tensor, camera: TensorCamera
) -> torch.Tensor:
    """The image [H, W, C] blended at the crossings; gradients to the image and to `camera_vertices` [V, 3]."""
    height, width, channels = image.shape
    pixels = image.reshape(-1, channels)
    blended = pixels.clone()
    # An edge counts in rows where it is steep and in columns where it is flat, or its motion would count twice.
    run, rise = _extent(crossings.edge, camera_vertices.detach(), camera).unbind(1)
    counting = ((rise >= run) & (rise > 0), run > rise)
    # One axis at a time no pixel is written twice by one statement, so the order of sums is fixed on every device.
    for axis, step in ((0, 1), (1, width)):
        mine = ((crossings.axis == axis) & counting[axis]).nonzero()[:, 0]
        row, column = crossings.row[mine], crossings.column[mine]
        reach = _reach(crossings.edge[mine], row, column, axis, camera_vertices, camera)[:, None]
        surface_second = crossings.surface_second[mine][:, None]
        reach = torch.where(surface_second, 1 - reach, reach)  # from the surface's pixel
        first = row * width + column
        second = first + step
        difference = pixels.index_select(0, second) - pixels.index_select(0, first)
        outwards = (reach - 0.5).clamp(min=0)  # how much of the far pixel the surface covers
        inwards = (0.5 - reach).clamp(min=0)  # how much of its own pixel it leaves
        to_first = torch.where(surface_second, outwards, inwards) * difference
        to_second = torch.where(surface_second, inwards, outwards) * -difference
        blended.index_add_(0, first, to_first)
        blended.index_add_(0, second, to_second)
    return blended.reshape(height, width, channels)


def _extent(edge: torch.Tensor, camera_vertices: torch.Tensor, camera: TensorCamera) -> torch.Tensor:
    """How many pixels each edge spans across and down: [N, 2]."""
    ends = camera.project_camera(camera_vertices[edge])
    return (ends[:, 1] - ends[:, 0]).abs()


def _reach(
    edge: torch.Tensor,
    row: torch.Tensor,
    column: torch.Tensor,
    axis: int,
    camera_vertices: torch.Tensor,
    camera: TensorCamera,
) -> torch.Tensor:
    """Where each edge crosses its pair: [N] from 0 at the first pixel's centre to 1 at the second's."""
    # `embedding` sums the gradients of shared vertices in a fixed order, which plain indexing does not.
    start, end = camera.project_camera(torch.nn.functional.embedding(edge, camera_vertices)).unbind(1)
    along, place = (row, column) if axis == 0 else (column, row)
    fraction = (along + 0.5 - start[:, 1 - axis]) / (end[:, 1 - axis] - start[:, 1 - axis])
    crossing = start[:, axis] + fraction * (end[:, axis] - start[:, axis])
    return crossing - (place + 0.5)
