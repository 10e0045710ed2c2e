"""Where MediaPipe's 478 landmarks lie on the head model, and how their errors go together.

    python -m portrait_head.head_model.derive.landmark_table [--heads 60]

Heads are samples of the identity prior (0: the template alone), at rest, with the mouth a little open or with random
expressions, under several views and lights. The landmark of each render is carried back to the surface it lies on;
where its ray goes through the lips or the lids it is moved to the nearest visible point of the lip or lid it belongs
to. Then every render says how far its landmarks are from where the table would have them: those errors are far from
independent (the detector draws every face towards one it knows), so their principal components are kept beside the
table for the fit to weigh them with.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import KDTree

from portrait_head.geometry.nearest import SurfaceIndex
from portrait_head.head_model import HeadModel, load_head_model, load_identity_prior
from portrait_head.head_model.arkit import ARKIT_NAMES
from portrait_head.head_model.derive import painting
from portrait_head.head_model.model import DATA, LandmarkTable
from portrait_head.photo import mediapipe_models
from portrait_head.rendering.camera import PinholeCamera
from portrait_head.rendering.raycast import Hits

# MediaPipe face mesh indices.
UPPER_LIP = (
    61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306,
    62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292, 78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308,
)  # fmt: skip
LOWER_LIP = (
    146, 91, 181, 84, 17, 314, 405, 321, 375, 77, 90, 180, 85, 16, 315, 404, 320, 307,
    96, 89, 179, 86, 15, 316, 403, 319, 325, 95, 88, 178, 87, 14, 317, 402, 318, 324,
)  # fmt: skip
MOUTH_CORNERS = (61, 76, 62, 78, 291, 306, 292, 308)
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
PICTURE = 320  # pixels; the detector itself looks at 192
CAMERA_DISTANCES = (0.7, 1.2, 2.0)
TRIM = 0.2  # share of the farthest hits that the robust mean leaves out
VIEWS = 6  # of every head
MESH = 468  # landmarks of the face proper; the irises follow the gaze
ERROR_COMPONENTS = 40
ERROR_LIMIT = 0.4  # of the eye distance; a render worse than this was not understood
# Expressions of people before a camera, and how strong they may get.
POSED = {
    "jawOpen": 0.3, "mouthSmileLeft": 0.7, "mouthSmileRight": 0.7, "browInnerUp": 0.4, "browDownLeft": 0.4,
    "browDownRight": 0.4, "eyeBlinkLeft": 0.4, "eyeBlinkRight": 0.4, "mouthFrownLeft": 0.3, "mouthFrownRight": 0.3,
    "mouthUpperUpLeft": 0.4, "mouthUpperUpRight": 0.4, "mouthStretchLeft": 0.3, "mouthStretchRight": 0.3,
}  # fmt: skip


@dataclass(frozen=True)
class Render:
    """What one picture taught.

    Attributes:
        points: [478, 3] where the landmarks lie on the template's surface, NaN where unknown.
        seen: [478, 2] pixels that MediaPipe found.
        vertices: [V, 3] the head in its expression.
        camera: the camera.
    """

    points: np.ndarray
    seen: np.ndarray
    vertices: np.ndarray
    camera: PinholeCamera


@dataclass(frozen=True)
class _Allowed:
    """Which triangles may carry each landmark: `group[l]` is a row of `masks`."""

    masks: np.ndarray  # [G, T] bool
    group: np.ndarray  # [478]


def take_pictures(model: HeadModel, heads: np.ndarray, seed: int = 0) -> list[Render]:
    """Render `heads` [N, V, 3] in `VIEWS` views each and look for their landmarks."""
    paint = painting.Paint.of(model)
    allowed = _allowed(model, paint)
    generator = np.random.default_rng(seed)
    renders = []
    for head in heads:
        for view in range(VIEWS):
            yaw, pitch = generator.normal(size=2) * np.radians((16, 7)) * (view > 0)
            posed = head + np.tensordot(_expression(generator, view), model.expressions, 1)
            camera = painting.portrait_camera(yaw, pitch, float(generator.choice(CAMERA_DISTANCES)), PICTURE)
            x, y, _ = generator.normal(size=3) * (0.5, 0.4, 0.0) + (0, 0.3, 0)
            picture, hits = painting.render(posed, paint, camera, painting.Light((x, y, 1.0), 0.45))
            landmarks = mediapipe_models.face_landmarks(picture)
            if landmarks is None:
                continue
            points = _carried_back(landmarks, hits, paint, allowed)
            if abs(yaw) > OVAL_YAW:
                points[list(OVAL)] = np.nan
            renders.append(Render(points, landmarks[:, :2], posed, camera))
    return renders


def _expression(generator: np.random.Generator, view: int) -> np.ndarray:
    """[52] float32: at rest, the mouth a little open, or anything people do."""
    weights = np.zeros(len(ARKIT_NAMES), dtype=np.float32)
    draws = generator.random(len(POSED))
    if view % 3 == 1:
        weights[ARKIT_NAMES.index("jawOpen")] = 0.3 * draws[0]
    elif view % 3 == 2:
        for draw, (name, strength) in zip(draws, POSED.items(), strict=True):
            twin = list(POSED).index(name.replace("Right", "Left"))
            weights[ARKIT_NAMES.index(name)] = strength * max(0.0, 2 * draws[twin] - 1) * (0.8 + 0.2 * draw)
    return weights


def landmark_table(model: HeadModel, renders: list[Render]) -> LandmarkTable:
    """The robust mean of where the landmarks lie, made symmetric."""
    paint = painting.Paint.of(model)
    points = np.array([render.points for render in renders])
    pairs = mirror_pairs(np.nanmedian(points, axis=0))
    return _table(paint, _allowed(model, paint), np.concatenate([points, points[:, pairs] * (-1, 1, 1)]))


def landmark_errors(model: HeadModel, table: LandmarkTable, renders: list[Render]) -> tuple[np.ndarray, np.ndarray]:
    """How the landmarks err together, as fractions of the eye distance.

    Returns:
        components [C, 468, 2] (x right, y down, each times its standard deviation), and [468] the standard deviation
        of what they leave, a coordinate.
    """
    errors = []
    for render in renders:
        expected = table.positions(render.vertices)
        near = render.camera.to_camera(expected[[RIGHT_IRIS[0], LEFT_IRIS[0]]])
        unit = np.linalg.norm(near[0] - near[1]) * render.camera.focal / -near[:, 2].mean()
        error = (render.seen - render.camera.project(expected))[:MESH] / unit
        if np.linalg.norm(error, axis=1).mean() < ERROR_LIMIT:
            errors.append(error)
    pairs = mirror_pairs(table.positions(model.vertices))[:MESH]
    errors = np.array(errors)
    errors = np.concatenate([errors, errors[:, pairs] * (-1, 1)])
    _, singular, rows = np.linalg.svd(errors.reshape(len(errors), -1), full_matrices=False)
    deviation = singular[:ERROR_COMPONENTS, None] / np.sqrt(len(errors))
    components = (rows[:ERROR_COMPONENTS] * deviation).reshape(-1, MESH, 2)
    rest = (errors**2).mean(axis=0) - (components**2).sum(axis=0)
    return components, np.sqrt(np.maximum(rest, 0).mean(axis=1))


def _allowed(model: HeadModel, paint: painting.Paint) -> _Allowed:
    skin = paint.parts == painting.PARTS_SHOWN.index("skin")
    jaw = np.linalg.norm(model.expressions[ARKIT_NAMES.index("jawOpen")], axis=1)
    share = (jaw / np.percentile(jaw[: model.part("skin").vertices[1]], 99))[paint.triangles].mean(axis=1)
    lips = model.vertices[paint.lips > 0.5]
    middle = model.vertices[paint.triangles].mean(axis=1)
    near = skin & (KDTree(lips).query(middle)[0] < LIP_REACH)
    masks = [skin, near & (share < UPPER_LIP_JAW), near & (share > LOWER_LIP_JAW), near]
    masks += [paint.parts == painting.PARTS_SHOWN.index(name) for name in ("eye_right", "eye_left")]
    group = np.zeros(LANDMARKS, dtype=int)
    for row, members in enumerate((UPPER_LIP, LOWER_LIP, MOUTH_CORNERS, RIGHT_IRIS, LEFT_IRIS), start=1):
        group[list(members)] = row
    return _Allowed(np.array(masks), group)


def _carried_back(landmarks: np.ndarray, hits: Hits, paint: painting.Paint, allowed: _Allowed) -> np.ndarray:
    """Where the landmarks of one render lie, as points of the template's surface: [478, 3], NaN where unknown."""
    points = np.full((LANDMARKS, 3), np.nan)
    surface = hits.interpolate(paint.anchors, paint.triangles)
    rows, columns = np.nonzero(hits.hit)
    triangle = hits.triangle[rows, columns]
    for number, mask in enumerate(allowed.masks):
        members = np.flatnonzero(allowed.group == number)
        inside = mask[triangle]
        if inside.sum() < 4:
            continue
        pixels = np.stack([columns[inside], rows[inside]], axis=1) + 0.5
        distance, nearest = KDTree(pixels).query(landmarks[members, :2], k=4)
        # Between pixel centres: the mean of the four nearest, by their distance.
        weight = 1 / (distance + 0.05)
        corner = surface[rows[inside], columns[inside]][nearest]
        points[members] = (corner * weight[..., None]).sum(axis=1) / weight.sum(axis=1, keepdims=True)
    return points


def mirror_pairs(points: np.ndarray) -> np.ndarray:
    """[478] the landmark on the other side, from the places of all of them [478, 3] on the template."""
    cost = np.linalg.norm((points * (-1, 1, 1))[:, None] - points[None], axis=-1)
    cost = cost + cost.T
    iris = np.arange(LANDMARKS) >= RIGHT_IRIS[0]
    cost[iris[:, None] != iris[None]] = 1.0
    _, pairs = linear_sum_assignment(cost)
    if not np.array_equal(pairs[pairs], np.arange(LANDMARKS)):
        raise ValueError("the landmarks cannot be paired by a mirror")
    return pairs


def _table(paint: painting.Paint, allowed: _Allowed, points: np.ndarray) -> LandmarkTable:
    mean, spread = np.empty((LANDMARKS, 3)), np.empty(LANDMARKS)
    for landmark in range(LANDMARKS):
        own = points[:, landmark][np.isfinite(points[:, landmark, 0])]
        mean[landmark], spread[landmark] = _trimmed_mean(own)
    vertices = np.empty((LANDMARKS, 3), dtype=np.int32)
    weights = np.empty((LANDMARKS, 3), dtype=np.float32)
    for number, mask in enumerate(allowed.masks):
        members = np.flatnonzero(allowed.group == number)
        corners = paint.triangles[mask]
        foot = SurfaceIndex(paint.anchors, corners).nearest(mean[members])
        vertices[members], weights[members] = corners[foot.triangle], foot.weights
    distance = np.linalg.norm(mean[EYE_CORNERS[0]] - mean[EYE_CORNERS[1]])
    return LandmarkTable(vertices, weights, (spread / distance).astype(np.float32))


def _trimmed_mean(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Mean of the nearest to the median, and the robust standard deviation of all (a coordinate)."""
    median = np.median(points, axis=0)
    distance = np.linalg.norm(points - median, axis=1)
    kept = points[distance <= np.quantile(distance, 1 - TRIM)]
    return kept.mean(axis=0), float(1.4826 * np.median(distance) / np.sqrt(2))


def main() -> None:
    """Derive both tables and write them beside the prior."""
    parser = argparse.ArgumentParser(description="Derive the landmark table and its errors from renders.")
    parser.add_argument("--heads", type=int, default=60, help="samples of the identity prior; 0 for the template alone")
    arguments = parser.parse_args()
    model = load_head_model()
    heads = model.vertices[None].astype(np.float64)
    if arguments.heads:
        prior = load_identity_prior()
        scores = np.random.default_rng(1).normal(size=(arguments.heads, len(prior.modes)))
        heads = np.array([model.identified(prior.mean + score @ prior.modes) for score in scores], dtype=np.float64)
    renders = take_pictures(model, heads)
    table = landmark_table(model, renders)
    components, rest = landmark_errors(model, table, renders)
    DATA.mkdir(exist_ok=True)
    np.savez_compressed(
        DATA / "landmarks.npz", vertices=table.vertices.astype(np.int16), weights=table.weights, spread=table.spread
    )
    np.savez_compressed(
        DATA / "landmark_errors.npz", components=components.astype(np.float16), rest=rest.astype(np.float32)
    )
    percent = 100 * table.spread
    together = 100 * np.sqrt((components**2).sum() / MESH / 2)
    sys.stdout.write(
        f"{len(renders)} renders; spread, % of the eye distance: median {np.median(percent):.2f}, "
        f"p90 {np.percentile(percent, 90):.2f}, oval {percent[list(OVAL)].mean():.2f}; errors a coordinate: "
        f"together {together:.2f}, alone {100 * np.sqrt((rest**2).mean()):.2f}\n"
    )


if __name__ == "__main__":
    main()
