"""Where MediaPipe's 478 landmarks lie on the head model: renders, detections, rays back, robust means.

    python -m portrait_head.head_model.derive.landmark_table [--heads 40]

Heads are the template and samples of the identity prior, mouths closed and slightly open, under several views and
lights. The landmark of each render is carried back to the surface it lies on; where its ray goes through the lips or
the lids it is moved to the nearest visible point of the lip or lid it belongs to.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from portrait_head.head_model import HeadModel, load_head_model, load_identity_prior
from portrait_head.head_model.arkit import ARKIT_NAMES
from portrait_head.head_model.derive import painting
from portrait_head.head_model.derive.nearest import closest_points
from portrait_head.head_model.model import DATA, LandmarkTable
from portrait_head.photo import mediapipe_models

# MediaPipe face mesh indices.
UPPER_LIP = (
    61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306,
    62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292, 78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308,
)  # fmt: skip
LOWER_LIP = (
    146, 91, 181, 84, 17, 314, 405, 321, 375, 77, 90, 180, 85, 16, 315, 404, 320, 307,
    96, 89, 179, 86, 15, 316, 403, 319, 325, 95, 88, 178, 87, 14, 317, 402, 318, 324,
)  # fmt: skip
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149,
    150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
RIGHT_IRIS, LEFT_IRIS = range(468, 473), range(473, 478)
EYE_CORNERS = (33, 263)
LANDMARKS = 478

# Lips are told apart by how much they follow the jaw (share of the chin's displacement under jawOpen).
UPPER_LIP_JAW, LOWER_LIP_JAW = 0.25, 0.55
LIP_REACH = 0.006  # metres round the painted lips in which lip landmarks may lie
OVAL_YAW = np.radians(13.0)  # beyond it the oval follows the outline, not the skin
PICTURE = 512
CAMERA_DISTANCES = (0.8, 1.2, 2.0)
TRIM = 0.2  # share of the farthest hits that the robust mean leaves out


@dataclass(frozen=True)
class _Allowed:
    """Which triangles may carry each landmark: `group[l]` is a row of `masks`."""

    masks: np.ndarray  # [G, T] bool
    group: np.ndarray  # [478]


def landmark_table(model: HeadModel, heads: np.ndarray, seed: int = 0) -> LandmarkTable:
    """Derive the table from `heads` [N, V, 3], each rendered in two mouths and several views."""
    paint = painting.Paint.of(model)
    allowed = _allowed(model, paint)
    found = []  # [478, 3] points of the template's surface a render, NaN where not seen
    generator = np.random.default_rng(seed)
    jaw = model.expressions[ARKIT_NAMES.index("jawOpen")]
    for index, head in enumerate(heads):
        for yaw, pitch in _views(generator):
            opened = head + (0.0 if (index + len(found)) % 2 else 0.3) * jaw
            camera = painting.portrait_camera(yaw, pitch, float(generator.choice(CAMERA_DISTANCES)), PICTURE)
            light = painting.Light(tuple(generator.normal(size=3) * (0.5, 0.4, 0.0) + (0, 0.3, 1)), 0.45)
            found.append(_carried_back(opened, paint, allowed, camera, light, abs(yaw) < OVAL_YAW))
    points = np.array(found)
    pairs = _mirror_pairs(model, points)
    points = np.concatenate([points, points[:, pairs] * (-1, 1, 1)])
    return _table(model, paint, allowed, points)


def _views(generator: np.random.Generator) -> list[tuple[float, float]]:
    grid = np.radians([(0, 0), (12, 0), (-12, 0), (24, 5), (-24, -5), (0, 12), (0, -12)])
    return [(float(yaw), float(pitch)) for yaw, pitch in grid + generator.normal(size=grid.shape) * np.radians(2)]


def _allowed(model: HeadModel, paint: painting.Paint) -> _Allowed:
    skin = paint.parts == painting.PARTS_SHOWN.index("skin")
    jaw = np.linalg.norm(model.expressions[ARKIT_NAMES.index("jawOpen")], axis=1)
    share = (jaw / np.percentile(jaw[: model.part("skin").vertices[1]], 99))[paint.triangles].mean(axis=1)
    lips = model.vertices[paint.lips > 0.5]
    middle = model.vertices[paint.triangles].mean(axis=1)
    near = skin & (cKDTree(lips).query(middle)[0] < LIP_REACH)
    masks = [skin, near & (share < UPPER_LIP_JAW), near & (share > LOWER_LIP_JAW)]
    masks += [paint.parts == painting.PARTS_SHOWN.index(name) for name in ("eye_right", "eye_left")]
    group = np.zeros(LANDMARKS, dtype=int)
    for row, members in enumerate((UPPER_LIP, LOWER_LIP, RIGHT_IRIS, LEFT_IRIS), start=1):
        group[list(members)] = row
    return _Allowed(np.array(masks), group)


def _carried_back(
    head: np.ndarray, paint: painting.Paint, allowed: _Allowed, camera, light: painting.Light, oval: bool
) -> np.ndarray:
    """Where the landmarks of one render lie, as points of the template's surface: [478, 3], NaN where unknown."""
    picture, hits = painting.render(head, paint, camera, light)
    landmarks = mediapipe_models.face_landmarks(picture)
    points = np.full((LANDMARKS, 3), np.nan)
    if landmarks is None:
        return points
    surface = hits.interpolate(paint.anchors, paint.triangles)
    rows, columns = np.nonzero(hits.hit)
    triangle = hits.triangle[rows, columns]
    for number, mask in enumerate(allowed.masks):
        members = np.flatnonzero(allowed.group == number)
        inside = mask[triangle]
        if not inside.any():
            continue
        pixels = np.stack([columns[inside], rows[inside]], axis=1) + 0.5
        distance, nearest = cKDTree(pixels).query(landmarks[members, :2], k=4)
        # Between pixel centres: the mean of the four nearest, by their distance.
        weight = 1 / (distance + 0.05)
        corner = surface[rows[inside], columns[inside]][nearest]
        points[members] = (corner * weight[..., None]).sum(axis=1) / weight.sum(axis=1, keepdims=True)
    if not oval:
        points[list(OVAL)] = np.nan
    return points


def _mirror_pairs(model: HeadModel, points: np.ndarray) -> np.ndarray:
    """[478] the landmark on the other side."""
    mean = np.nanmedian(points, axis=0)
    cost = np.linalg.norm((mean * (-1, 1, 1))[:, None] - mean[None], axis=-1)
    cost = cost + cost.T
    iris = np.arange(LANDMARKS) >= RIGHT_IRIS[0]
    cost[iris[:, None] != iris[None]] = 1.0
    _, pairs = linear_sum_assignment(cost)
    if not np.array_equal(pairs[pairs], np.arange(LANDMARKS)):
        raise ValueError("the landmarks cannot be paired by a mirror")
    return pairs


def _table(model: HeadModel, paint: painting.Paint, allowed: _Allowed, points: np.ndarray) -> LandmarkTable:
    mean, spread = np.empty((LANDMARKS, 3)), np.empty(LANDMARKS)
    for landmark in range(LANDMARKS):
        own = points[:, landmark][np.isfinite(points[:, landmark, 0])]
        mean[landmark], spread[landmark] = _trimmed_mean(own)
    vertices = np.empty((LANDMARKS, 3), dtype=np.int32)
    weights = np.empty((LANDMARKS, 3), dtype=np.float32)
    for number, mask in enumerate(allowed.masks):
        members = np.flatnonzero(allowed.group == number)
        corners = paint.triangles[mask]
        place, barycentric = closest_points(mean[members], paint.anchors[corners])
        vertices[members], weights[members] = corners[place], barycentric
    distance = np.linalg.norm(mean[EYE_CORNERS[0]] - mean[EYE_CORNERS[1]])
    return LandmarkTable(vertices, weights, (spread / distance).astype(np.float32))


def _trimmed_mean(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Mean of the nearest to the median, and the robust standard deviation of all (a coordinate)."""
    median = np.median(points, axis=0)
    distance = np.linalg.norm(points - median, axis=1)
    kept = points[distance <= np.quantile(distance, 1 - TRIM)]
    return kept.mean(axis=0), float(1.4826 * np.median(distance) / np.sqrt(2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--heads", type=int, default=40, help="samples of the identity prior; 0 for the template alone")
    arguments = parser.parse_args()
    model = load_head_model()
    heads = model.vertices[None].astype(np.float64)
    if arguments.heads:
        prior = load_identity_prior()
        scores = np.random.default_rng(1).normal(size=(arguments.heads, len(prior.modes)))
        heads = np.array([model.identified(prior.mean + score @ prior.modes) for score in scores], dtype=np.float64)
    table = landmark_table(model, heads)
    DATA.mkdir(exist_ok=True)
    np.savez_compressed(
        DATA / "landmarks.npz", vertices=table.vertices.astype(np.int16), weights=table.weights, spread=table.spread
    )
    percent = 100 * table.spread
    print(f"{len(heads)} heads; spread, % of the eye distance: median {np.median(percent):.2f}, "
          f"p90 {np.percentile(percent, 90):.2f}, oval {percent[list(OVAL)].mean():.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
