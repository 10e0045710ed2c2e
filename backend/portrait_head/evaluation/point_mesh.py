"""A surface from points alone: triangles between vertices that came without any.

The vertices of a registered head model move together where they are neighbours, so neighbourhoods are taken in several
poses at once (the lips apart as well as closed). Each vertex then triangulates its neighbours in its tangent plane
(Boissonnat and Ghosh, "Manifold reconstruction using tangential Delaunay complexes", 2014); triangles that their three
corners agree on are taken first, the rest only where they keep the surface a manifold.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order
from scipy.spatial import Delaunay, KDTree

from portrait_head.geometry.surface import vertex_normals

_NEIGHBOURS = 24  # a star of a regular grid needs 8; twice more covers strips of unequal spacing
_NORMAL_NEIGHBOURS = 10
_FACING = 1.0  # mean edge lengths that a right angle between normals counts for in the second round
_LONGEST = 3.0  # a triangle's longest edge over the mean spacing at its corners; lids and lips stay open


def triangulate_points(vertices: np.ndarray, movements: tuple[np.ndarray, ...]) -> np.ndarray:
    """Triangles of the surface that `vertices` sample.

    Args:
        vertices: [V, 3] points of one surface, with or without holes.
        movements: each [V, 3], displacements of the points into other poses of the surface; sheets that touch at
            rest (lips) must part in one of them.

    Returns:
        [T, 3] int32, a manifold (no edge has more than two triangles) wound alike everywhere, outwards seen from the
        middle of the points.
    """
    vertices = np.asarray(vertices, dtype=np.float64)
    stacked = np.concatenate([vertices, *movements], axis=1)
    triangles = _triangulate_once(vertices, stacked)
    # The two sides of a thin sheet (an ear) move alike, but the first surface knows which way each of them faces.
    spacing = np.linalg.norm(vertices[triangles[:, 0]] - vertices[triangles[:, 1]], axis=1).mean()
    normals = vertex_normals(vertices, triangles) * (_FACING * spacing)
    return _triangulate_once(vertices, np.concatenate([stacked, normals], axis=1))


def _triangulate_once(vertices: np.ndarray, stacked: np.ndarray) -> np.ndarray:
    """One round: neighbours in the space of `stacked` [V, K], stars, a wound manifold [T, 3] int32."""
    nearest = np.asarray(KDTree(stacked).query(stacked, k=_NEIGHBOURS + 1)[1])
    triangles, votes = _voted_stars(vertices, nearest)
    spacing = np.linalg.norm(vertices[nearest[:, 1:5]] - vertices[:, None], axis=2).mean(axis=1)
    corners = vertices[triangles]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    kept = longest < _LONGEST * spacing[triangles].mean(axis=1)
    order = np.lexsort((*triangles.T, longest, -votes))
    return _wound(vertices, _manifold(triangles[order[kept[order]]]))


def _voted_stars(vertices: np.ndarray, nearest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles [T, 3] (sorted corners) of every vertex's own star, and how many of the corners proposed each [T]."""
    patches = vertices[nearest[:, :_NORMAL_NEIGHBOURS]]
    patches = patches - patches.mean(axis=1, keepdims=True)
    _, frames = np.linalg.eigh(np.einsum("nki,nkj->nij", patches, patches))
    stars = []
    for vertex, others in enumerate(nearest[:, 1:]):
        offsets = vertices[others] - vertices[vertex]
        flat = offsets @ frames[vertex][:, 1:]
        # Lengths are kept when the patch is laid flat, so that a fold (an ear's rim) does not shorten its far side.
        scale = np.linalg.norm(offsets, axis=1) / np.maximum(np.linalg.norm(flat, axis=1), 1e-12)
        simplices = Delaunay(np.concatenate([[[0.0, 0.0]], flat * scale[:, None]])).simplices
        own = simplices[(simplices == 0).any(axis=1)]
        stars.append(np.concatenate([[vertex], others])[own])
    proposed = np.sort(np.concatenate(stars), axis=1)
    triangles, votes = np.unique(proposed, axis=0, return_counts=True)
    return triangles, votes


def _manifold(candidates: np.ndarray) -> np.ndarray:
    """The candidates [C, 3] taken in their order wherever no edge gets a third triangle."""
    taken: dict[tuple[int, int], int] = {}
    kept = []
    for row, (a, b, c) in enumerate(candidates.tolist()):
        edges = ((a, b), (b, c), (a, c))
        if all(taken.get(edge, 0) < 2 for edge in edges):
            for edge in edges:
                taken[edge] = taken.get(edge, 0) + 1
            kept.append(row)
    return candidates[kept]


def _wound(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """The same triangles [T, 3] int32, wound alike across every shared edge of the largest piece and outwards."""
    directed = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    owner = np.tile(np.arange(len(triangles)), 3)
    keys = np.sort(directed, axis=1)
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    same = (keys[order][1:] == keys[order][:-1]).all(axis=1)
    first, second = order[:-1][same], order[1:][same]
    # Two neighbours are wound alike when they run along their common edge in opposite directions.
    against = (directed[first] == directed[second]).all(axis=1)
    graph = coo_matrix(
        (np.where(against, 2, 1), (owner[first], owner[second])), shape=(len(triangles), len(triangles))
    ).tocsr()
    graph = graph + graph.T
    flipped = np.zeros(len(triangles), bool)
    seen = np.zeros(len(triangles), bool)
    pieces = []
    while not seen.all():
        start = int(np.flatnonzero(~seen)[0])
        visited, parents = breadth_first_order(graph, start, directed=False)
        for triangle in visited[1:]:
            parent = parents[triangle]
            flipped[triangle] = flipped[parent] ^ (graph[parent, triangle] == 2)
        seen[visited] = True
        pieces.append(visited)
    result = triangles.astype(np.int32)
    result[flipped] = result[flipped][:, ::-1]
    centre = vertices.mean(axis=0)
    for piece in pieces:
        corners = vertices[result[piece]]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        if np.einsum("tk,tk->", normals, corners.mean(axis=1) - centre) < 0:
            result[piece] = result[piece][:, ::-1]
    return result
