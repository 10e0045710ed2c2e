"""Flattening a piece of surface: every triangle as nearly as it can in the shape and size that are wanted of it.

What is minimised is the symmetric Dirichlet energy (Smith and Schaefer, "Bijective Parameterization with Free
Boundaries", 2015), by Newton's method with the triangles' Hessians made positive (Teran et al., "Robust Quasistatic
Finite Elements and Flesh Simulation", 2005). It is infinite where a triangle would flip, so none does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.linalg import splu, spsolve


@dataclass(frozen=True)
class Patch:
    """A piece of surface to be flattened.

    Attributes:
        triangles: [M, 3] into the places.
        rest: [M, 2, 2] two edges of each triangle as columns, in its plane, in the size that it should have.
        weight: [M] what its distortion costs.
        start: [N, 2] places without a flipped triangle.
        free: [N, 2] bool, which coordinates may change.
        border: [B] the places that the walls hold back.
        walls: [W, 3] inward normal and offset: the border stays where normal . place + offset > 0.
    """

    triangles: np.ndarray
    rest: np.ndarray
    weight: np.ndarray
    start: np.ndarray
    free: np.ndarray
    border: np.ndarray
    walls: np.ndarray


def flatten(patch: Patch, wall: float, steps: int) -> np.ndarray:
    """[N, 2] the places of least energy."""
    triangles, count = patch.triangles, len(patch.start)
    inverse = np.linalg.inv(patch.rest)
    # From the corners' coordinates [6] to the Jacobian [4], row by row.
    to_jacobian = np.zeros((len(triangles), 4, 6))
    for row in range(2):
        for column in range(2):
            to_jacobian[:, 2 * row + column, [2 + row, 4 + row]] = inverse[:, :, column]
            to_jacobian[:, 2 * row + column, row] = -inverse[:, :, column].sum(axis=1)
    index = (2 * triangles[:, :, None] + np.arange(2)).reshape(-1, 6)
    pairs = np.repeat(index, 6, axis=1).ravel(), np.tile(index, (1, 6)).ravel()
    movable = np.flatnonzero(patch.free.ravel())
    normals, offsets = patch.walls[:, :2], patch.walls[:, 2]
    wall_index = (2 * patch.border[:, None] + np.arange(2)).ravel()
    wall_pairs = (
        np.repeat(wall_index.reshape(-1, 2), 2, axis=1).ravel(),
        np.tile(wall_index.reshape(-1, 2), (1, 2)).ravel(),
    )

    def gaps(places: np.ndarray) -> np.ndarray:
        return places.reshape(-1, 2)[patch.border] @ normals.T + offsets

    def energy(places: np.ndarray) -> float:
        jacobian = (to_jacobian @ places[index][..., None])[..., 0]
        area = jacobian[:, 0] * jacobian[:, 3] - jacobian[:, 1] * jacobian[:, 2]
        gap = gaps(places)
        if area.min() <= 0 or gap.min() <= 0:
            return np.inf
        return float((patch.weight * (jacobian**2).sum(axis=1) * (1 + 1 / area**2)).sum() - wall * np.log(gap).sum())

    places = patch.start.ravel().copy()
    value = energy(places)
    for _ in range(steps):
        slope, bend = _derivatives((to_jacobian @ places[index][..., None])[..., 0])
        local = to_jacobian.transpose(0, 2, 1)
        gradient = np.bincount(
            index.ravel(), (local @ (slope * patch.weight[:, None])[..., None]).ravel(), minlength=2 * count
        )
        values = local @ (bend * patch.weight[:, None, None]) @ to_jacobian
        gap = gaps(places)
        gradient -= wall * np.bincount(wall_index, ((1 / gap) @ normals).ravel(), minlength=2 * count)
        at_wall = wall * np.einsum("bw,wi,wj->bij", 1 / gap**2, normals, normals)
        rows, columns = (np.concatenate(both) for both in zip(pairs, wall_pairs, strict=True))
        hessian = coo_matrix(
            (np.concatenate([values.ravel(), at_wall.ravel()]), (rows, columns)), shape=(2 * count, 2 * count)
        ).tocsr()
        step = np.zeros(2 * count)
        step[movable] = -splu(hessian[movable][:, movable].tocsc()).solve(gradient[movable])
        share = min(1.0, 0.9 * _first_flip(places.reshape(-1, 2)[triangles], step.reshape(-1, 2)[triangles]))
        while (lower := energy(places + share * step)) > value + 1e-4 * share * float(gradient @ step):
            share /= 2
            if share < 1e-9:
                return places.reshape(-1, 2)
        places = places + share * step
        if value - lower < 1e-7 * value:
            break
        value = lower
    return places.reshape(-1, 2)


def _derivatives(jacobian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient [M, 4] and positive part of the Hessian [M, 4, 4] of |J|^2 (1 + 1 / det^2)."""
    area = (jacobian[:, 0] * jacobian[:, 3] - jacobian[:, 1] * jacobian[:, 2])[:, None]
    size = (jacobian**2).sum(axis=1)[:, None]
    turned = jacobian[:, ::-1] * [1, -1, -1, 1]  # the determinant's gradient
    slope = 2 * jacobian * (1 + 1 / area**2) - 2 * size / area**3 * turned
    area, size = area[..., None], size[..., None]
    mixed = jacobian[:, :, None] * turned[:, None]
    bend = 2 * (1 + 1 / area**2) * np.eye(4) - 4 / area**3 * (mixed + mixed.transpose(0, 2, 1))
    bend += 6 * size / area**4 * turned[:, :, None] * turned[:, None]
    bend -= 2 * size / area**3 * np.fliplr(np.diag([1.0, -1.0, -1.0, 1.0]))
    values, vectors = np.linalg.eigh(bend)
    return slope, (vectors * np.maximum(values, 1e-9)[:, None]) @ vectors.transpose(0, 2, 1)


def _first_flip(corners: np.ndarray, steps: np.ndarray) -> float:
    """Share of the steps [M, 3, 2] at which the first of the triangles [M, 3, 2] has no area left."""

    def cross(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]

    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    one_step, other_step = steps[:, 1] - steps[:, 0], steps[:, 2] - steps[:, 0]
    constant, linear = cross(one, other), cross(one, other_step) + cross(one_step, other)
    square = cross(one_step, other_step)
    # The smallest positive root, in the form that stays exact as the square's factor vanishes.
    root = np.sqrt(np.maximum(linear**2 - 4 * square * constant, 0.0))
    real = linear**2 >= 4 * square * constant
    found = [2 * constant / np.where(np.abs(down) > 1e-300, down, np.inf) for down in (-linear - root, -linear + root)]
    shares = np.concatenate([share[real & (share > 0)] for share in found])
    return float(shares.min()) if len(shares) else np.inf


def in_plane(corners: np.ndarray) -> np.ndarray:
    """[M, 2, 2] two edges of each triangle [M, 3, 3] as columns, the first along the first axis."""
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    length = np.linalg.norm(one, axis=1)
    along = (one * other).sum(axis=1) / length
    found = np.zeros((len(corners), 2, 2))
    found[:, 0, 0], found[:, 0, 1] = length, along
    found[:, 1, 1] = np.linalg.norm(other - (along / length)[:, None] * one, axis=1)
    return found


def harmonic(held: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[N, 2] every place that is not a number as the mean of its neighbours': Tutte's embedding."""
    edges = np.unique(np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
    links = csr_matrix((np.ones(len(edges)), edges.T), shape=(len(held), len(held)))
    links = csr_matrix(links + links.T)
    laplacian = csr_matrix(diags(np.asarray(links.sum(axis=1)).ravel()) - links)
    free = np.isnan(held[:, 0])
    found = held.copy()
    found[free] = spsolve(laplacian[free][:, free].tocsc(), -laplacian[free][:, ~free] @ held[~free])
    return found
