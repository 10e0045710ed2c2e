"""What the sculpted surface is judged by: small functions that return their values unreduced.

Lengths are metres. Every function is differentiable in its first argument; targets have no gradients.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

ALMOST_ZERO = 1e-12


def mask_error(coverage: Tensor, target: Tensor) -> Tensor:
    """[H, W] squared difference of antialiased coverage [H, W] and a mask [H, W], 0 to 1 (ID-Sculpt, equation 5)."""
    return (coverage - target).square()


def normal_error(normals: Tensor, target: Tensor) -> Tensor:
    """[...] one minus the cosine between normals [..., 3] and unit targets [..., 3] (ID-Sculpt's first phase)."""
    return 1 - cosine_similarity(normals, target, dim=-1, eps=1e-8)


def depth_error(depth: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """[P] squared difference between depths [P] and targets [P] brought to their scale and shift.

    The scale and shift that serve `target` best are found by weighted least squares (Ranftl et al., "Towards Robust
    Monocular Depth Estimation", 2020, equation 2, with the roles exchanged so that the error stays in metres). They
    are constants to the gradient: at a minimum their own derivative vanishes.

    Args:
        depth: of the surface.
        target: in any unit and from any zero, growing away from the viewer.
        weight: [P] not negative.
    """
    with torch.no_grad():
        share = weight / weight.sum().clamp(min=ALMOST_ZERO)
        mean, target_mean = (share * depth).sum(), (share * target).sum()
        spread = (share * (target - target_mean).square()).sum()
        slope = (share * (target - target_mean) * (depth - mean)).sum() / spread.clamp(min=ALMOST_ZERO)
        aligned = mean + slope * (target - target_mean)
    return (depth - aligned).square()


def depth_correlation(depth: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """[] one minus Pearson's correlation of depths [P] and targets [P] with weights [P] (ID-Sculpt, section 3.2)."""
    share = weight / weight.sum().clamp(min=ALMOST_ZERO)
    centred, wanted = depth - (share * depth).sum(), target - (share * target).sum()
    spread, target_spread = (share * centred.square()).sum(), (share * wanted.square()).sum()
    return 1 - (share * centred * wanted).sum() / (spread * target_spread).clamp(min=ALMOST_ZERO**2).sqrt()


def landmark_error(points: Tensor, landmarks: Tensor, normals: Tensor) -> Tensor:
    """[K] squared distance of landmarks [K, 3] from the tangent planes (normals [K, 3]) of the surface at `points`."""
    return ((points - landmarks) * normals).sum(dim=-1).square()


def uniform_laplacian(vertices: Tensor, triangles: Tensor) -> Tensor:
    """[V] squared distance of each vertex from the mean of its neighbours.

    On a closed surface each neighbour follows a vertex in exactly one triangle, so that no edges have to be found.

    Args:
        vertices: [V, 3]; one that no triangle uses costs nothing.
        triangles: [F, 3] int64 of a closed, consistently oriented surface.
    """
    start, end = triangles.reshape(-1), triangles.roll(-1, dims=1).reshape(-1)
    towards = vertices.index_select(0, end) - vertices.index_select(0, start)
    count = towards.new_zeros(len(vertices)).index_add_(0, start, towards.new_ones(len(start)))
    total = torch.zeros_like(vertices).index_add(0, start, towards)
    return (total / count.clamp(min=1)[:, None]).square().sum(dim=-1)


def normal_consistency(face_normals: Tensor, pairs: Tensor) -> Tensor:
    """[P] one minus the cosine between the normals [F, 3] of triangles that share an edge, `pairs` [P, 2]."""
    first, second = face_normals.index_select(0, pairs[:, 0]), face_normals.index_select(0, pairs[:, 1])
    return 1 - cosine_similarity(first, second, dim=-1, eps=1e-20)
