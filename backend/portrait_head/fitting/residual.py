"""Smooth offsets in the image plane that bring the head's landmarks onto the photo's."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.linalg import splu
from scipy.spatial import KDTree

from portrait_head.fitting.config import ResidualConfig
from portrait_head.fitting.landmark_fit import MESH, OVAL
from portrait_head.fitting.space import FitModel
from portrait_head.head_model.model import HeadModel
from portrait_head.rendering.camera import PinholeCamera


def residual_offsets(
    fit_model: FitModel, posed: np.ndarray, landmarks: np.ndarray, camera: PinholeCamera, config: ResidualConfig
) -> np.ndarray:
    """Offsets [V, 3] float32, metres, parallel to the image, at most `config.cap` long.

    Args:
        posed: [V, 3] metres, the head in the photo's expression.
        landmarks: [478, >= 2] pixels.
    """
    model, table = fit_model.model, fit_model.table
    on_head = camera.to_camera(table.positions(posed)[:MESH])
    metres = -on_head[:, 2:] / camera.focal
    wanted = (landmarks[:MESH, :2] - camera.project_camera(on_head)) * metres * (1.0, -1.0)
    surface = surface_vertices(model)
    carrier = csr_matrix(
        (table.weights[:MESH].ravel(), table.vertices[:MESH].ravel(), np.arange(0, 3 * MESH + 1, 3)),
        shape=(MESH, len(posed)),
    )[:, surface]
    bending = _bending(_key(model))
    # The oval of a turned head follows the outline, not the skin.
    trust = np.ones(MESH)
    trust[OVAL] = np.exp(-(1.0 - abs(camera.rotation[2, 2])) / config.oval_turn)
    # A landmark that its neighbours contradict is a wrong landmark: first a stiff surface, then a supple one.
    doubt = 1.0 / (1.0 + (np.linalg.norm(wanted - np.median(wanted, axis=0), axis=1) / (5 * config.outlier)) ** 8)
    stiff = _solve(bending * config.stiffness, carrier, trust * doubt, wanted)
    off = np.linalg.norm(wanted - carrier @ stiff, axis=1)
    field = _solve(bending * config.smoothness, carrier, trust / (1.0 + (off / config.outlier) ** 8), wanted)
    moved = np.zeros((len(posed), 2))
    moved[surface] = field
    length = np.linalg.norm(moved, axis=1, keepdims=True)
    moved *= config.cap * np.tanh(length / config.cap) / np.maximum(length, 1e-12)
    _carry_loose_parts(model, posed, moved)
    return (moved @ camera.rotation[:2]).astype(np.float32)


def _solve(bending: csr_matrix, carrier: csr_matrix, trust: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """[S, 2] the smoothest field that moves the landmarks as `wanted` [468, 2], each as far as it is trusted."""
    weighted = diags(trust) @ carrier
    return splu((bending + carrier.T @ weighted).tocsc()).solve(np.asarray(weighted.T @ wanted))


def surface_vertices(model: HeadModel) -> slice:
    """Skin and mouth cavity, which are one surface."""
    return slice(model.part("skin").vertices[0], model.part("mouth").vertices[1])


def _carry_loose_parts(model: HeadModel, posed: np.ndarray, moved: np.ndarray) -> None:
    """Lashes go with the lids under them, each eyeball as a whole with the skin around it; teeth and tongue stay."""
    skin = slice(*model.part("skin").vertices)
    tree = KDTree(posed[skin])
    lashes = slice(*model.part("lashes").vertices)
    moved[lashes] = moved[skin][tree.query(posed[lashes])[1]]
    for name in ("eye_left", "eye_right"):
        ball = slice(*model.part(name).vertices)
        moved[ball] = moved[skin][tree.query(posed[ball])[1]].mean(axis=0)


def _key(model: HeadModel) -> tuple[bytes, int]:
    surface = surface_vertices(model)
    quads = model.quads[model.part("skin").faces[0] : model.part("mouth").faces[1]]
    return np.ascontiguousarray(quads).tobytes(), surface.stop


@cache
def _bending(key: tuple[bytes, int]) -> csr_matrix:
    """[S, S] squared Laplacian of the surface, held at rest by a little."""
    quads, count = np.frombuffer(key[0], dtype=np.int32).reshape(-1, 4), key[1]
    edges = np.concatenate([quads[:, [i, (i + 1) % 4]] for i in range(4)])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    adjacent = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count)).tocsr()
    adjacent = adjacent + adjacent.T
    degree = np.asarray(adjacent.sum(axis=1)).ravel()
    laplacian = diags(np.ones(count)) - diags(1 / np.maximum(degree, 1)) @ adjacent
    return csr_matrix(laplacian.T @ laplacian + 1e-4 * diags(np.ones(count)))
