"""The rasteriser as its definition reads: every pixel against every triangle, in plain torch.

Slow and meant for tests: values in the dtype of the vertices (float64 too), gradients by autograd.
"""

from __future__ import annotations

import torch

from portrait_head.rendering.rasteriser import Fragments
from portrait_head.rendering.silhouettes import Crossings, blend
from portrait_head.rendering.tensor_camera import TensorCamera

NEAR = 1e-3  # metres
_PRODUCTS = 1 << 21  # pixel-triangle pairs looked at together


class ReferenceRasteriser:
    """`Rasteriser` by brute force."""

    def rasterise(self, vertices: torch.Tensor, triangles: torch.Tensor, camera: TensorCamera) -> Fragments:
        """What the camera sees of a mesh: see `Rasteriser.rasterise`."""
        corners = camera.to_camera(vertices)[triangles.long()]  # [F, 3, 3]
        rays = _rays(camera, vertices)  # [H, W, 2]
        with torch.no_grad():
            rows = max(1, _PRODUCTS // max(1, camera.width * len(triangles)))
            ids = torch.cat([_nearest(corners, part) for part in rays.split(rows)]).int()
        covered = ids >= 0
        edges, total, depth = _edge_functions(corners[ids[covered].long()], rays[covered])
        barycentrics = vertices.new_zeros(*ids.shape, 3).masked_scatter(covered[..., None], edges / total[:, None])
        return Fragments(ids, barycentrics, vertices.new_zeros(ids.shape).masked_scatter(covered, depth))

    def interpolate(self, attributes: torch.Tensor, triangles: torch.Tensor, fragments: Fragments) -> torch.Tensor:
        """Attributes at the seen points: see `Rasteriser.interpolate`."""
        covered = fragments.covered
        corners = attributes[triangles[fragments.triangle_ids[covered].long()].long()]  # [N, 3, C]
        values = (corners * fragments.barycentrics[covered][:, :, None]).sum(dim=1)
        return attributes.new_zeros(*covered.shape, attributes.shape[1]).masked_scatter(covered[..., None], values)

    def antialias(
        self,
        image: torch.Tensor,
        fragments: Fragments,
        vertices: torch.Tensor,
        triangles: torch.Tensor,
        camera: TensorCamera,
    ) -> torch.Tensor:
        """The image with blended silhouettes: see `Rasteriser.antialias`."""
        camera_vertices = camera.to_camera(vertices)
        with torch.no_grad():
            edge, surface_on_left = _silhouettes(camera_vertices, triangles.long())
            parts = [_crossings(edge, surface_on_left, camera_vertices, fragments, camera, axis) for axis in (0, 1)]
        fields = zip(*parts, strict=True)
        return blend(image, Crossings(*(torch.cat(field) for field in fields)), camera_vertices, camera)


def _rays(camera: TensorCamera, like: torch.Tensor) -> torch.Tensor:
    """(dx, dy) of the ray (dx, dy, -1) through each pixel's centre: [H, W, 2]."""
    x = (torch.arange(camera.width).to(like) + 0.5 - camera.centre[0]) / camera.focal
    y = (camera.centre[1] - torch.arange(camera.height).to(like) - 0.5) / camera.focal
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)


def _edge_functions(corners: torch.Tensor, rays: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of triangles [..., 3, 3] and rays [..., 2]: edge functions [..., 3], their sum and the depth met [...].

    Olano and Greer, "Triangle Scan Conversion using 2D Homogeneous Coordinates" (1997), relative to the ray.
    """
    beside = corners[..., :2] + rays[..., None, :] * corners[..., 2:]
    following, last = beside.roll(-1, dims=-2), beside.roll(-2, dims=-2)
    edges = following[..., 0] * last[..., 1] - following[..., 1] * last[..., 0]
    total = edges.sum(dim=-1)
    return edges, total, -(edges * corners[..., 2]).sum(dim=-1) / total


def _nearest(corners: torch.Tensor, rays: torch.Tensor) -> torch.Tensor:
    """The nearest triangle [h, W] of rays [h, W, 2], -1 for none, the first of equally near ones."""
    if len(corners) == 0:
        return torch.full(rays.shape[:2], -1)
    edges, total, depth = _edge_functions(corners, rays[:, :, None])  # [h, W, F, ...]
    inside = ((edges >= 0).all(dim=-1) | (edges <= 0).all(dim=-1)) & (total != 0) & (depth >= NEAR)
    depth, triangle = torch.where(inside, depth, torch.inf).min(dim=-1)
    return torch.where(depth.isinf(), -1, triangle)


def _silhouettes(camera_vertices: torch.Tensor, triangles: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Edges [N, 2] in front of the camera with no triangle on their other side, and whether the surface is left [N].

    Left of the edge as it is directed, in the image with y up.
    """
    edge = torch.stack([triangles, triangles.roll(-1, dims=1)], dim=-1).reshape(-1, 2).sort(dim=1).values
    opposite = triangles.roll(-2, dims=1).reshape(-1)
    start, end = camera_vertices[edge].unbind(1)
    normal = torch.linalg.cross(end - start, camera_vertices[opposite] - start)
    left = -(normal * start).sum(dim=1) >= 0
    usable = (edge[:, 0] != edge[:, 1]) & (-start[:, 2] >= NEAR) & (-end[:, 2] >= NEAR)
    alone = []
    for index in usable.nonzero()[:, 0].tolist():
        twins = (edge == edge[index]).all(dim=1)
        first = int(twins.nonzero()[0, 0]) == index
        if first and bool((left[twins] == left[index]).all()):
            alone.append(index)
    return edge[alone], left[alone]


def _crossings(
    edge: torch.Tensor,
    surface_on_left: torch.Tensor,
    camera_vertices: torch.Tensor,
    fragments: Fragments,
    camera: TensorCamera,
    axis: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The fields of `Crossings` for the pairs along one axis."""
    ids, depth = fragments.triangle_ids, fragments.depth
    if axis == 1:  # the same along columns: transpose
        ids, depth = ids.T, depth.T
    lines, places = ids.shape
    pixels = camera.project_camera(camera_vertices[edge])  # [N, 2 ends, 2]
    across, along = pixels[..., axis], pixels[..., 1 - axis]
    run, rise = across[:, 1] - across[:, 0], along[:, 1] - along[:, 0]
    # With y up, left of an edge is at smaller columns if it points upwards, at smaller rows if it points right.
    second = (rise > 0) == surface_on_left if axis == 0 else (rise > 0) != surface_on_left
    centres = torch.arange(lines).to(depth) + 0.5
    fraction = (centres - along[:, :1]) / rise[:, None]  # [N, lines]
    crossing = across[:, :1] + fraction * run[:, None]
    on_line = (centres >= along.amin(dim=1)[:, None]) & (centres < along.amax(dim=1)[:, None])
    place = (crossing - 0.5).floor()
    number, line = (on_line & (place >= 0) & (place < places - 1)).nonzero(as_tuple=True)
    place, fraction, second = place[number, line].long(), fraction[number, line], second[number]
    inverse = -1 / camera_vertices[edge[number], 2]
    edge_depth = 1 / torch.lerp(inverse[:, 0], inverse[:, 1], fraction)
    on, off = place + second.long(), place + (~second).long()
    outside = ids[line, off]
    hit = (ids[line, on] >= 0) & (ids[line, on] != outside) & ((outside < 0) | (edge_depth < depth[line, off]))
    # Of outlines in both directions the nearer pixel's counts, and of those in one direction the outermost.
    farther = (outside >= 0) & (depth[line, on] > depth[line, off])
    reach = crossing[number, line] - 0.5 - place
    left_over = torch.where(second, reach, 1 - reach)
    outermost: dict[tuple[int, int], tuple[bool, float, int]] = {}
    for candidate in hit.nonzero()[:, 0].tolist():
        pair = (int(line[candidate]), int(place[candidate]))
        rank = (bool(farther[candidate]), float(left_over[candidate]), candidate)
        outermost[pair] = min(outermost.get(pair, rank), rank)
    chosen = torch.tensor(sorted(index for *_, index in outermost.values()), dtype=torch.long)
    line, place = line[chosen], place[chosen]
    row, column = (line, place) if axis == 0 else (place, line)
    return torch.full_like(row, axis), row, column, second[chosen], edge[number[chosen]]
