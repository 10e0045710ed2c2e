"""Cameras as tensors agree with the numpy camera, carry gradients, and orbit where their angles say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from portrait_head.rendering.camera import PinholeCamera
from portrait_head.rendering.orbit import OrbitRanges, orbit_view, sample_orbit
from portrait_head.rendering.tensor_camera import TensorCamera, look_at

CENTRE = torch.tensor([0.01, 0.05, 0.02], dtype=torch.float64)


@pytest.fixture
def pinhole():
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    return PinholeCamera(rotation, np.array([0.03, -0.02, -0.7]), 900.0, np.array([250.0, 310.0]), 512, 600)


def test_projects_as_the_numpy_camera_does(pinhole):
    points = np.random.default_rng(3).normal(size=(40, 3)) * 0.1
    camera = TensorCamera.from_pinhole(pinhole, dtype=torch.float64)
    assert np.allclose(camera.project(torch.tensor(points)).numpy(), pinhole.project(points), atol=1e-9)
    assert np.allclose(camera.position.numpy(), pinhole.position, atol=1e-12)


def test_comes_back_as_the_numpy_camera_it_was(pinhole):
    back = TensorCamera.from_pinhole(pinhole, dtype=torch.float64).to_pinhole()
    assert np.array_equal(back.rotation, pinhole.rotation)
    assert np.array_equal(back.translation, pinhole.translation)
    assert np.array_equal(back.centre, pinhole.centre)
    assert (back.focal, back.width, back.height) == (pinhole.focal, pinhole.width, pinhole.height)


def test_projection_has_gradients_to_points_and_pose(pinhole):
    camera = TensorCamera.from_pinhole(pinhole, dtype=torch.float64)
    points = torch.tensor([[0.02, 0.03, 0.05], [-0.04, 0.0, 0.02]], dtype=torch.float64, requires_grad=True)
    pose = (camera.rotation.clone().requires_grad_(), camera.translation.clone().requires_grad_())

    def project(points, rotation, translation):
        return TensorCamera(rotation, translation, 900.0, (250.0, 310.0), 512, 600).project(points)

    assert torch.autograd.gradcheck(project, (points, *pose))


def test_resized_camera_sees_the_same_picture(pinhole):
    camera = TensorCamera.from_pinhole(pinhole, dtype=torch.float64)
    points = torch.randn(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(4)) * 0.1
    assert torch.allclose(camera.resized(1024, 1200).project(points), camera.project(points) * 2)


def test_look_at_puts_the_target_in_the_middle_upright():
    eye = torch.tensor([0.3, 0.4, 0.5], dtype=torch.float64)
    camera = look_at(eye, CENTRE, 30.0, 640, 480)
    assert torch.allclose(camera.project(CENTRE), torch.tensor([320.0, 240.0], dtype=torch.float64))
    above = camera.project(CENTRE + torch.tensor([0.0, 0.05, 0.0], dtype=torch.float64))
    assert above[0] == pytest.approx(320) and above[1] < 240
    assert torch.allclose(camera.position, eye)
    assert torch.linalg.det(camera.rotation) == pytest.approx(1)


def test_field_of_view_spans_the_height():
    camera = look_at(torch.tensor([0.0, 0.0, 0.5]).double(), torch.zeros(3).double(), 40.0, 300, 200)
    top = camera.project(torch.tensor([0.0, 0.5 * math.tan(math.radians(20)), 0.0], dtype=torch.float64))
    assert top.tolist() == pytest.approx([150, 0])


def test_azimuth_zero_stands_before_the_face_and_grows_to_the_subjects_left():
    front = orbit_view(0.0, 0.0, 0.6, 30.0, CENTRE, 64, 64)
    left = orbit_view(0.0, 90.0, 0.6, 30.0, CENTRE, 64, 64)
    above = orbit_view(45.0, 0.0, 0.6, 30.0, CENTRE, 64, 64)
    assert torch.allclose(front.camera.position - CENTRE, torch.tensor([0.0, 0.0, 0.6]).double())
    assert torch.allclose(left.camera.position - CENTRE, torch.tensor([0.6, 0.0, 0.0]).double())
    assert above.camera.position[1] > CENTRE[1]


def test_sampled_views_fill_their_ranges_and_nothing_else():
    ranges = OrbitRanges()
    generator = torch.Generator().manual_seed(5)
    views = [sample_orbit(ranges, CENTRE, 64, 64, generator) for _ in range(400)]
    for name in ("elevation", "azimuth", "distance", "field_of_view"):
        low, high = getattr(ranges, name)
        values = [getattr(view, name) for view in views]
        assert low <= min(values) < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < max(values) <= high
    for view in views[:20]:
        assert float((view.camera.position - CENTRE).norm()) == pytest.approx(view.distance)
        assert torch.allclose(view.camera.project(CENTRE), torch.tensor([32.0, 32.0]).double())


def test_equal_seeds_give_equal_views():
    first, second = (
        sample_orbit(OrbitRanges(), CENTRE, 64, 64, torch.Generator().manual_seed(6)).camera for _ in range(2)
    )
    assert torch.equal(first.rotation, second.rotation) and torch.equal(first.translation, second.translation)
