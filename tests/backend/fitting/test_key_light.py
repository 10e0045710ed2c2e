"""The lamp is found where it stands, from a head lit by it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from portrait_head.fitting.config import ShadingConfig
from portrait_head.fitting.illumination import light_columns
from portrait_head.fitting.key_light import LitSkin, find_key_light, shine
from portrait_head.fitting.pose import Pose
from portrait_head.fitting.space import FitModel
from portrait_head.fitting.surface_samples import surface_samples
from portrait_head.rendering.raycast import RayCaster

CONFIG = ShadingConfig()


@pytest.fixture(scope="module")
def caster(fit_model: FitModel) -> RayCaster:
    return RayCaster(fit_model.vertices.mean, fit_model.model.triangles())


@pytest.fixture
def camera(view: Callable[..., Pose]) -> np.ndarray:
    return view().camera(1, 1).position


@pytest.fixture
def skin(fit_model: FitModel, camera: np.ndarray) -> LitSkin:
    """The facing samples of the mean face, not yet lit."""
    samples = surface_samples(fit_model, CONFIG)
    normals = np.cross(samples.first.mean, samples.second.mean)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    sight = camera - samples.points.mean
    sight /= np.linalg.norm(sight, axis=1, keepdims=True)
    facing = (normals * sight).sum(axis=1) > 0.1
    points = samples.points.mean[facing]
    return LitSkin(points, normals[facing], sight[facing], samples.openness[facing], np.zeros((facing.sum(), 3)))


def _lit(skin: LitSkin, caster: RayCaster, direction: np.ndarray, strength: float) -> LitSkin:
    light = np.zeros((11, 3))
    light[0], light[1], light[9], light[10] = 0.8, 0.1, strength, 0.3 * strength
    key = shine(direction, skin, caster, CONFIG)
    colours = light_columns(skin.normals, skin.view, skin.openness, key, CONFIG) @ (light * (0.5, 0.4, 0.3))
    return LitSkin(skin.points, skin.normals, skin.view, skin.openness, colours)


@pytest.mark.parametrize("direction", [(0.7, 0.5, 0.6), (-0.5, 0.7, 0.5), (0.2, 0.1, 1.0), (-0.9, 0.2, 0.3)])
def test_the_lamp_is_found_within_five_degrees(
    skin: LitSkin, caster: RayCaster, camera: np.ndarray, direction: tuple[float, float, float]
) -> None:
    true = np.array(direction) / np.linalg.norm(direction)
    found = find_key_light(_lit(skin, caster, true, 0.8), caster, camera, CONFIG)
    assert found is not None
    assert np.degrees(np.arccos(min(found @ true, 1.0))) < 5


def test_near_the_old_place_it_is_found_again(skin: LitSkin, caster: RayCaster, camera: np.ndarray) -> None:
    true = np.array([0.7, 0.5, 0.6]) / np.linalg.norm([0.7, 0.5, 0.6])
    near = true + (0.05, -0.04, 0.0)
    found = find_key_light(_lit(skin, caster, true, 0.8), caster, camera, CONFIG, near / np.linalg.norm(near))
    assert found is not None
    assert found @ true > near @ true / np.linalg.norm(near)


def test_the_nose_shades_the_other_cheek(skin: LitSkin, caster: RayCaster) -> None:
    low = shine(np.array([0.95, 0.0, 0.3]) / np.linalg.norm([0.95, 0.0, 0.3]), skin, caster, CONFIG)
    beside = (skin.points[:, 0] < -0.015) & (skin.points[:, 0] > -0.03) & (skin.normals @ low.direction > 0.05)
    assert low.reach[beside].min() < 0.1
    assert low.reach[skin.points[:, 0] > 0.03].mean() > 0.9
