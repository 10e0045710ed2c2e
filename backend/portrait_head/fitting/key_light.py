"""Where the key light stands: the direction under which the head, as it is, explains the photo best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait_head.fitting.config import ShadingConfig
from portrait_head.fitting.illumination import GLOSS, HARMONICS, MATTE, KeyLight, light_columns
from portrait_head.rendering.raycast import RayCaster

RAY_START = 5e-4  # metres above the skin from which a sample looks for the lamp


@dataclass(frozen=True)
class LitSkin:
    """Samples of the skin and their colours.

    Attributes:
        points: [N, 3] metres, head space.
        normals: [N, 3] unit.
        view: [N, 3] unit, to the camera.
        openness: [N] share of the surroundings that each sees.
        colours: [N, 3] linear RGB of the photo.
    """

    points: np.ndarray
    normals: np.ndarray
    view: np.ndarray
    openness: np.ndarray
    colours: np.ndarray

    def thinned(self, step: int) -> LitSkin:
        """Every `step`-th sample."""
        return LitSkin(*(values[::step] for values in vars(self).values()))


def shine(direction: np.ndarray, skin: LitSkin, caster: RayCaster, config: ShadingConfig) -> KeyLight:
    """A lamp in `direction` [3] over the head of `caster`; a narrow cone of rays softens its shadows' edges."""
    side, across, ahead = _frame(direction)
    angle = np.arange(config.shadow_rays) * 2 * np.pi / config.shadow_rays
    rays = ahead + config.shadow_cone * (np.outer(np.cos(angle), side) + np.outer(np.sin(angle), across))
    rays = np.concatenate([ahead[None], rays / np.linalg.norm(rays, axis=1, keepdims=True)])
    start = skin.points + RAY_START * skin.normals
    blocked = [caster.occluded(start, np.broadcast_to(ray, start.shape)) for ray in rays]
    return KeyLight(ahead, 1.0 - np.mean(blocked, axis=0))


def find_key_light(
    skin: LitSkin, caster: RayCaster, camera: np.ndarray, config: ShadingConfig, near: np.ndarray | None = None
) -> np.ndarray | None:
    """The direction [3] of the key light, head space; None where no lamp explains anything.

    Args:
        camera: [3] its place, head space.
        near: [3] where the lamp was found before; only its neighbourhood is searched again.
    """
    thin = skin.thinned(config.key_thinning)
    if near is None:
        forward = camera / np.linalg.norm(camera)
        first = [way for way in _sphere(config.key_directions) if way @ forward > config.key_behind]
        steps = config.key_steps
    else:
        first, steps = [near], config.key_steps[-2:]
    costs = [_cost(way, thin, caster, config) for way in first]
    best, lowest = first[int(np.argmin(costs))], min(costs)
    for step in steps:
        side, across, ahead = _frame(best)
        for angle in np.arange(8) * np.pi / 4:
            way = ahead + step * (np.cos(angle) * side + np.sin(angle) * across)
            way /= np.linalg.norm(way)
            cost = _cost(way, thin, caster, config)
            if cost < lowest:
                best, lowest = way, cost
    return best if np.isfinite(lowest) else None


def _cost(direction: np.ndarray, skin: LitSkin, caster: RayCaster, config: ShadingConfig) -> float:
    """Mean robust squared difference between the photo and even skin under this lamp; infinite if it must take light.

    The harmonics are held back here: free, they explain the lamp themselves and its direction is lost.
    """
    columns = light_columns(skin.normals, skin.view, skin.openness, shine(direction, skin, caster, config), config)
    target = skin.colours / (np.median(skin.colours, axis=0) + 1e-6)
    ridge = np.full(columns.shape[1], config.light_ridge)
    ridge[1:HARMONICS] = config.search_ridge
    ridge[GLOSS] = config.gloss_ridge
    trust, error = np.ones(len(target)), np.zeros(len(target))
    for _ in range(3):
        weighted = columns * trust[:, None]
        light = np.linalg.solve(weighted.T @ columns / len(target) + np.diag(ridge), weighted.T @ target / len(target))
        error = ((target - columns @ light) ** 2).mean(axis=1)
        trust = 1 / (1 + error / config.outlier**2) ** 2
    if light[MATTE].mean() < config.least_key:
        return np.inf
    return float((error / (1 + error / config.outlier**2)).mean())


def _sphere(count: int) -> np.ndarray:
    """[count, 3] directions, evenly on a spiral."""
    index = np.arange(count) + 0.5
    height = 1 - 2 * index / count
    angle = np.pi * (1 + 5**0.5) * index
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1)


def _frame(direction: np.ndarray) -> np.ndarray:
    """[3, 3] two unit vectors square to `direction`, and itself."""
    helper = np.eye(3)[0 if abs(direction[0]) < 0.9 else 1]
    side = np.cross(helper, direction)
    side /= np.linalg.norm(side)
    return np.stack([side, np.cross(direction, side), direction])
