"""What it takes to call triangles a surface."""

import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor


def directed_edges(triangles: Tensor) -> Tensor:
    """[3F, 2] int64: the sides of triangles [F, 3], side by side."""
    return torch.cat([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]).long()


def rim(triangles: Tensor) -> Tensor:
    """[R, 2] int64: sides without an opposite one; fails if a side occurs twice in one direction."""
    sides = directed_edges(triangles)
    count = int(sides.max()) + 1
    there, back = sides[:, 0] * count + sides[:, 1], sides[:, 1] * count + sides[:, 0]
    assert len(there.unique()) == len(there)
    return sides[~torch.isin(there, back)]


def fans(triangles: Tensor) -> int:
    """How many separate fans of triangles there are around the vertices of a closed mesh; V if it is manifold."""
    sides = directed_edges(triangles)
    triangle = torch.arange(len(triangles)).repeat(3)
    start = torch.arange(3).repeat_interleave(len(triangles))
    corners = torch.stack([3 * triangle + start, 3 * triangle + (start + 1) % 3], dim=1)
    count = int(sides.max()) + 1
    there = (sides[:, 0] * count + sides[:, 1]).argsort()
    back = (sides[:, 1] * count + sides[:, 0]).argsort()
    links = torch.cat(
        [torch.stack([corners[there, 0], corners[back, 1]]), torch.stack([corners[there, 1], corners[back, 0]])], 1
    )
    graph = coo_matrix((torch.ones(links.shape[1]).numpy(), links.numpy()), shape=(3 * len(triangles),) * 2)
    return connected_components(graph, directed=False)[0]


def pieces(triangles: Tensor) -> int:
    """How many connected pieces a mesh has whose vertices are all used."""
    sides = directed_edges(triangles)
    count = int(sides.max()) + 1
    graph = coo_matrix((torch.ones(len(sides)).numpy(), sides.T.numpy()), shape=(count, count))
    return connected_components(graph, directed=False)[0]


def euler(triangles: Tensor) -> int:
    """Vertices - edges + triangles of a closed mesh whose vertices are all used."""
    return int(triangles.max()) + 1 - len(triangles) * 3 // 2 + len(triangles)


def volume(vertices: Tensor, triangles: Tensor) -> float:
    """Cubic metres inside a closed mesh, positive if it faces outwards."""
    a, b, c = vertices.double()[triangles.long()].unbind(dim=1)
    return float((a * torch.linalg.cross(b, c)).sum() / 6)


def areas(vertices: Tensor, triangles: Tensor) -> Tensor:
    """[F] square metres."""
    a, b, c = vertices.double()[triangles.long()].unbind(dim=1)
    return torch.linalg.cross(b - a, c - a).norm(dim=1) / 2


def is_closed_and_manifold(vertices: Tensor, triangles: Tensor) -> bool:
    """Each side has one opposite side, each vertex one fan, and no vertex is left over."""
    return len(rim(triangles)) == 0 and fans(triangles) == len(vertices) == len(triangles.unique())
