"""Textures read at surface points, bilinear and mip-mapped, with gradients to texels and coordinates.

Textures are [H, W, C] with row 0 on top; coordinates (u, v) have their origin bottom left, so that the centre of the
texel in column i and row j lies at ((i + 0.5) / W, 1 - (j + 0.5) / H).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch.nn.functional import adaptive_avg_pool2d, embedding

from portrait_head.rendering.rasteriser import Fragments
from portrait_head.rendering.tensor_camera import TensorCamera

Boundary = Literal["repeat", "clamp"]


def mip_pyramid(texture: torch.Tensor) -> list[torch.Tensor]:
    """The texture and its box-filtered halves, down to one texel along the shorter side."""
    levels = [texture]
    while min(levels[-1].shape[:2]) > 1:
        height, width = levels[-1].shape[:2]
        halved = adaptive_avg_pool2d(levels[-1].permute(2, 0, 1), (height // 2, width // 2))
        levels.append(halved.permute(1, 2, 0))
    return levels


def sample_texture(
    texture: torch.Tensor, uvs: torch.Tensor, level: torch.Tensor | None = None, boundary: Boundary = "repeat"
) -> torch.Tensor:
    """Texture values [..., C] at `uvs` [..., 2].

    Args:
        texture: [H, W, C].
        uvs: [..., 2], origin bottom left.
        level: [...], the mip level, 0 for the texture itself and 1 for its half; between two levels both are mixed
            (trilinear filtering). None reads the texture itself.
        boundary: what lies outside 0 to 1: the texture again, or its outermost texels.
    """
    shape = uvs.shape[:-1]
    points = uvs.reshape(-1, 2)
    pyramid = [texture] if level is None else mip_pyramid(texture)
    sizes = torch.tensor([part.shape[:2] for part in pyramid], device=texture.device)
    texels = torch.cat([part.reshape(-1, texture.shape[2]) for part in pyramid])
    starts = sizes.prod(dim=1).cumsum(0) - sizes.prod(dim=1)
    if level is None:
        values = _bilinear(texels, starts[0], sizes[0], points, boundary)
    else:
        wanted = level.reshape(-1).clamp(0, len(pyramid) - 1)
        finer = wanted.detach().floor().long()
        coarser = (finer + 1).clamp(max=len(pyramid) - 1)
        values = torch.lerp(
            _bilinear(texels, starts[finer], sizes[finer], points, boundary),
            _bilinear(texels, starts[coarser], sizes[coarser], points, boundary),
            (wanted - finer)[:, None],
        )
    return values.reshape(*shape, texture.shape[2])


def mip_level(
    uvs: torch.Tensor,
    uv_triangles: torch.Tensor,
    vertices: torch.Tensor,
    triangles: torch.Tensor,
    fragments: Fragments,
    camera: TensorCamera,
    size: tuple[int, int],
) -> torch.Tensor:
    """The mip level at which a texel is as large as a pixel: [H, W] without gradients, 0 where nothing is seen.

    The longer axis of the pixel's footprint counts (Williams, "Pyramidal Parametrics", 1983), so that nothing aliases
    and grazing views blur.

    Args:
        uvs: [U, 2] texture coordinates.
        uv_triangles: [F, 3] their indices; rows stand for the same triangles as `triangles`.
        vertices: [V, 3], metres, head space.
        triangles: [F, 3].
        fragments: what `camera` sees of the mesh.
        camera: the camera.
        size: (height, width) of the texture.
    """
    covered = fragments.covered
    with torch.no_grad():
        ids = fragments.triangle_ids[covered].long()
        corners = camera.to_camera(vertices)[triangles[ids].long()]  # [N, 3 corners, 3]
        following, last = corners.roll(-1, dims=1), corners.roll(-2, dims=1)
        # The edge functions opposite to the corners are minus these normals times the ray (dx, dy, -1), and their sum
        # is minus the triangle's determinant over the depth met: so their changes along a row and a column are known.
        slopes = -torch.linalg.cross(following, last)[..., :2] / camera.focal  # [N, 3 corners, 2 axes of the image]
        normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        total = -(normal * corners[:, 0]).sum(dim=1) / fragments.depth[covered]
        texels = uvs.new_tensor([size[1], size[0]])
        corner_uvs = uvs[uv_triangles[ids].long()] * texels  # [N, 3 corners, 2]
        seen = (corner_uvs * fragments.barycentrics[covered][:, :, None]).sum(dim=1, keepdim=True)
        # By the quotient rule: d(sum e uv / sum e) = sum de (uv - seen) / sum e.
        footprint = torch.einsum("nka,nku->nau", slopes, corner_uvs - seen) / total[:, None, None]
        longest = footprint.norm(dim=2).amax(dim=1)
        return torch.zeros_like(fragments.depth).masked_scatter(covered, longest.log2().clamp(min=0))


def _bilinear(
    texels: torch.Tensor, start: torch.Tensor, size: torch.Tensor, points: torch.Tensor, boundary: Boundary
) -> torch.Tensor:
    """Values [N, C] at points [N, 2] of textures of `size` [..., 2] that begin at row `start` [...] of `texels`."""
    height, width = size[..., 0], size[..., 1]
    x = points[:, 0] * width - 0.5
    y = (1 - points[:, 1]) * height - 0.5
    left, top = x.detach().floor(), y.detach().floor()
    right_share, bottom_share = x - left, y - top
    columns = torch.stack([left, left + 1], dim=1).long()
    rows = torch.stack([top, top + 1], dim=1).long()
    limits = (width.reshape(-1, 1), height.reshape(-1, 1))
    if boundary == "repeat":
        columns, rows = columns % limits[0], rows % limits[1]
    else:
        zero = torch.zeros_like(limits[0])
        columns, rows = columns.clamp(zero, limits[0] - 1), rows.clamp(zero, limits[1] - 1)
    index = start.reshape(-1, 1, 1) + rows[:, :, None] * limits[0][:, :, None] + columns[:, None, :]  # [N, 2, 2]
    across = torch.stack([1 - right_share, right_share], dim=1)
    down = torch.stack([1 - bottom_share, bottom_share], dim=1)
    weights = down[:, :, None] * across[:, None, :]
    # `embedding` sums the gradients of texels read twice in a fixed order, which plain indexing does not.
    return (embedding(index, texels) * weights[..., None]).sum(dim=(1, 2))
