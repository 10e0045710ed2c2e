"""Taking the photo's light out of the skin: smooth shading, one-sided shadow, shine.

Everything but the shine is estimated at the vertices of the head, where light on skin is smooth enough, so it does not
depend on the size of the texture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from portrait_head.rendering.lighting import LUMINANCE, sh_basis
from portrait_head.texturing.surface_fill import fill

_CREASE_FROM = 0.04  # log luminance: shallower unevenness belongs to the skin
_CREASE_LIMIT = 0.7  # deeper than any fold: a mole, a scar, a beard stays


@dataclass(frozen=True)
class DelightConfig:
    """Tuned on portraits in soft, hard, outdoor and stage light."""

    ridge: tuple[float, float, float] = (0.0, 0.003, 0.03)  # for orders 0, 1, 2, per unit of trust
    outlier: float = 0.16  # relative residual that halves a vertex's say
    iterations: int = 10
    darkest: float = 0.30  # of the reference: nothing is brightened further than the inverse of this
    brightest: float = 2.5
    least_vertices: int = 60  # fewer say nothing about the light
    shine_from: float = 0.13  # log luminance over the skin's own
    shine_kept: float = 0.35  # share of what is above
    uneven_hue: float = 0.9  # share of smooth unevenness of hue that is coloured or clipped light, not skin
    uneven_light: float = 0.30  # share of smooth unevenness of brightness that is shadow, not beard or blush
    one_sided_limit: float = 0.8  # log; more than this between left and right is not light alone


def shading(
    normals: np.ndarray, linear: np.ndarray, trust: np.ndarray, config: DelightConfig = DelightConfig()
) -> np.ndarray | None:
    """Light on skin of one albedo, fitted for each channel on its own (one for all leaves orange shadows).

    Args:
        normals: [V, 3] unit.
        linear: [V, 3] linear colours.
        trust: [V], 0 to 1, how surely a vertex is plain skin seen by the photo.

    Returns:
        [V, 3] positive, about 1 where the skin is lit as it mostly is; None where too little skin is seen.
    """
    used = np.flatnonzero(trust > 0.15)
    if len(used) < config.least_vertices:
        return None
    basis = sh_basis(normals.astype(np.float64))
    design, weight = basis[used], trust[used].astype(np.float64)
    values = linear[used].astype(np.float64)
    ridge = np.repeat(config.ridge, (1, 3, 5)) * weight.sum()
    say = weight.copy()
    light = np.zeros((9, 3))
    for _ in range(config.iterations):
        normal = design.T @ (say[:, None] * design)
        light = np.linalg.solve(normal + np.diag(ridge + 1e-9), design.T @ (say[:, None] * values))
        predicted = design @ light
        relative = ((values - predicted) @ LUMINANCE) / np.maximum(predicted @ LUMINANCE, 0.01)
        say = weight / (1 + (relative / config.outlier) ** 2)
    fitted = basis @ light
    reference = np.array([_weighted_median(fitted[used, channel], say) for channel in range(3)])
    return np.clip(fitted / np.maximum(reference, 1e-3), config.darkest, config.brightest).astype(np.float32)


def one_sided(
    linear: np.ndarray,
    trust: np.ndarray,
    mirror: np.ndarray,
    laplacian: csr_matrix,
    config: DelightConfig = DelightConfig(),
) -> np.ndarray:
    """What makes one side of the face darker than the other, as a log gain [V, 3]: cast shadow, mostly.

    Args:
        linear: [V, 3] linear colours, smooth shading already taken out.
        trust: [V], plain skin seen by the photo.
        mirror: [V] the vertex on the other side.
        laplacian: of the head's mesh.
    """
    log = np.log(np.maximum(linear, 1e-3))
    half = np.clip((log - log[mirror]) / 2, -config.one_sided_limit, config.one_sided_limit)
    both = np.minimum(trust, trust[mirror])
    return fill(laplacian, half, both, np.zeros(3), smoothness=1.0, pull=0.02)


def darker_than_mirror(linear: np.ndarray, trust: np.ndarray, mirror: np.ndarray, laplacian: csr_matrix) -> np.ndarray:
    """How much darker [V] than its mirror image a place is in the photo: log luminance, carried on where unseen."""
    log = np.log(np.maximum(linear @ LUMINANCE, 1e-3))[:, None]
    both = np.minimum(trust, trust[mirror])
    return fill(laplacian, log[mirror] - log, both, np.zeros(1), smoothness=1.0, pull=1e-3)[:, 0]


def uneven(
    linear: np.ndarray, trust: np.ndarray, laplacian: csr_matrix, config: DelightConfig = DelightConfig()
) -> np.ndarray:
    """What is left of the light after `shading` and `one_sided`, as a log gain [V, 3]: a part of all that is smooth.

    Args:
        linear: [V, 3] linear colours, shading already taken out.
        trust: [V], plain skin seen by the photo.
        laplacian: of the head's mesh.
    """
    used = np.flatnonzero(trust > 0.15)
    if len(used) < config.least_vertices:
        return np.zeros_like(linear)
    log = np.log(np.maximum(linear, 1e-3))
    brightness = log @ LUMINANCE
    hue = log - brightness[:, None]
    hue = config.uneven_hue * np.clip(hue - np.median(hue[used], axis=0), -0.6, 0.6)
    light = config.uneven_light * np.clip(brightness - np.median(brightness[used]), -0.7, 0.7)
    return fill(laplacian, hue + light[:, None], trust, np.zeros(3), smoothness=0.6, pull=0.02)


def without_shine(
    linear: np.ndarray, base: np.ndarray, amount: np.ndarray, config: DelightConfig = DelightConfig()
) -> np.ndarray:
    """Texels [N, 3] with highlights pressed down towards the skin around and given its hue.

    Args:
        linear: [N, 3] linear colours.
        base: [N, 3] smooth skin colour at the same places.
        amount: [N], 0 to 1.
    """
    luminance = np.maximum(linear @ LUMINANCE, 1e-4)
    base_luminance = np.maximum(base @ LUMINANCE, 1e-4)
    over = np.log(luminance / base_luminance) - config.shine_from
    excess = np.maximum(over, 0.0) * amount
    pressed = luminance * np.exp(-(1 - config.shine_kept) * excess)
    hue = base / base_luminance[:, None]
    share = np.clip(excess / 0.4, 0.0, 0.8)[:, None]
    own = linear / luminance[:, None]
    return pressed[:, None] * (own + (hue - own) * share)


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(cumulative, cumulative[-1] / 2)]])


def without_creases(linear: np.ndarray, base: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Texels [N, 3] with the folds of an expression made shallower: what is darker than the skin around is lifted.

    Args:
        linear: [N, 3] linear colours.
        base: [N, 3] smooth skin colour at the same places.
        amount: [N], 0 (leave) to 1 (no fold remains).
    """
    under = np.log(np.maximum(base @ LUMINANCE, 1e-4) / np.maximum(linear @ LUMINANCE, 1e-4))
    lift = np.clip(under - _CREASE_FROM, 0.0, _CREASE_LIMIT) * amount
    luminance = np.maximum(linear @ LUMINANCE, 1e-4)
    own = linear / luminance[:, None]
    hue = base / np.maximum(base @ LUMINANCE, 1e-4)[:, None]
    # A fold is not only darker but redder: light in it has passed through skin.
    share = np.clip(lift / 0.15, 0.0, 0.8)[:, None]
    return ((luminance * np.exp(lift))[:, None] * (own + (hue - own) * share)).astype(np.float32)
