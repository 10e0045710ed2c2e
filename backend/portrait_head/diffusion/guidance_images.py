"""Renders as the diffusion models saw them in training, and their pictures turned back into maps.

Both conventions are those of HumanNorm (Huang et al. 2024), whose text-to-normal and text-to-depth models ID-Sculpt
uses: normals in the camera space of the current view (x right, y up, z towards the viewer) as (n + 1) / 2, depth as
inverse depth stretched over the head, nearest white; black where nothing is.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

RenderKind = Literal["normal", "depth"]
_TINY = 1e-8


def encode_normals(normals: Tensor, mask: Tensor) -> Tensor:
    """The picture [1, 3, H, W] in 0..1 of unit camera-space normals [H, W, 3] under coverage [H, W] in 0..1.

    The coverage is applied after encoding, so that half-covered pixels fade to black, not to a wrong direction.
    """
    return ((normals + 1.0) / 2.0 * mask[..., None]).permute(2, 0, 1)[None]


def decode_normals(picture: Tensor, mask: Tensor) -> Tensor:
    """Unit camera-space normals [H, W, 3], zero outside the mask [H, W], of a picture [1, 3, H, W] in 0..1."""
    normals = torch.nn.functional.normalize(picture[0].permute(1, 2, 0) * 2.0 - 1.0, dim=-1)
    return normals * (mask > 0.5)[..., None]


def encode_depth(depth: Tensor, mask: Tensor) -> Tensor:
    """The picture [1, 3, H, W] in 0..1 of depths [H, W] (metres in front of the camera, 0 where nothing is).

    Coverage [H, W] fades its outline. The stretch is taken from the covered pixels and carries no gradient, so that
    only relief is guided, not distance. An empty mask gives a black picture.
    """
    covered = (mask > 0.5) & (depth > 0.0)
    if not bool(covered.any()):
        return (depth * 0.0)[None, None].expand(1, 3, -1, -1)
    # A distance of 1 where nothing is keeps the division, and its gradient, finite.
    inverse = 1.0 / torch.where(covered, depth, torch.ones_like(depth))
    seen = inverse.detach()[covered]
    stretched = (inverse - seen.min()) / (seen.max() - seen.min() + _TINY)
    return (torch.where(covered, stretched, torch.zeros_like(depth)) * mask)[None, None].expand(1, 3, -1, -1)


def decode_depth(picture: Tensor, mask: Tensor) -> Tensor:
    """Relative depth [H, W] (0 nearest, 1 farthest, 0 outside the mask [H, W]) of a picture [1, 3, H, W] in 0..1.

    What such a picture says is known up to scale and shift only, which is what the sculpt's depth losses ask for.
    """
    inverse = picture[0].mean(dim=0)
    covered = mask > 0.5
    if not bool(covered.any()):
        return torch.zeros_like(inverse)
    seen = inverse[covered]
    relative = (seen.max() - inverse) / (seen.max() - seen.min() + _TINY)
    return torch.where(covered, relative, torch.zeros_like(relative))
