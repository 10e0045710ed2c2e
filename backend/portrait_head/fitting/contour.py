"""The outline of jaw and cheek: where the face turns away from the camera, the photo has an edge."""

from __future__ import annotations

import numpy as np

from portrait_head.fitting.config import ContourConfig
from portrait_head.fitting.landmark_fit import State
from portrait_head.fitting.pose import PARAMETERS
from portrait_head.fitting.shading import Level
from portrait_head.fitting.space import FitModel
from portrait_head.geometry.surface import vertex_normals
from portrait_head.rendering.raycast import RayCaster


class ContourTerm:
    """Half the weighted squared distances, across the outline, between the head's rim and the photo's edges."""

    def __init__(self, fit_model: FitModel, level: Level, unit: float, config: ContourConfig) -> None:
        model = fit_model.model
        skin = model.part("skin")
        self._space = fit_model.vertices
        self._triangles = model.triangles()[2 * skin.faces[0] : 2 * skin.faces[1]]
        allowed = np.zeros(len(model.vertices), dtype=bool)
        allowed[model.regions["face"]] = True
        allowed &= model.vertices[:, 1] < config.below
        for region in ("nose", "lips", "nostrils"):
            allowed[model.regions[region]] = False
        quads = model.quads[slice(*skin.faces)]
        edges = np.stack([quads, np.roll(quads, -1, axis=1)], axis=-1).reshape(-1, 2)
        edges = np.unique(np.sort(edges, axis=1), axis=0)
        self._edges = edges[allowed[edges].all(axis=1)]
        self._level = level
        self._unit = unit
        self._config = config

    def normal_equations(self, state: State) -> tuple[np.ndarray, np.ndarray]:
        """Gauss-Newton Hessian [P, P] and gradient [P] by pose (7), scores and expression weights."""
        config, pose, space = self._config, state.pose, self._space
        count = PARAMETERS + len(space.modes) + len(space.expressions)
        corners, shares, outward = self._rim(state)
        points = (shares[..., None] * space.positions(state.scores, state.weights)[corners]).sum(axis=1)
        turned = pose.turned(points)
        tips = pose.project_turned(turned + outward)
        pixels = pose.project_turned(turned)
        across = tips - pixels
        across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
        offset, strength = self._edge(pixels, across)
        found = strength > config.least_strength
        if found.sum() < config.least_points:
            return np.zeros((count, count)), np.zeros(count)
        corners, shares, turned, across, offset = (
            values[found] for values in (corners, shares, turned, across, offset)
        )
        moves = np.concatenate([space.modes, space.expressions])
        moving = (moves[:, corners] * shares[None, :, :, None]).sum(axis=2) @ pose.rotation.T  # [M + E, R, 3]
        by_point = np.einsum("ri,rij->rj", across, pose.point_jacobian(turned))
        jacobian = np.concatenate(
            [np.einsum("ri,rip->rp", across, pose.jacobian(turned)), np.einsum("rj,krj->rk", by_point, moving)], axis=1
        )
        jacobian /= self._unit
        residual = -offset / self._unit
        trust = 1 / (1 + (residual / config.outlier) ** 2) ** 2
        trust *= config.weight / (config.noise**2 * len(residual))
        scaled = jacobian * trust[:, None]
        return jacobian.T @ scaled, scaled.T @ residual

    def _rim(self, state: State) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Corners and shares [R, 2] of the rim's points, and outward millimetres [R, 3] along the camera's axes."""
        vertices = self._space.positions(state.scores, state.weights)
        camera = state.pose.camera(1, 1).position
        normals = vertex_normals(vertices, self._triangles)
        view = camera - vertices
        view /= np.linalg.norm(view, axis=1, keepdims=True)
        facing = (normals * view).sum(axis=1)
        first, second = facing[self._edges].T
        crossing = first * second < 0
        corners = self._edges[crossing]
        share = (first / (first - second))[crossing]
        shares = np.stack([1 - share, share], axis=1)
        normal = (shares[..., None] * normals[corners]).sum(axis=1)
        points = (shares[..., None] * vertices[corners]).sum(axis=1)
        clear = points + self._config.lift * normal
        open_to_view = ~RayCaster(vertices, self._triangles).occluded(clear, camera - clear)
        return corners[open_to_view], shares[open_to_view], (normal @ state.pose.rotation.T)[open_to_view] * 1e-3

    def _edge(self, pixels: np.ndarray, across: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Signed way [R] in pixels along `across` to the strongest edge near `pixels`, and its strength [R]."""
        config = self._config
        steps = np.linspace(-1, 1, config.steps) * config.reach
        places = pixels[:, None] + steps[None, :, None] * across[:, None] * self._unit
        colours, slopes = self._level.at(places.reshape(-1, 2))
        slope = np.einsum("nic,ni->nc", slopes, np.repeat(across, config.steps, axis=0)) * self._unit
        edge = np.linalg.norm(slope, axis=1).reshape(len(pixels), -1)
        brightness = np.linalg.norm(colours, axis=1).reshape(len(pixels), -1).mean(axis=1)
        edge = edge / np.maximum(brightness, 1e-3)[:, None]
        best = (edge * np.exp(-((steps / config.reach) ** 2))).argmax(axis=1)
        rows = np.arange(len(pixels))
        inner = np.clip(best, 1, config.steps - 2)
        before, peak, after = edge[rows, inner - 1], edge[rows, inner], edge[rows, inner + 1]
        # The vertex of a parabola through the peak and its neighbours.
        bend = before - 2 * peak + after
        shift = np.where(bend < 0, np.clip((before - after) / np.where(bend < 0, 2 * bend, -1), -1, 1), 0.0)
        at_end = (best == 0) | (best == config.steps - 1)
        return (steps[inner] + shift * (steps[1] - steps[0])) * self._unit, np.where(at_end, 0.0, peak)
