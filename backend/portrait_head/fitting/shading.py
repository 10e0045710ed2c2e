"""What light and shade of the photo tell about the shape.

At every sample of the skin the photo's colour is compared with albedo times light: the light that of `illumination`,
the albedo a low-order polynomial over the face, both solved for each channel. Gauss-Newton moves the same unknowns as
the landmark fit; light and albedo are eliminated from its normal equations (variable projection, Golub and Pereyra
1973). What light and albedo cannot explain loses its weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.fitting.config import ShadingConfig
from portrait_head.fitting.illumination import Illumination, KeyLight, light_columns, light_gradients, light_ridges
from portrait_head.fitting.landmark_fit import State
from portrait_head.fitting.pose import PARAMETERS
from portrait_head.fitting.surface_samples import SurfaceSamples
from portrait_head.rendering.lighting import srgb_to_linear

FOREHEAD, CHIN = 10, 152  # MediaPipe face mesh indices
MARGIN = 0.2  # of the face's height kept around its landmarks


class Pyramid:
    """The face in linear light at the size and the blurs of the shading term."""

    def __init__(self, image: np.ndarray, landmarks: np.ndarray, config: ShadingConfig) -> None:
        height = float(np.linalg.norm(landmarks[FOREHEAD, :2] - landmarks[CHIN, :2]))
        self._factor = min(1.0, config.face_pixels / max(height, 1.0))
        margin = MARGIN * height
        low = np.floor(landmarks[:, :2].min(axis=0) - margin).astype(int)
        high = np.ceil(landmarks[:, :2].max(axis=0) + margin).astype(int)
        low = np.clip(low, 0, np.array(image.shape[1::-1]) - 8)
        high = np.clip(high, low + 8, image.shape[1::-1])
        linear = srgb_to_linear(image[low[1] : high[1], low[0] : high[0]])
        size = np.maximum(np.round((high - low) * self._factor).astype(int), 4)
        self._scale = size / (high - low)
        self._low = low
        if self._factor < 1.0:
            linear = cv2.resize(linear, (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA)
        self._linear = linear

    def level(self, blur: float) -> Level:
        """The face blurred by `blur` pixels of its own."""
        smooth = cv2.GaussianBlur(self._linear, (0, 0), blur, borderType=cv2.BORDER_REPLICATE)
        across = cv2.Sobel(smooth, -1, 1, 0, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE)
        down = cv2.Sobel(smooth, -1, 0, 1, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE)
        return Level(np.concatenate([smooth, across, down], axis=2), self._low, self._scale)


@dataclass(frozen=True)
class Level:
    """A blurred picture with its slopes.

    Attributes:
        values: [H, W, 9] float32: colours, then their differences across and down.
        low: [2] the photo's pixel at its upper left corner.
        scale: [2] its pixels for one of the photo's.
    """

    values: np.ndarray
    low: np.ndarray
    scale: np.ndarray

    def at(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Colours [N, 3] and their slopes [N, 2, 3] by the photo's pixel coordinates, at its `pixels` [N, 2]."""
        values = bilinear(self.values, (pixels - self.low) * self.scale)
        return values[:, :3], values[:, 3:].reshape(-1, 2, 3) * self.scale[:, None]


@dataclass(frozen=True)
class Geometry:
    """The samples of one state, and what the photo shows there.

    Attributes:
        points: [N, 3] metres, head space.
        turned: [N, 3] the points along the camera's axes.
        view: [N, 3] unit vectors to the camera, head space.
        first, second: [N, 3] tangents.
        normals: [N, 3] unit normals, head space.
        length: [N] of the tangents' cross product.
        key: the lamp, if there is one.
        basis: [N, L] what each unit of light does there.
        colours: [N, 3] of the photo.
        slopes: [N, 2, 3] of the photo's colours by the pixel.
    """

    points: np.ndarray
    turned: np.ndarray
    view: np.ndarray
    first: np.ndarray
    second: np.ndarray
    normals: np.ndarray
    length: np.ndarray
    key: KeyLight | None
    basis: np.ndarray
    colours: np.ndarray
    slopes: np.ndarray


class ShadingTerm:
    """Half the weighted squared differences between the photo and the shaded head."""

    def __init__(self, samples: SurfaceSamples, level: Level, config: ShadingConfig) -> None:
        self._samples = samples
        self._level = level
        self._config = config
        self._tangents = np.concatenate([samples.first.modes, samples.first.expressions])
        self._others = np.concatenate([samples.second.modes, samples.second.expressions])
        self._moves = np.concatenate([samples.points.modes, samples.points.expressions])

    def geometry(self, state: State, key: KeyLight | None = None) -> Geometry:
        """The samples on the head of `state`, under the lamp `key`."""
        unknowns = np.concatenate([state.scores, state.weights])
        samples = self._samples
        points = samples.points.mean + _combined(unknowns, self._moves)
        first = samples.first.mean + _combined(unknowns, self._tangents)
        second = samples.second.mean + _combined(unknowns, self._others)
        normal = np.cross(first, second)
        length = np.maximum(np.linalg.norm(normal, axis=1), 1e-12)
        normal /= length[:, None]
        turned = state.pose.turned(points)
        colours, slopes = self._level.at(state.pose.project_turned(turned))
        view = state.pose.camera(1, 1).position - points
        view /= np.linalg.norm(view, axis=1, keepdims=True)
        basis = light_columns(normal, view, samples.openness, key, self._config)
        return Geometry(points, turned, view, first, second, normal, length, key, basis, colours, slopes)

    def illuminate(self, seen: Geometry, start: Illumination | None = None) -> Illumination:
        """The light and the albedo that explain the photo best on this geometry, bettering `start`."""
        polynomial = self._samples.polynomial
        rounds = self._config.light_rounds
        light_ridge = light_ridges(seen.basis.shape[1], self._config)
        albedo_ridge = np.full(polynomial.shape[1], self._config.albedo_ridge)
        if start is None or len(start.light) != seen.basis.shape[1]:
            light = np.zeros((seen.basis.shape[1], 3))
            start = Illumination(light, np.zeros((polynomial.shape[1], 3)), np.median(seen.colours, axis=0) + 1e-6)
            trust, rounds = np.ones(len(polynomial)), 3 * rounds
        else:
            trust = self._trust(self.residual(seen, start), seen, start)
        target = seen.colours / start.colour
        light, albedo = start.light, start.albedo
        for _ in range(rounds):
            tint = 1 + polynomial @ albedo
            light = _ridge(seen.basis, tint, target, trust, light_ridge)
            shade = seen.basis @ light
            albedo = _ridge(polynomial, shade, target - shade, trust, albedo_ridge)
            bettered = Illumination(light, albedo, start.colour)
            trust = self._trust(self.residual(seen, bettered), seen, bettered)
        return Illumination(light, albedo, start.colour)

    def normal_equations(
        self, state: State, seen: Geometry, illumination: Illumination
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gauss-Newton Hessian [P, P] and gradient [P] by pose (7), scores and weights, light and albedo eliminated."""
        residual, jacobian, inner = self.rows(state, seen, illumination)
        scale = self._config.weight / self._config.noise**2
        root = np.sqrt(self._trust(residual, seen, illumination) * scale / len(residual))
        shares = np.sqrt(self._config.channels)
        count, own = jacobian.shape[2], inner.shape[2]
        ridge = np.full(own, self._config.albedo_ridge * scale)
        ridge[: seen.basis.shape[1]] = light_ridges(seen.basis.shape[1], self._config) * scale
        hessian, gradient = np.zeros((count, count)), np.zeros(count)
        for channel in range(3):
            stacked = np.concatenate([jacobian[channel], inner[channel], residual[:, channel, None]], axis=1)
            stacked *= shares[channel] * root[:, None]
            products = stacked.T @ stacked
            held = np.concatenate([illumination.light[:, channel], illumination.albedo[:, channel]])
            within = products[count:-1, count:-1] + np.diag(ridge * self._config.channels[channel])
            across = products[:count, count:-1]
            solved = np.linalg.solve(
                within,
                np.column_stack([across.T, products[count:-1, -1] + ridge * self._config.channels[channel] * held]),
            )
            hessian += products[:count, :count] - across @ solved[:, :-1]
            gradient += products[:count, -1] - across @ solved[:, -1]
        return hessian, gradient

    def rows(
        self, state: State, seen: Geometry, illumination: Illumination
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Residuals [N, 3] (photo less head, units of the face's colour) and their derivatives.

        Returns:
            residuals [N, 3], [3, N, P] by pose, scores and weights, [3, N, L + Q] by light and albedo.
        """
        pose, polynomial = state.pose, self._samples.polynomial
        bend = light_gradients(seen.normals, seen.view, self._samples.openness, seen.key, self._config)
        columns = seen.basis.shape[1]
        by_point = pose.point_jacobian(seen.turned)
        by_pose = pose.jacobian(seen.turned)
        jacobian = np.empty((3, len(polynomial), PARAMETERS + len(self._moves)))
        inner = np.empty((3, len(polynomial), columns + polynomial.shape[1]))
        for channel in range(3):
            slope = seen.slopes[:, :, channel] / illumination.colour[channel]
            tint = 1 + polynomial @ illumination.albedo[:, channel]
            shade = seen.basis @ illumination.light[:, channel]
            jacobian[channel, :, :PARAMETERS] = np.einsum("ni,nip->np", slope, by_pose)
            moving = np.einsum("ni,nij->nj", slope, by_point) @ pose.rotation
            tilt = np.einsum("nkd,k->nd", bend, illumination.light[:, channel]) * (tint / seen.length)[:, None]
            tilt -= seen.normals * (tilt * seen.normals).sum(axis=1, keepdims=True)
            shape = _paired(self._moves, moving)
            shape -= _paired(self._tangents, np.cross(seen.second, tilt))
            shape -= _paired(self._others, np.cross(tilt, seen.first))
            jacobian[channel, :, PARAMETERS:] = shape
            inner[channel, :, :columns] = -seen.basis * tint[:, None]
            inner[channel, :, columns:] = -polynomial * shade[:, None]
        return self.residual(seen, illumination), jacobian, inner

    def residual(self, seen: Geometry, illumination: Illumination) -> np.ndarray:
        """[N, 3] photo less head, in units of the face's colour."""
        tint = 1 + self._samples.polynomial @ illumination.albedo
        return seen.colours / illumination.colour - tint * (seen.basis @ illumination.light)

    def _trust(self, residual: np.ndarray, seen: Geometry, illumination: Illumination) -> np.ndarray:
        """[N] weights after Geman and McClure, one for the three channels: a shadow darkens all of them.

        The edges of the key light's own shadows are believed least: they move with the smallest error of the shape.

        What skin differs from the model by (pores, stubble, freckles) is a share of the light that falls on it, so dark
        sides are believed to a finer difference than bright ones.
        """
        floor = self._config.dark_floor
        scale = (floor + 1) / (floor + (seen.colours / illumination.colour).mean(axis=1))
        trust = scale**2 / (1 + (residual**2).mean(axis=1) * scale**2 / self._config.outlier**2) ** 2
        if seen.key is not None:
            trust *= 1 - self._config.edge_doubt * seen.key.reach * (1 - seen.key.reach)
        return trust


def bilinear(image: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Values [N, C] of `image` [H, W, C] at `pixels` [N, 2] (x, y; pixel centres at .5), the border repeated."""
    height, width = image.shape[:2]
    place = np.clip(pixels - 0.5, 0, np.array([width - 1.001, height - 1.001]))
    low = place.astype(int)
    x, y = (place - low).T[:, :, None]
    column, row = low.T
    top = image[row, column] * (1 - x) + image[row, column + 1] * x
    bottom = image[row + 1, column] * (1 - x) + image[row + 1, column + 1] * x
    return top * (1 - y) + bottom * y


def _combined(unknowns: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """[N, 3] sum of `moves` [K, N, 3] times `unknowns` [K]."""
    return (unknowns @ moves.reshape(len(moves), -1)).reshape(moves.shape[1:])


def _paired(moves: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """[N, K] dot products of `moves` [K, N, 3] with `vectors` [N, 3]."""
    return np.einsum("knd,nd->nk", moves, vectors)


def _ridge(
    columns: np.ndarray, factor: np.ndarray, target: np.ndarray, weight: np.ndarray, ridge: np.ndarray
) -> np.ndarray:
    """Least squares of `target` [N, 3] by `columns` [N, C] times `factor` [N, 3], channel by channel: [C, 3].

    Weighted by `weight` [N]; `ridge` [C] counts against the mean square.
    """
    scaled = columns[None] * factor.T[:, :, None]  # [3, N, C]
    weighted = scaled * weight[None, :, None]
    hessian = np.matmul(weighted.transpose(0, 2, 1), scaled) / len(target) + np.diag(ridge)
    right = np.einsum("knc,nk->kc", weighted, target) / len(target)
    return np.linalg.solve(hessian, right[..., None])[..., 0].T
