"""A statistical identity prior for the head model, from ICT-FaceKit's scanned faces.

    python -m portrait_head.head_model.derive.identity_prior --data <folder with ict_facekit_f32.npz>

Random heads of ICT-FaceKit (100 modes, unit normal) are fitted with the head model's identity directions by iterated
closest points (every ICT vertex to the nearest point of our surface, mostly along our normal; landmarks hold lips,
lids and nose in place). Size is taken out: one photo cannot show it. The coefficients depend linearly on ICT's modes
up to noise; that dependence is estimated by least squares over all heads, and its principal components over the face
are the prior's modes.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix, diags
from scipy.spatial import ConvexHull, KDTree

from portrait_head.geometry.nearest import SurfaceIndex
from portrait_head.geometry.surface import vertex_normals
from portrait_head.head_model import HeadModel, load_head_model, load_landmark_table
from portrait_head.head_model.model import DATA

FILE = "ict_facekit_f32.npz"
CENTIMETRE = 0.01
MILLIMETRE = 0.001

# Vertex ranges of ICT-FaceKit's public README.
NARROW_FACE = (0, 6706)
FACE = (0, 9409)
HEAD = (0, 11248)
EYEBALLS = {"eye_left": slice(21451, 23021), "eye_right": slice(23021, 24591)}
FLIP_RADIUS = 200.0  # metres; larger shows more points behind others
NECK_BELOW = -0.075  # metres under the origin, on the neutral head

# ICT-FaceKit's published landmark vertices (Multi-PIE order) and the MediaPipe landmarks nearest in meaning.
LANDMARKS = {
    1507: 33, 1542: 160, 1537: 158, 1528: 133, 1518: 153, 1511: 144,
    3742: 362, 3751: 385, 3756: 387, 3721: 263, 3725: 373, 3732: 380,
    1140: 98, 1147: 2, 3360: 327, 4857: 4,
    5695: 39, 2081: 37, 0: 0, 4275: 267, 6200: 269, 5518: 17, 5533: 13, 5517: 14,
}  # fmt: skip
MOUTH_CORNERS = ((5708, 5702), (6213, 6207))  # outer and inner, the subject's right and left


@dataclass(frozen=True)
class Config:
    """How the heads are drawn and fitted."""

    heads: int = 300
    modes: int = 80
    seed: int = 20
    first_iterations: int = 30
    iterations: int = 5
    ridge: float = 1e-4  # mm^2 of mean squared distance that a unit coefficient costs
    bending: float = 1.5  # weight of the mean squared Laplacian of the displacement, mm^2
    strain: float = 10.0  # mm^2 that a mean squared strain of 1 costs
    tie: float = 0.5  # weight of the loose parts' displacement against that of the skin nearest to them, mm^2
    tangential: float = 0.15  # weight of sliding along the surface against moving off it
    landmark: float = 0.1  # weight of all landmarks together against all vertices together
    outlier: float = 3.0  # mm at which a vertex counts half


@dataclass(frozen=True)
class Scans:
    """ICT-FaceKit in metres: `neutral` [N, 3], `modes` [100, N, 3]."""

    neutral: np.ndarray
    modes: np.ndarray

    @staticmethod
    def read(folder: Path) -> Scans:
        """The scans in the folder's `ict_facekit_f32.npz`."""
        with np.load(folder / FILE) as archive:
            return Scans(
                archive["neutral"].astype(np.float64) * CENTIMETRE, archive["identity"].astype(np.float64) * CENTIMETRE
            )

    def head(self, scores: np.ndarray) -> np.ndarray:
        """[N, 3] the head with `scores` [100]."""
        return self.neutral + np.tensordot(scores, self.modes, 1)


@dataclass(frozen=True)
class Fitted:
    """One head in the head model's coefficients.

    Attributes:
        coefficients: [K].
        place: ([3, 3] scaled rotation, [3] translation) from our space to ICT's.
        distance: [P] mm from each chosen ICT vertex to our surface.
    """

    coefficients: np.ndarray
    place: tuple[np.ndarray, np.ndarray]
    distance: np.ndarray


class Registration:
    """Fits the head model's identity directions to ICT heads."""

    def __init__(self, model: HeadModel, scans: Scans, config: Config) -> None:
        self._config = config
        first, last = model.part("skin").faces
        self._triangles = model.triangles()[2 * first : 2 * last]
        self._template = model.vertices.astype(np.float64)
        self._directions = np.ascontiguousarray(model.identity.transpose(1, 2, 0))  # [V, 3, K]
        chosen = np.concatenate([np.arange(*NARROW_FACE)[::2], np.arange(NARROW_FACE[1], HEAD[1])[::3]])
        chosen = chosen[scans.neutral[chosen, 1] > NECK_BELOW]
        self.chosen = chosen[outer_points(scans.neutral[: HEAD[1]])[chosen]]
        self.narrow = self.chosen < NARROW_FACE[1]
        self._importance = np.where(self.narrow, 1.0, np.where(self.chosen < FACE[1], 0.5, 0.15))
        self._importance /= self._importance.sum()
        table = load_landmark_table()
        named = list(LANDMARKS.values())
        loop = model.regions["mouth_loop"]
        mouth = [loop[model.vertices[loop, 0].argmin()], loop[model.vertices[loop, 0].argmax()]]
        eyes = [np.arange(*model.part(name).vertices) for name in EYEBALLS]
        corners = [*table.vertices[named], *([vertex] for vertex in mouth), *eyes]
        weights = [*table.weights[named], np.ones(1), np.ones(1), *(np.full(len(eye), 1 / len(eye)) for eye in eyes)]
        self._stiffness = _stiffness(model, config)
        self._marks = np.array([w @ self._template[c] for c, w in zip(corners, weights, strict=True)])
        self._mark_directions = np.stack(
            [np.tensordot(w, self._directions[c], 1) for c, w in zip(corners, weights, strict=True)]
        ).astype(np.float64)  # [L, 3, K]

    def fit(self, scan: np.ndarray, start: Fitted | None = None) -> Fitted:
        """The coefficients whose surface lies on `scan` [N, 3], pulled towards `start`'s."""
        config = self._config
        points = scan[self.chosen]
        groups = [*([vertex] for vertex in LANDMARKS), *MOUTH_CORNERS, *EYEBALLS.values()]
        marks = np.array([scan[list(group) if isinstance(group, tuple) else group].mean(axis=0) for group in groups])
        centre = np.zeros(self._directions.shape[2]) if start is None else start.coefficients
        coefficients, steps = centre, config.iterations
        if start is None:
            place, steps = similarity(self._marks, marks, np.ones(len(marks))), config.first_iterations
        else:
            place = start.place
        distance = np.zeros(len(points))
        for step in range(steps + 1):
            surface = self._template + self._directions @ coefficients.astype(np.float32)
            local = (points - place[1]) @ np.linalg.inv(place[0]).T
            foot = SurfaceIndex(surface, self._triangles).nearest(local)
            rows, weights = self._triangles[foot.triangle], foot.weights
            distance = foot.distance / MILLIMETRE
            if step == steps:
                break
            trust = self._importance / (1 + (distance / config.outlier) ** 2)
            own_marks = self._marks + self._mark_directions @ coefficients
            together = np.concatenate([trust, np.full(len(marks), config.landmark / len(marks))])
            place = similarity(np.concatenate([foot.points, own_marks]), np.concatenate([points, marks]), together)
            inverse = np.linalg.inv(place[0]).T
            stiffness = self._stiffness * (1 if start is not None else max(1.0, 100 * 0.6**step))
            coefficients = self._solve(
                coefficients, centre, rows, weights, foot.points, (points - place[1]) @ inverse, trust,
                own_marks, (marks - place[1]) @ inverse, stiffness, vertex_normals(surface, self._triangles),
            )  # fmt: skip
        return Fitted(coefficients, place, distance)

    def _solve(
        self, coefficients, centre, rows, weights, foot, points, trust, own_marks, marks, stiffness, normals
    ) -> np.ndarray:  # fmt: skip
        config = self._config
        normal = (weights[..., None] * normals[rows]).sum(axis=1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        moved = np.zeros((len(rows), 3, len(coefficients)), dtype=np.float32)
        for corner in range(3):
            moved += weights[:, corner, None, None].astype(np.float32) * self._directions[rows[:, corner]]
        # Distance along the normal counts whole, distance along the surface a little.
        root = np.sqrt(config.tangential)
        shaping = root * np.eye(3) + (1 - root) * normal[:, :, None] * normal[:, None, :]
        shaping = (shaping * (np.sqrt(trust) / MILLIMETRE)[:, None, None]).astype(np.float32)
        jacobian = np.matmul(shaping, moved).reshape(-1, moved.shape[2])
        target = np.einsum("pij,pj->pi", shaping, points - foot).ravel()
        scale = np.sqrt(config.landmark / len(marks)) / MILLIMETRE
        mark_jacobian = self._mark_directions.reshape(-1, len(coefficients)) * scale
        mark_target = (marks - own_marks).ravel() * scale
        hessian = (jacobian.T @ jacobian).astype(np.float64) + mark_jacobian.T @ mark_jacobian
        hessian += stiffness
        gradient = jacobian.T @ target + mark_jacobian.T @ mark_target + stiffness @ (centre - coefficients)
        return coefficients + np.linalg.solve(hessian, gradient)


def outer_points(points: np.ndarray) -> np.ndarray:
    """[N] bool: which points [N, 3] of a head can be seen from around its front, no inner lips, nostrils or sockets.

    Hidden point removal by spherical flipping (Katz, Tal, Basri 2007) from several places; it needs no triangles.
    """
    seen = np.zeros(len(points), dtype=bool)
    for yaw in np.radians((-90, -45, 0, 45, 90, 180)):
        for pitch in np.radians((-25, 0, 25)):
            eye = 1.5 * np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
            away = points - eye
            distance = np.linalg.norm(away, axis=1, keepdims=True)
            flipped = away * (2 * FLIP_RADIUS - distance) / distance
            hull = ConvexHull(np.concatenate([flipped, np.zeros((1, 3))]))
            seen[hull.vertices[hull.vertices < len(points)]] = True
    return seen


def _stiffness(model: HeadModel, config: Config) -> np.ndarray:
    """[K, K] quadratic cost of coefficients: unsmooth or stretching displacements and loose parts left behind."""
    count = len(model.vertices)
    edges = np.concatenate([model.quads[:, [i, (i + 1) % 4]] for i in range(4)])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    length = np.linalg.norm(model.vertices[edges[:, 0]] - model.vertices[edges[:, 1]], axis=1)
    adjacent = coo_matrix((np.ones(len(edges)), edges.T), shape=(count, count)).tocsr()
    adjacent = adjacent + adjacent.T
    laplacian = diags(np.ones(count)) - diags(1 / np.asarray(adjacent.sum(axis=1)).ravel()) @ adjacent
    rows = np.arange(len(edges))
    incidence = coo_matrix(
        (np.concatenate([1 / length, -1 / length]), (np.tile(rows, 2), edges.T.ravel())), shape=(len(edges), count)
    )
    skin = np.arange(*model.part("skin").vertices)
    loose = np.concatenate([np.arange(*part.vertices) for part in model.parts if part.name not in ("skin", "mouth")])
    nearest = KDTree(model.vertices[skin]).query(model.vertices[loose])[1]
    rows = np.arange(len(loose))
    ties = coo_matrix(
        (np.repeat([1.0, -1.0], len(loose)), (np.tile(rows, 2), np.concatenate([loose, skin[nearest]]))),
        shape=(len(loose), count),
    )
    directions = model.identity.astype(np.float64).transpose(1, 2, 0).reshape(count, -1)
    total = config.ridge * np.eye(len(model.identity))
    for operator, weight in (
        (laplacian, config.bending / count / MILLIMETRE**2),
        (incidence, config.strain / len(edges)),
        (ties, config.tie / len(loose) / MILLIMETRE**2),
    ):
        applied = (operator.tocsr() @ directions).reshape(-1, len(model.identity))
        total += weight * (applied.T @ applied)
    return total


def similarity(source: np.ndarray, target: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scaled rotation [3, 3] and translation [3] that best lay `source` on `target` (Umeyama, 1991)."""
    share = weight / weight.sum()
    a, b = share @ source, share @ target
    u, singular, vt = np.linalg.svd(((target - b) * share[:, None]).T @ (source - a))
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    scale = (singular * flip).sum() / (share @ ((source - a) ** 2).sum(axis=1))
    matrix = scale * (u * flip) @ vt
    return matrix, b - matrix @ a


def derive(model: HeadModel, scans: Scans, config: Config) -> tuple[np.ndarray, np.ndarray, str]:
    """Mean [K] and modes [M, K] of the prior, and a sentence on how well it holds ICT's heads."""
    registration = Registration(model, scans, config)
    mean = registration.fit(scans.neutral)
    generator = np.random.default_rng(config.seed)
    scores = generator.normal(size=(config.heads, len(scans.modes)))
    fits = [registration.fit(scans.head(score), mean) for score in scores]
    coefficients = np.array([fit.coefficients for fit in fits])
    design = np.column_stack([np.ones(len(scores)), scores])
    solution = np.linalg.solve(design.T @ design + 1e-3 * np.eye(design.shape[1]), design.T @ coefficients)
    carried = solution[1:]
    skin = np.arange(*model.part("skin").vertices)
    face = skin[(model.vertices[skin, 2] > 0.03) & (model.vertices[skin, 1] > -0.06)]
    shapes = np.tensordot(carried, model.identity[:, face].astype(np.float64), 1).reshape(len(carried), -1)
    u, singular, _ = np.linalg.svd(shapes, full_matrices=False)
    modes = (u.T @ carried)[: config.modes]
    kept = (singular[: config.modes] ** 2).sum() / (singular**2).sum()
    narrow = [float(fit.distance[registration.narrow].mean()) for fit in fits]
    wide = [float(fit.distance[registration.chosen < FACE[1]].mean()) for fit in fits]
    off = np.sqrt(((coefficients - design @ solution) ** 2).mean())
    neutral = float(mean.distance[registration.narrow].mean())
    report = (
        f"{config.heads} heads; mean distance of the narrow face {np.mean(narrow):.3f} mm (worst head "
        f"{max(narrow):.3f}), of the whole face with ears {np.mean(wide):.3f} mm, of the mean {neutral:.3f} mm; "
        f"the modes hold {100 * kept:.2f} % of the variance; coefficients off the linear law {off:.4f}, "
        f"spread {coefficients.std(axis=0).mean():.4f}"
    )
    return solution[0], modes, report


def main() -> None:
    """Derive the prior and write it beside the other tables."""
    parser = argparse.ArgumentParser(description="Derive the identity prior from ICT-FaceKit.")
    parser.add_argument("--data", type=Path, required=True, help=f"folder with {FILE}")
    parser.add_argument("--heads", type=int, default=Config.heads)
    arguments = parser.parse_args()
    mean, modes, report = derive(load_head_model(), Scans.read(arguments.data), Config(heads=arguments.heads))
    DATA.mkdir(exist_ok=True)
    np.savez_compressed(DATA / "identity_prior.npz", mean=mean.astype(np.float32), modes=modes.astype(np.float32))
    sys.stdout.write(report + "\n")


if __name__ == "__main__":
    main()
