"""Camera, identity and expression from the landmarks: Gauss-Newton under the identity prior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait_head.fitting.config import LandmarkConfig
from portrait_head.fitting.pose import PARAMETERS, Pose, first_pose, rotation_jacobian
from portrait_head.fitting.solve import bounded_step
from portrait_head.fitting.space import FITTED_EXPRESSIONS, FaceSpace, FitModel
from portrait_head.head_model.arkit import ARKIT_NAMES

# MediaPipe face mesh indices.
OVAL = np.array([
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149,
    150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
])  # fmt: skip
IRIS_CENTRES = (468, 473)  # of the subject's right and left eye
# Expressions of one side of which at most one is on.
OPPOSITES = (("eyeWide", "eyeBlink"), ("eyeWide", "eyeSquint"), ("mouthSmile", "mouthFrown"))
MESH = 468  # landmarks of the face proper; the irises follow the gaze


@dataclass(frozen=True)
class State:
    """What the fit moves.

    Attributes:
        pose: the camera.
        scores: [M] of the identity prior, standard deviations.
        weights: [E] of the fitted expressions, 0 to 1.
    """

    pose: Pose
    scores: np.ndarray
    weights: np.ndarray


def interocular(landmarks: np.ndarray) -> float:
    """Distance between the irises' centres in space, in the unit of landmarks [478, 3], at least one.

    In space, so that a turned head is not judged more sternly than one seen from the front.
    """
    right, left = landmarks[list(IRIS_CENTRES)]
    return max(float(np.linalg.norm(left - right)), 1.0)


def fit_landmarks(
    fit_model: FitModel,
    landmarks: np.ndarray,
    centre: np.ndarray,
    config: LandmarkConfig,
    focal: float | None = None,
) -> State:
    """The most probable head and camera given landmarks [478, 3] (pixels, z away from the viewer).

    Args:
        centre: [2] principal point, pixels.
        focal: pixels, where the photo's file tells it.
    """
    space = fit_model.landmarks
    face = slice(0, MESH)
    pose = first_pose(space.mean[face], landmarks[face], centre, config.curvature_mean, focal)
    state = State(pose, np.zeros(len(space.modes)), np.zeros(len(space.expressions)))
    term = LandmarkTerm(fit_model, landmarks, config)
    for iteration in range(config.iterations):
        # The head of the mean face first finds its place; then it may change.
        rigid = iteration < 2
        hessian, gradient = term.normal_equations(state)
        state = advance(state, hessian, gradient, config, rigid=rigid)
    return state


def settle(fit_model: FitModel, state: State, landmarks: np.ndarray, config: LandmarkConfig) -> State:
    """The same person, camera and expression moved until the head lies on the landmarks [478, 3] as they are.

    For likeness the landmarks' common errors are best left unexplained; for laying the photo's texture on the head
    they are not errors at all.
    """
    term = LandmarkTerm(fit_model, landmarks, config, together=False)
    person = state.scores
    for _ in range(config.settling_steps):
        hessian, gradient = term.normal_equations(state)
        state = advance(state, hessian, gradient, config, person=person)
    return state


def advance(
    state: State,
    hessian: np.ndarray,
    gradient: np.ndarray,
    config: LandmarkConfig,
    *,
    rigid: bool = False,
    person: np.ndarray | None = None,
) -> State:
    """The state after one step under the priors.

    Args:
        hessian, gradient: [P, P] and [P] of the evidence alone.
        rigid: only the camera moves, at its distance.
        person: [M] scores to stay near, as near as `config.person_ridge` says; None for the prior's mean.
    """
    hessian, gradient = hessian.copy(), gradient.copy()
    _add_priors(state, hessian, gradient, config, person)
    modes = len(state.scores)
    low = np.concatenate([np.full(PARAMETERS, -np.inf), -config.score_limit - state.scores, -state.weights])
    top = 1.0 - _outdone(state.weights)
    high = np.concatenate([np.full(PARAMETERS, np.inf), config.score_limit - state.scores, top - state.weights])
    if rigid:
        low[PARAMETERS - 1 :] = high[PARAMETERS - 1 :] = 0.0
    step = bounded_step(hessian, gradient, np.minimum(low, 0), high)
    pose, scores, weights = np.split(step, [PARAMETERS, PARAMETERS + modes])
    return State(
        state.pose.moved(pose, config.curvature_range),
        state.scores + scores,
        np.clip(state.weights + weights, 0.0, 1.0),
    )


class LandmarkTerm:
    """Half the squared landmark errors, weighed by how landmarks err together and with less of what lies far off."""

    def __init__(
        self, fit_model: FitModel, landmarks: np.ndarray, config: LandmarkConfig, *, together: bool = True
    ) -> None:
        self._space = FaceSpace(
            fit_model.landmarks.mean[:MESH],
            fit_model.landmarks.modes[:, :MESH],
            fit_model.landmarks.expressions[:, :MESH],
        )
        self._seen = landmarks[:MESH]
        self._unit = interocular(landmarks)
        self._rest = fit_model.errors.rest
        components = fit_model.errors.components if together else fit_model.errors.components[:0]
        self._components = components.reshape(len(components), 2 * MESH)
        self._config = config

    def normal_equations(self, state: State) -> tuple[np.ndarray, np.ndarray]:
        """Gauss-Newton Hessian [P, P] and gradient [P] by pose (7), scores and expression weights."""
        residual, jacobian, depth, depth_jacobian = self.rows(state)
        weight, depth_weight = self.weights(residual, state)
        # The inverse of diag(1 / weight) + components' components, by Woodbury's identity.
        stacked = np.column_stack([jacobian, residual])
        scaled = stacked * weight[:, None]
        shared = self._components @ scaled
        inner = np.eye(len(self._components)) + (self._components * weight) @ self._components.T
        products = stacked.T @ scaled - shared.T @ np.linalg.solve(inner, shared)
        stacked = np.column_stack([depth_jacobian, depth])
        products += (stacked * depth_weight[:, None]).T @ stacked
        return self._config.weight * products[:-1, :-1], self._config.weight * products[:-1, -1]

    def weights(self, residual: np.ndarray, state: State) -> tuple[np.ndarray, np.ndarray]:
        """Inverse variances [936] of the residuals' own noise, and [468] of the depths; less for outliers."""
        config = self._config
        noise = np.hypot(self._rest, config.noise_floor)
        noise[OVAL] += config.oval_noise + config.oval_slide * (1 - abs(state.pose.rotation[2, 2]))
        # What the landmarks have in common is no outlier.
        plain = np.repeat(noise**-2, 2)
        shared = self._components * plain
        common = np.linalg.solve(np.eye(len(shared)) + shared @ self._components.T, shared @ residual)
        own = residual - common @ self._components
        ratio = np.linalg.norm(own.reshape(-1, 2), axis=1) / (noise * config.outlier)
        trust = 1 / (1 + ratio**2) ** 2
        return np.repeat(trust / noise**2, 2), trust / (len(trust) / config.depth_count * config.depth_noise**2)

    def rows(self, state: State) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Residuals [936] and their Jacobian [936, P], depth residuals [468] and theirs, in inter-ocular distances."""
        pose = state.pose
        turned = pose.turned(self._space.positions(state.scores, state.weights))
        plane = (pose.project_turned(turned) - self._seen[:, :2]) / self._unit
        moving = np.concatenate([self._space.modes, self._space.expressions]) @ pose.rotation.T  # [M+E, L, 3]
        by_shape = np.matmul(pose.point_jacobian(turned), moving.transpose(1, 2, 0))
        jacobian = np.concatenate([pose.jacobian(turned), by_shape], axis=2) / self._unit
        depth, depth_jacobian = self._depth_rows(turned, moving, pose)
        return plane.ravel(), jacobian.reshape(-1, jacobian.shape[2]), depth, depth_jacobian

    def _depth_rows(self, turned: np.ndarray, moving: np.ndarray, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        """MediaPipe's depth against the head's, both about their means."""
        depth = turned[:, 2] * pose.scale
        residual = (depth - depth.mean() + self._seen[:, 2] - self._seen[:, 2].mean()) / self._unit
        jacobian = np.zeros((len(depth), PARAMETERS + len(moving)))
        jacobian[:, :3] = rotation_jacobian(turned)[:, 2] * pose.scale
        jacobian[:, 3] = depth
        jacobian[:, PARAMETERS:] = moving[:, :, 2].T * pose.scale
        return residual, (jacobian - jacobian.mean(axis=0)) / self._unit


def _add_priors(
    state: State, hessian: np.ndarray, gradient: np.ndarray, config: LandmarkConfig, person: np.ndarray | None
) -> None:
    curvature = PARAMETERS - 1
    pose, mean, sigma = state.pose, config.curvature_mean, config.curvature_sigma
    if pose.focal is not None:
        mean = pose.scale / pose.focal
        sigma = config.focal_doubt * mean
    hessian[curvature, curvature] += sigma**-2
    gradient[curvature] += (pose.curvature - mean) / sigma**2
    first = PARAMETERS + len(state.scores)
    identity = np.arange(PARAMETERS, first)
    ridge = 1.0 if person is None else config.person_ridge
    hessian[identity, identity] += ridge
    gradient[identity] += ridge * (state.scores if person is None else state.scores - person)
    expression = np.arange(first, len(gradient))
    ridge = np.where(_SIDEWAYS, config.sideways_ridge, config.expression_ridge)
    hessian[expression, expression] += ridge
    gradient[expression] += ridge * state.weights + config.expression_sparsity
    for left, right in _PAIRS:
        a, b = first + left, first + right
        difference = config.expression_tie * (state.weights[left] - state.weights[right])
        gradient[a] += difference
        gradient[b] -= difference
        hessian[[a, b], [a, b]] += config.expression_tie
        hessian[[a, b], [b, a]] -= config.expression_tie


def _outdone(weights: np.ndarray) -> np.ndarray:
    """[E] bool, expressions whose opposite is stronger: a jaw does not go to both sides at once."""
    outdone = np.zeros(len(weights), dtype=bool)
    for first, second in _OPPOSITES:
        if weights[first] != weights[second]:
            outdone[first if weights[first] < weights[second] else second] = True
    return outdone


def _opposite_pairs() -> tuple[tuple[int, int], ...]:
    names = [ARKIT_NAMES[index] for index in FITTED_EXPRESSIONS]
    pairs = [("jawLeft", "jawRight"), ("mouthLeft", "mouthRight")]
    for side in ("Left", "Right"):
        pairs += [(f"{one}{side}", f"{other}{side}") for one, other in OPPOSITES]
    return tuple((names.index(one), names.index(other)) for one, other in pairs)


def _left_right_pairs() -> tuple[tuple[int, int], ...]:
    names = [ARKIT_NAMES[index] for index in FITTED_EXPRESSIONS]
    pairs = []
    for index, name in enumerate(names):
        other = name.replace("Left", "Right")
        if other != name and name not in ("jawLeft", "mouthLeft"):
            pairs.append((index, names.index(other)))
    return tuple(pairs)


_PAIRS = _left_right_pairs()
_SIDEWAYS = np.array([ARKIT_NAMES[i] in ("jawLeft", "jawRight", "mouthLeft", "mouthRight") for i in FITTED_EXPRESSIONS])
_OPPOSITES = _opposite_pairs()
