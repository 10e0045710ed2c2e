"""Shape keys of one mesh carried to another of any topology.

Sumner and Popovic, "Deformation Transfer for Triangle Meshes", 2004: each triangle of the source turns, stretches and
shears by a matrix; the target is given the displacement whose own matrices are nearest to those of the triangles that
it lies on. In the form of Botsch et al., "Deformation Transfer for Detail-Preserving Surface Editing", 2006, the fourth
vertices of the triangles drop out and what remains is one Poisson equation of the target with a right side a key.

Triangles that no key moves stay where they are and take no part, so a head costs as much as its face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import splu

from portrait_head.geometry.nearest import SurfaceIndex
from portrait_head.geometry.surface import triangle_areas, vertex_normals


@dataclass(frozen=True)
class TransferConfig:
    """Metres unless said otherwise; tuned on heads meshed anew, whose keys are known.

    Attributes:
        still: a source vertex that no key moves further than this counts as at rest.
        distance: from the source, where a target vertex goes along fully and from where on it stays at rest, as hair.
        facing: the distance that a normal turned by 60 degrees counts for when the source's nearest point is looked
            for: lips lie closer together than that.
        anchor: how far a vertex is drawn to where the source's surface carries it, against the shape of its triangles,
            for triangles of edges as long as `cell`. Shape alone leaves open where the mesh is.
        cell: see `anchor`.
    """

    still: float = 5e-5
    distance: tuple[float, float] = (0.006, 0.018)
    facing: float = 0.010
    anchor: float = 0.05
    cell: float = 0.0025


def transfer(
    source: np.ndarray,
    source_triangles: np.ndarray,
    deltas: np.ndarray,
    target: np.ndarray,
    target_triangles: np.ndarray,
    follows: np.ndarray | None = None,
    config: TransferConfig = TransferConfig(),
) -> np.ndarray:
    """The displacements of `target` that do to it what `deltas` do to `source`.

    Args:
        source: [S, 3] metres, lying on the target.
        source_triangles: [P, 3], only the surface that the target shows (no sockets, no inside of the mouth).
        deltas: [K, S, 3] metres.
        target: [N, 3] metres.
        target_triangles: [M, 3].
        follows: [N], 0 to 1, how far each target vertex may go along (0 for hair); all of it if left out.
        config: see there.

    Returns:
        [K, N, 3] float32 metres.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    moved = np.zeros((len(deltas), len(target), 3), np.float32)
    index = SurfaceIndex(source, source_triangles)
    foot = index.nearest_facing(target, vertex_normals(target, target_triangles), config.facing)
    share = np.clip((config.distance[1] - foot.distance) / np.ptp(config.distance), 0.0, 1.0)
    share = share * share * (3 - 2 * share)
    if follows is not None:
        share = share * follows
    alive = (np.linalg.norm(deltas, axis=2).max(axis=0) > config.still)[source_triangles].any(axis=1)
    free = (share > 0) & alive[foot.triangle]
    if not free.any():
        return moved
    faces = target_triangles[free[target_triangles].any(axis=1)]
    rows, faces = np.unique(faces, return_inverse=True)
    faces, free, share = faces.reshape(-1, 3), free[rows], np.where(free, share, 0.0)[rows].astype(np.float32)

    # The matrices of the triangles below: of a vertex as far as it goes along, of a triangle the mean of its corners'.
    met, carried = np.unique(foot.triangle[rows], return_inverse=True)
    matrices = _displacement_gradients(source, source_triangles[met], deltas)[:, carried] * share[:, None, None]
    wanted = (matrices[:, faces[:, 0]] + matrices[:, faces[:, 1]] + matrices[:, faces[:, 2]]) / 3
    gradient, areas = _gradient(target[rows], faces)
    divergence = csr_matrix(gradient.T @ diags(np.repeat(areas, 3)))
    # Where the source takes a vertex: with its foot, turned and stretched about it.
    off = (target[rows] - foot.points[rows]).astype(np.float32)
    goal = np.einsum("nj,knjd->knd", off, matrices)
    corners = source_triangles[foot.triangle[rows]]
    for corner in range(3):
        goal += deltas[:, corners[:, corner]] * (share * foot.weights[rows, corner])[:, None]
    # A cotangent Laplacian is free of scale; the anchor is made so by counting in cells.
    anchor = config.anchor / config.cell**2 * np.bincount(faces.ravel(), np.repeat(areas / 3, 3), len(rows))
    right = divergence @ wanted.transpose(1, 2, 0, 3).reshape(3 * len(faces), -1)
    right += anchor[:, None] * goal.transpose(1, 0, 2).reshape(len(rows), -1)
    system = csr_matrix(divergence @ gradient + diags(anchor))[free][:, free].tocsc()
    factor = splu(system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    moved[:, rows[free]] = factor.solve(right[free]).reshape(-1, len(deltas), 3).transpose(1, 0, 2)
    return moved


def _gradient(vertices: np.ndarray, triangles: np.ndarray) -> tuple[csr_matrix, np.ndarray]:
    """[3M, N] the gradient of a function on the vertices in each triangle's plane, and the areas [M]."""
    corners = vertices[triangles]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    double = np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-14)
    normal = across / double
    parts = [np.cross(normal, corners[:, (place + 2) % 3] - corners[:, (place + 1) % 3]) / double for place in range(3)]
    count = len(triangles)
    values = np.stack(parts, axis=2)  # [M, 3 directions, 3 corners]
    columns = np.repeat(triangles[:, None], 3, axis=1)
    starts = np.arange(0, 9 * count + 1, 3)
    shape = (3 * count, len(vertices))
    return csr_matrix((values.ravel(), columns.ravel(), starts), shape=shape), triangle_areas(vertices, triangles)


def _displacement_gradients(vertices: np.ndarray, triangles: np.ndarray, deltas: np.ndarray) -> np.ndarray:
    """[K, M, 3, 3] matrices of triangles less the identity: row j is how the displacement changes along axis j.

    Across the surface a triangle's matrix keeps the normal's length true to the root of its area, with a fourth vertex
    on each side of the deformation (Sumner and Popovic, equation 1).
    """
    before = _frames(vertices[triangles])
    inverse = np.linalg.inv(before)
    found = np.empty((len(deltas), len(triangles), 3, 3), np.float32)
    for key, delta in enumerate(deltas):
        after = _frames(vertices[triangles] + delta[triangles])
        found[key] = np.einsum("mij,mjk->mik", inverse, after - before)
    return found


def _frames(corners: np.ndarray) -> np.ndarray:
    """[M, 3, 3] rows: two edges and the scaled normal of triangles [M, 3, 3]."""
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    across = np.cross(one, other)
    length = np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-14)
    return np.stack([one, other, across / np.sqrt(length)], axis=1)
