"""The fit's camera: its derivatives, its pinhole twin and its angles."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_head.fitting.pose import FACE_CENTRE, PARAMETERS, Pose, first_pose, rotation_of

RANGE = (0.01, 10.0)


@pytest.fixture
def pose() -> Pose:
    rotation = rotation_of(np.array([0.2, -0.4, 0.1]))
    return Pose(rotation, 2400.0, np.array([0.01, -0.02]), 0.9, np.array([250.0, 260.0]))


@pytest.fixture
def points() -> np.ndarray:
    return FACE_CENTRE + np.random.default_rng(0).normal(size=(20, 3)) * 0.06


def test_jacobian_equals_finite_differences(pose: Pose, points: np.ndarray) -> None:
    exact = pose.jacobian(pose.turned(points))
    for parameter in range(PARAMETERS):
        step = np.zeros(PARAMETERS)
        step[parameter] = 1e-6
        difference = (pose.moved(step, RANGE).project(points) - pose.moved(-step, RANGE).project(points)) / 2e-6
        assert np.allclose(exact[:, :, parameter], difference, rtol=1e-5, atol=1e-3)


def test_point_jacobian_equals_finite_differences(pose: Pose, points: np.ndarray) -> None:
    turned = pose.turned(points)
    exact = pose.point_jacobian(turned)
    for axis in range(3):
        step = np.eye(3)[axis] * 1e-7
        difference = (pose.project_turned(turned + step) - pose.project_turned(turned - step)) / 2e-7
        assert np.allclose(exact[:, :, axis], difference, rtol=1e-5, atol=1e-3)


def test_the_pinhole_camera_sees_the_same_pixels(pose: Pose, points: np.ndarray) -> None:
    assert np.allclose(pose.camera(500, 520).project(points), pose.project(points), atol=1e-8)


def test_first_pose_recovers_a_weak_perspective_view(points: np.ndarray) -> None:
    true = Pose(rotation_of(np.array([0.3, 0.5, -0.2])), 1500.0, np.array([0.02, 0.01]), 0.01, np.array([300.0, 200.0]))
    turned = true.turned(points)
    landmarks = np.column_stack([true.project_turned(turned), -turned[:, 2] * true.scale])
    found = first_pose(points, landmarks, true.centre, 0.01)
    assert np.allclose(found.rotation, true.rotation, atol=0.01)
    assert found.scale == pytest.approx(true.scale, rel=0.01)
    assert np.allclose(found.project(points), true.project(points), atol=2.0)


def test_angles_name_the_subjects_left() -> None:
    turned_left = Pose(rotation_of(np.array([0.0, np.radians(30), 0.0])), 1.0, np.zeros(2), 1.0, np.zeros(2))
    yaw, pitch, roll = turned_left.angles()
    assert (yaw, pitch, roll) == pytest.approx((30, 0, 0), abs=1e-9)
