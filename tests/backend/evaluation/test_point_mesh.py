"""Triangles found from points alone cover the surface, once, facing outwards, and leave openings open."""

from __future__ import annotations

import numpy as np
from portrait_head.evaluation.point_mesh import triangulate_points
from portrait_head.geometry.surface import vertex_normals


def edge_counts(triangles: np.ndarray) -> np.ndarray:
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    return np.unique(edges, axis=0, return_counts=True)[1]


def sphere(count: int) -> np.ndarray:
    z = 1 - (2 * np.arange(count) + 1) / count
    angle = np.pi * (1 + 5**0.5) * np.arange(count)
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def test_a_sphere_is_closed_and_faces_outwards():
    points = sphere(1500)
    triangles = triangulate_points(points, ())
    # Euler: a closed surface of genus 0 has 2V - 4 triangles and every edge two of them.
    assert len(triangles) == 2 * len(points) - 4
    assert (edge_counts(triangles) == 2).all()
    assert (np.einsum("vk,vk->v", vertex_normals(points, triangles), points) > 0.98).all()


def test_lips_that_touch_stay_apart_when_a_movement_parts_them():
    # Two sheets 2 % of a spacing apart: the lower one drops in the second pose.
    across, along = np.meshgrid(np.arange(24), np.arange(8), indexing="ij")
    upper = np.stack([across, along, np.zeros_like(across)], axis=-1).reshape(-1, 3) * 1.0
    # Uneven, as any real head: the corners of a square lie on one circle and leave its diagonal open.
    upper[:, :2] += 0.12 * np.random.default_rng(0).random((len(upper), 2))
    lower = upper * [1, -1, 1] - [0, 0.02, 0]
    points = np.concatenate([upper, lower])
    drop = np.concatenate([np.zeros_like(upper), np.tile([0, -6.0, 0], (len(lower), 1))])
    triangles = triangulate_points(points, (drop,))
    upper_corners = (triangles < len(upper)).sum(axis=1)
    assert set(upper_corners) == {0, 3}
    assert edge_counts(triangles).max() == 2
    corners = points[triangles]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
    # Two sheets of 23 by 7; their uneven borders may be bridged by slivers.
    assert abs(area / (2 * 23 * 7) - 1) < 0.03


def test_the_head_is_whole_but_for_eyes_mouth_and_neck(heads):
    skin = heads.neutral[: heads.scleras[0].start]
    counts = edge_counts(heads.triangles)
    assert counts.max() == 2
    # Lids, lips and neck are open: some two hundred edges; the ears may miss a few triangles.
    assert (counts == 1).sum() < 400
    assert len(np.unique(heads.triangles)) > 0.999 * len(skin)
    normals = vertex_normals(skin, heads.triangles)
    assert normals[heads.face, 2].min() > 0
