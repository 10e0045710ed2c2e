"""From a field to a clean triangle mesh: iso-surface, smoothing, what is hidden cut away, decimation."""

from __future__ import annotations

import fast_simplification
import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from skimage.measure import marching_cubes


def isosurface(field: np.ndarray, origin: np.ndarray, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """The surface where `field` [X, Y, Z] (positive inside) is zero.

    Args:
        field: values at origin + cell * (i, j, k).
        origin: [3] metres.
        cell: metres.

    Returns:
        vertices [N, 3] float64 metres and triangles [M, 3] int64, counter-clockwise seen from outside; empty where
        the field has no zero.
    """
    if not (field.min() < 0 < field.max()):
        return np.empty((0, 3)), np.empty((0, 3), dtype=np.int64)
    vertices, triangles, _, _ = marching_cubes(field, 0.0, gradient_direction="ascent")
    return origin + cell * vertices.astype(np.float64), triangles.astype(np.int64)


def neighbour_mean(count: int, triangles: np.ndarray) -> csr_matrix:
    """[N, N] sparse: the mean of each vertex's neighbours."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    edges = np.concatenate([edges, edges[:, ::-1]])
    adjacency = coo_matrix((np.ones(len(edges)), edges.T), shape=(count, count)).tocsr()
    adjacency.data[:] = 1.0
    degree = np.maximum(np.asarray(adjacency.sum(axis=1)).ravel(), 1.0)
    return csr_matrix(adjacency.multiply(1.0 / degree[:, None]))


def smooth(vertices: np.ndarray, triangles: np.ndarray, rounds: int) -> np.ndarray:
    """Vertices [N, 3] without steps, and without shrinking.

    Taubin, "A Signal Processing Approach to Fair Surface Design" (1995), with his pass band of 0.1.
    """
    mean = neighbour_mean(len(vertices), triangles)
    for _ in range(rounds):
        for weight in (0.5, -0.526):
            vertices = vertices + weight * (mean @ vertices - vertices)
    return vertices


def keep(vertices: np.ndarray, triangles: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mesh of the triangles marked in `kept` [M] bool, without vertices that nothing uses."""
    triangles = triangles[kept]
    used, renumbered = np.unique(triangles, return_inverse=True)
    return vertices[used], renumbered.reshape(-1, 3)


def without_crumbs(vertices: np.ndarray, triangles: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """The mesh without connected pieces of less than the share `least` of its area."""
    if len(triangles) == 0:
        return vertices, triangles
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]]])
    graph = coo_matrix((np.ones(len(edges)), edges.T), shape=(len(vertices), len(vertices)))
    _, label = connected_components(graph, directed=False)
    piece = label[triangles[:, 0]]
    area = np.bincount(piece, weights=triangle_areas(vertices, triangles))
    return keep(vertices, triangles, area[piece] >= least * area.sum())


def triangle_areas(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[M] square metres."""
    corners = vertices[triangles]
    return np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2


def vertex_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[N, 3] float64 unit normals, weighted by area; zero for vertices that no triangle uses."""
    corners = vertices[triangles].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros((len(vertices), 3))
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], across)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return normals / np.where(length > 0, length, 1.0)


def decimate(vertices: np.ndarray, triangles: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The same surface with at most about `most` triangles (quadric error metric), manifold if it was.

    Its borders are simplified on their own: parts that are to fit are parted after.
    """
    if len(triangles) <= most:
        return vertices, triangles
    points, faces = fast_simplification.simplify(
        np.ascontiguousarray(vertices), np.ascontiguousarray(triangles), target_count=most, agg=5.0
    )[:2]
    return unglued(*keep(points.astype(np.float64), faces.astype(np.int64), ~_folded(faces)))


def unglued(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same triangles as a manifold: a vertex for every fan of triangles, and no edge with more than two.

    Where more than two triangles meet at an edge, or two run along it the same way, they are cut apart (Gueziec et
    al., "Cutting and Stitching: Converting Sets of Polygons to Manifold Surfaces", 2001).
    """
    corners = np.arange(triangles.size).reshape(-1, 3)
    sides = triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    ends = corners[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    backwards = sides[:, 0] > sides[:, 1]
    edge = np.where(backwards, sides[:, 1], sides[:, 0]) * len(vertices) + sides.max(axis=1)
    ends[backwards] = ends[backwards][:, ::-1]
    order = np.lexsort((backwards, edge))
    start = np.flatnonzero(np.diff(edge[order], prepend=-1))
    pairs = start[np.diff(start, append=len(edge)) == 2]
    one, other = order[pairs], order[pairs + 1]
    sound = backwards[one] != backwards[other]
    links = np.concatenate([ends[one[sound]], ends[other[sound]]], axis=1)  # a corner of each side at both vertices
    graph = coo_matrix(
        (np.ones(2 * len(links)), (links[:, :2].ravel(), links[:, 2:].ravel())), shape=(corners.size, corners.size)
    )
    _, fan = connected_components(graph, directed=False)
    _, first = np.unique(fan, return_index=True)
    return vertices[triangles.ravel()[first]], fan.reshape(-1, 3).astype(np.int64)


def _folded(triangles: np.ndarray) -> np.ndarray:
    """Mask [M] of triangles that decimation has folded onto each other: nothing lies between them, and Blender
    refuses two faces on the same corners."""
    corners = np.sort(triangles, axis=1)
    _, first, count = np.unique(corners, axis=0, return_inverse=True, return_counts=True)
    return count[first.ravel()] > 1
