"""Offsets that take up what the coefficients cannot, and the eyes' direction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from portrait_head.fitting.config import FitConfig
from portrait_head.fitting.gaze import eyeball, find_gaze, turn_eyes
from portrait_head.fitting.pose import Pose
from portrait_head.fitting.residual import residual_offsets
from portrait_head.fitting.space import FitModel

CONFIG = FitConfig().residual


def test_residual_brings_landmarks_home_smoothly(fit_model: FitModel, view: Callable[..., Pose]) -> None:
    camera = view(5).camera(500, 500)
    head = fit_model.vertices.mean
    landmarks = camera.project(fit_model.landmarks.mean)
    across, up = (landmarks - landmarks.mean(axis=0)).T / 100
    bent = landmarks + np.stack([2 * np.sin(2 * across), 1.5 * up**2], axis=1)
    offsets = residual_offsets(fit_model, head, bent, camera, CONFIG)
    after = camera.project(fit_model.table.positions(head + offsets))[:468]
    before = np.linalg.norm(bent - landmarks, axis=1)[:468].mean()
    assert np.linalg.norm(after - bent[:468], axis=1).mean() < 0.2 * before
    assert np.linalg.norm(offsets, axis=1).max() <= CONFIG.cap
    assert np.abs(offsets @ camera.rotation[2]).max() < 1e-6  # nothing towards the camera
    quads = fit_model.model.quads[slice(*fit_model.model.part("skin").faces)]
    edges = np.stack([quads, np.roll(quads, -1, axis=1)], axis=-1).reshape(-1, 2)
    stretch = np.linalg.norm(np.diff(offsets[edges], axis=1), axis=-1)
    assert np.percentile(stretch, 99) < 0.0006


def test_a_wild_landmark_does_not_tear_the_skin(fit_model: FitModel, view: Callable[..., Pose]) -> None:
    camera = view().camera(500, 500)
    landmarks = camera.project(fit_model.landmarks.mean)
    landmarks[50] += 80.0
    offsets = residual_offsets(fit_model, fit_model.vertices.mean, landmarks, camera, CONFIG)
    assert np.linalg.norm(offsets, axis=1).max() < 0.0005


def test_eyeballs_move_as_wholes(fit_model: FitModel, view: Callable[..., Pose]) -> None:
    camera = view().camera(500, 500)
    landmarks = camera.project(fit_model.landmarks.mean) + np.array([3.0, 1.0])
    offsets = residual_offsets(fit_model, fit_model.vertices.mean, landmarks, camera, CONFIG)
    for name in ("eye_left", "eye_right"):
        ball = offsets[slice(*fit_model.model.part(name).vertices)]
        assert np.ptp(ball, axis=0).max() < 1e-6
        assert ball[0, 0] > 0.0005


def test_gaze_is_found_again(fit_model: FitModel, view: Callable[..., Pose]) -> None:
    model, table = fit_model.model, fit_model.table
    head = fit_model.vertices.mean
    wanted = np.radians([[12.0, -6.0], [12.0, -6.0]])
    camera = view(15, 5).camera(500, 500)
    straight = find_gaze(model, head, camera.project(table.positions(head)), camera)
    turned = camera.project(table.positions(turn_eyes(model, head, wanted)))
    found = find_gaze(model, head, turned, camera)
    assert np.abs(np.degrees(straight)).max() < 3.0
    assert np.abs(np.degrees(found - wanted)).max() < 4.0


def test_turned_eyes_stay_in_their_sockets(fit_model: FitModel) -> None:
    head = fit_model.vertices.mean
    turned = turn_eyes(fit_model.model, head, np.radians([[20.0, 10.0], [20.0, 10.0]]))
    for name in ("eye_left", "eye_right"):
        assert np.allclose(
            eyeball(fit_model.model, turned, name)[0], eyeball(fit_model.model, head, name)[0], atol=5e-4
        )
        span = slice(*fit_model.model.part(name).vertices)
        front = head[span][:, 2].argmax()
        assert turned[span][front, 0] > head[span][front, 0] + 0.003  # to the subject's left
        assert turned[span][front, 1] > head[span][front, 1] + 0.001  # up
    skin = slice(*fit_model.model.part("skin").vertices)
    assert np.array_equal(turned[skin], head[skin])
