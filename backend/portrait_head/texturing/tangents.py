"""The tangent frames in which a normal map is read, as Blender and glTF viewers make them (MikkTSpace).

Mikkelsen, "Simulation of Wrinkled Surfaces Revisited", 2008, and his reference code: a corner's tangent is the mean of
the tangents of the faces round its vertex that continue its texture, weighted by their angles there, in the plane
across the vertex's normal. Normal and tangent are interpolated as they are; the bitangent is their cross product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait_head.texturing.uv_raster import UvRaster

_AT_ONCE = 1 << 19  # texels; keeps arrays small


@dataclass(frozen=True)
class TangentFrames:
    """The frames of a quad mesh's corners. Faces on both sides of a UV seam have frames of their own, but one normal.

    Attributes:
        normals: [V, 3] unit, smooth, weighted by the faces' angles as Blender weights them.
        tangents: [G, 3] unit, along growing u.
        signs: [G] 1 or -1: bitangent = sign * normal x tangent, along growing v.
        group: [F, 4] which of the G each corner of a face has.
    """

    normals: np.ndarray
    tangents: np.ndarray
    signs: np.ndarray
    group: np.ndarray


def tangent_frames(vertices: np.ndarray, quads: np.ndarray, uvs: np.ndarray) -> TangentFrames:
    """The frames of vertices [V, 3], quads [F, 4] and corner UVs [F, 4, 2]; faces without UV area have no say."""
    vertices, uvs = np.asarray(vertices, np.float64), np.asarray(uvs, np.float64)
    normals = angle_weighted_normals(vertices, quads)
    # A quad counts as two triangles, cut along the diagonal that is shorter in the texture.
    first, second = (((uvs[:, place] - uvs[:, place + 2]) ** 2).sum(axis=1) for place in (0, 1))
    halves = np.where((first < second)[:, None, None], [[0, 1, 2], [0, 2, 3]], [[0, 1, 3], [1, 2, 3]])
    face = np.repeat(np.arange(len(quads)), 2)
    halves = halves.reshape(-1, 3)
    corners, flat = vertices[quads[face[:, None], halves]], uvs[face[:, None], halves]
    one, other = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    area = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
    along = other[:, 1:] * (corners[:, 1] - corners[:, 0]) - one[:, 1:] * (corners[:, 2] - corners[:, 0])
    along *= (np.sign(area) * (np.abs(area) > 1e-14))[:, None]
    normal = normals[quads[face[:, None], halves]]
    ahead, back = np.roll(corners, -1, axis=1) - corners, np.roll(corners, 1, axis=1) - corners
    angle = _angles(_across(ahead, normal), _across(back, normal))
    weighted = _unit(_across(along[:, None], normal)) * angle[..., None]

    upright = np.zeros(len(quads))
    np.add.at(upright, face, area)
    places = np.round(uvs * (1 << 20)).astype(np.int64)
    keys = np.concatenate([quads[..., None], places, np.repeat(upright[:, None, None] >= 0, 4, axis=1)], axis=-1)
    unique, group = np.unique(keys.reshape(-1, 4), axis=0, return_inverse=True)
    group = group.reshape(quads.shape)
    at = group[face[:, None], halves].ravel()
    summed = np.stack([np.bincount(at, weighted[..., axis].ravel(), len(unique)) for axis in range(3)], axis=1)
    return TangentFrames(normals, _unit(summed), np.where(unique[:, 3] > 0, 1.0, -1.0), group)


def into_tangent_space(
    normals: np.ndarray, frames: TangentFrames, raster: UvRaster, rows: np.ndarray | None = None
) -> np.ndarray:
    """Unit vectors [N, 3] float32 (along growing u, along growing v, out) of object-space normals [N, 3] of any length.

    Args:
        normals: at the raster's texels.
        frames: of the mesh.
        raster: of the mesh's UVs, whose triangles are its quads' halves (0, 1, 2) and (0, 2, 3).
        rows: [N] of the raster's texels that are meant; None for all.
    """
    rows = np.arange(len(normals)) if rows is None else rows
    local = np.empty((len(normals), 3), np.float32)
    weights, columns = raster.weights.data.reshape(-1, 3), raster.weights.indices.reshape(-1, 3)
    vertex_normal, tangent = frames.normals.astype(np.float32), frames.tangents.astype(np.float32)
    group_of = frames.group[:, np.array([[0, 1, 2], [0, 2, 3]])].reshape(-1, 3)
    for start in range(0, len(normals), _AT_ONCE):
        chunk, texels = slice(start, start + _AT_ONCE), rows[start : start + _AT_ONCE]
        share, group, corners = weights[texels, :, None], group_of[raster.triangle[texels]], columns[texels]
        n, t = np.zeros((len(group), 3), np.float32), np.zeros((len(group), 3), np.float32)
        for corner in range(3):
            n += vertex_normal[corners[:, corner]] * share[:, corner]
            t += tangent[group[:, corner]] * share[:, corner]
        b = _cross(n, t) * frames.signs[group[:, 0]].astype(np.float32)[:, None]
        # x t + y b + z n = normal, by Cramer's rule.
        own = normals[chunk].astype(np.float32)
        solved = [(own * _cross(b, n)).sum(1), (own * _cross(n, t)).sum(1), (own * _cross(t, b)).sum(1)]
        local[chunk] = np.stack(solved, axis=1) * np.sign((t * _cross(b, n)).sum(axis=1))[:, None]
    return (local / np.maximum(np.sqrt(np.einsum("nk,nk->n", local, local)), 1e-12)[:, None]).astype(np.float32)


def angle_weighted_normals(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """[V, 3] unit normals of a quad mesh, every face weighted by its angle at the vertex."""
    corners = np.asarray(vertices, np.float64)[quads]
    facing = _unit(np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]))
    angle = _angles(np.roll(corners, -1, axis=1) - corners, np.roll(corners, 1, axis=1) - corners)
    weighted = (facing[:, None] * angle[..., None]).reshape(-1, 3)
    count = len(vertices)
    return _unit(np.stack([np.bincount(quads.ravel(), weighted[:, axis], count) for axis in range(3)], axis=1))


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross products of [N, 3] arrays; several times faster than `np.cross`."""
    return np.stack(
        [
            a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
            a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
            a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
        ],
        axis=1,
    )


def _across(vectors: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """What of `vectors` [..., 3] lies in the plane across `normals` [..., 3]."""
    return vectors - normals * (vectors * normals).sum(axis=-1, keepdims=True)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-30)


def _angles(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.arccos(np.clip((_unit(one) * _unit(other)).sum(axis=-1), -1.0, 1.0))
