"""Normals of meshes point outwards and have the gradients of finite differences."""

from __future__ import annotations

import torch
from portrait_head.rendering.normals import face_normals, vertex_normals

from tests.backend.rendering.meshes import box, globe


def test_normals_of_a_sphere_are_its_radii():
    vertices, triangles = globe(40, 60)
    assert torch.allclose(vertex_normals(vertices, triangles), vertices / 0.1, atol=0.02)  # a quarter of a ring
    middles = vertices[triangles].mean(dim=1)
    assert bool(((face_normals(vertices, triangles) * middles).sum(dim=1) > 0).all())


def test_normals_without_unit_length_sum_to_the_area():
    vertices, triangles = box(0.5)
    assert torch.allclose(
        face_normals(vertices, triangles, unit=False).norm(dim=1).sum() / 2, torch.tensor(6.0).double()
    )


def test_vertices_without_triangles_and_flat_triangles_have_no_normal():
    vertices = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 1.0, 0.0]], requires_grad=True)
    normals = vertex_normals(vertices, torch.tensor([[0, 1, 2]]))
    assert torch.equal(normals, torch.zeros(4, 3))
    (gradient,) = torch.autograd.grad(normals.sum(), vertices)
    assert bool(gradient.isfinite().all())


def test_gradients_are_those_of_finite_differences():
    vertices, triangles = globe(4, 5)
    assert torch.autograd.gradcheck(lambda moved: vertex_normals(moved, triangles), vertices.clone().requires_grad_())


def test_same_input_gives_the_same_bits_forwards_and_backwards():
    vertices, triangles = globe(150, 200)

    def gradient():
        moved = vertices.float().requires_grad_()
        return torch.autograd.grad((vertex_normals(moved, triangles) ** 3).sum(), moved)[0]

    assert torch.equal(gradient(), gradient())
