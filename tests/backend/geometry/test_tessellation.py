"""Tessellation keeps what is flat, rounds what is round and leaves no gap."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_head.geometry.solids import common, join
from portrait_head.geometry.tessellation import phong_tessellation
from scipy.spatial import ConvexHull


def sphere(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    points = np.random.default_rng(0).normal(size=(count, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    triangles = ConvexHull(points).simplices.astype(np.int64)
    inward = np.linalg.det(points[triangles]) < 0
    triangles[inward] = triangles[inward][:, ::-1]
    return points, triangles


def test_new_vertices_of_a_sphere_come_nearer_to_it() -> None:
    points, triangles = sphere()
    finer, smaller, edges = phong_tessellation(points, triangles, points)
    assert np.array_equal(finer[: len(points)], points)
    flat = 1 - np.linalg.norm(points[edges].mean(axis=1), axis=1)
    curved = 1 - np.linalg.norm(finer[len(points) :], axis=1)
    assert np.abs(curved).mean() < 0.5 * np.abs(flat).mean()
    directed = np.stack([smaller, np.roll(smaller, -1, axis=1)], axis=-1).reshape(-1, 2)
    back = {tuple(edge) for edge in directed[:, ::-1].tolist()}
    assert {tuple(edge) for edge in directed.tolist()} == back  # closed, and wound alike


def test_a_plane_stays_flat() -> None:
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    finer, triangles, _ = phong_tessellation(corners, np.array([[0, 1, 2]]), np.tile([0.0, 0, 1], (3, 1)))
    assert not finer[:, 2].any()
    assert len(triangles) == 4


def test_a_union_is_rounded_only_where_both_bodies_end() -> None:
    first, second = np.meshgrid(np.linspace(-1, 1, 21), np.linspace(-1, 1, 21))
    both = join(first, second, 0.2)
    apart = np.abs(first - second) > 0.2
    assert both[apart] == pytest.approx(np.maximum(first, second)[apart])
    assert (both >= np.maximum(first, second)).all()
    assert (both <= np.maximum(first, second) + 0.05 + 1e-12).all()  # a quarter of the width at most
    assert common(first, second, 0.2) == pytest.approx(-join(-first, -second, 0.2))
