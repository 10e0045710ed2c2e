"""The light of the photo: a key light that casts shadows and shines, and what comes from everywhere else.

Everything else is a second-order expansion in spherical harmonics (Ramamoorthi and Hanrahan 2001), less where the skin
lies in folds. A single lamp is sharper than nine harmonics can be: without a column of its own its error is taken for
shape, and differently under every light.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait_head.fitting.config import ShadingConfig
from portrait_head.fitting.harmonics import sh_gradient
from portrait_head.rendering.lighting import sh_basis

HARMONICS = 9
MATTE, GLOSS = HARMONICS, HARMONICS + 1  # the key light's columns


@dataclass(frozen=True)
class KeyLight:
    """One lamp.

    Attributes:
        direction: [3] unit vector towards it, head space.
        reach: [N] the share of it that reaches each sample past the rest of the head, 0 to 1.
    """

    direction: np.ndarray
    reach: np.ndarray


@dataclass(frozen=True)
class Illumination:
    """Light and albedo, in units of the face's mean colour.

    Attributes:
        light: [L, 3] for each colour channel: nine harmonics of the head space, and the key light's two columns.
        albedo: [Q, 3] weights of the samples' polynomials; the albedo's mean is 1.
        colour: [3] linear RGB, the unit.
    """

    light: np.ndarray
    albedo: np.ndarray
    colour: np.ndarray


def light_columns(
    normals: np.ndarray, view: np.ndarray, openness: np.ndarray, key: KeyLight | None, config: ShadingConfig
) -> np.ndarray:
    """What each unit of light does at the samples: [N, 9], and with a key light [N, 11].

    Args:
        normals, view: [N, 3] unit vectors, head space; `view` points to the camera.
        openness: [N] share of the surroundings that each sample sees.
    """
    around = sh_basis(normals) * openness[:, None]
    if key is None:
        return around
    matte = key.reach * np.maximum(normals @ key.direction + config.key_wrap, 0.0) / (1 + config.key_wrap)
    gloss = key.reach * np.maximum((normals * _halfway(view, key)).sum(axis=1), 0.0) ** config.gloss_power
    return np.column_stack([around, matte, gloss])


def light_gradients(
    normals: np.ndarray, view: np.ndarray, openness: np.ndarray, key: KeyLight | None, config: ShadingConfig
) -> np.ndarray:
    """[N, L, 3] derivative of `light_columns` by the normal, shadows held."""
    around = sh_gradient(normals) * openness[:, None, None]
    if key is None:
        return around
    lit = key.reach * (normals @ key.direction + config.key_wrap > 0) / (1 + config.key_wrap)
    halfway = _halfway(view, key)
    cosine = np.maximum((normals * halfway).sum(axis=1), 0.0)
    shine = key.reach * config.gloss_power * cosine ** (config.gloss_power - 1)
    return np.concatenate(
        [around, (lit[:, None] * key.direction)[:, None], (shine[:, None] * halfway)[:, None]], axis=1
    )


def light_ridges(columns: int, config: ShadingConfig) -> np.ndarray:
    """[L] ridge of each column, against the mean square of the residuals."""
    ridge = np.full(columns, config.light_ridge)
    if columns > HARMONICS:
        ridge[4:HARMONICS] = config.bent_ridge
        ridge[GLOSS] = config.gloss_ridge
    return ridge


def _halfway(view: np.ndarray, key: KeyLight) -> np.ndarray:
    """[N, 3] unit vectors between the camera and the lamp (Blinn 1977)."""
    middle = view + key.direction
    return middle / np.linalg.norm(middle, axis=1, keepdims=True)
