"""Laying one surface onto points of another by turning, moving and scaling it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation


@dataclass(frozen=True)
class Similarity:
    """x -> scale * rotation @ x + translation.

    Attributes:
        scale: positive.
        rotation: [3, 3] float64, without reflection.
        translation: [3] float64.
    """

    scale: float
    rotation: np.ndarray
    translation: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 3] moved."""
        return self.scale * points @ self.rotation.T + self.translation

    def after(self, first: Similarity) -> Similarity:
        """This one upon `first`."""
        return Similarity(self.scale * first.scale, self.rotation @ first.rotation, self(first.translation))

    def inverse(self) -> Similarity:
        """The way back."""
        turned = self.rotation.T
        return Similarity(1.0 / self.scale, turned, -turned @ self.translation / self.scale)


@dataclass(frozen=True)
class LayingConfig:
    """How a surface of unknown frame is laid onto a head; tried on other people's heads with hair and shoulders.

    Attributes:
        points: of the head, and of the face, that draw the surface.
        kept: shares of these points, nearest first, that draw it: hair, shoulders and clothes hide the rest.
        scales: sizes tried for each orientation, times that at which the boxes are equally high from the top down; a
            surface with shoulders is higher than its head.
        tries: (starts carried on with, rounds of closest points for each): all starts and the better half with the
            head, the best of these with the face, first a few of its points, then more.
        tolerance: rounds end when no point moves further than this share of the head's height.
        hold: weight of a pair's distance along the surface against that across it.
    """

    points: tuple[int, int] = (250, 1000)
    kept: tuple[float, float] = (0.7, 0.85)
    scales: tuple[float, ...] = (1.0, 1.35, 1.8)
    tries: tuple[tuple[int, int], ...] = ((72, 5), (36, 10), (20, 10), (4, 40))
    tolerance: float = 1e-4
    hold: float = 0.02


def fit_similarity(source: np.ndarray, target: np.ndarray) -> Similarity:
    """The similarity that brings `source` [N, 3] nearest to `target` [N, 3] in the least-squares sense.

    Source: Umeyama, "Least-squares estimation of transformation parameters between two point patterns" (1991).
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    from_mean, to_mean = source - source_mean, target - target_mean
    left, singular, right = np.linalg.svd(to_mean.T @ from_mean)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = (left * sign) @ right
    scale = float((singular * sign).sum() / (from_mean**2).sum())
    return Similarity(scale, rotation, target_mean - scale * rotation @ source_mean)


def lay_onto(
    surface: np.ndarray,
    normals: np.ndarray,
    head: np.ndarray,
    face: np.ndarray,
    config: LayingConfig = LayingConfig(),
) -> tuple[Similarity, float]:
    """Find the similarity that brings a surface, in whatever unit and along whatever axes, onto a head.

    All 24 orientations along the axes are tried; from the most promising, closest points and realignment alternate,
    first with the whole head, which tells up from down, in the end with the face, which no hair hides.

    Args:
        surface: [V, 3] points that cover it densely.
        normals: [V, 3] unit, of the surface there.
        head: [N, 3] points all over the head, metres.
        face: [M, 3] points of the face alone.

    Returns:
        the similarity from the surface's frame to the head's, and the distance within which the share of the face's
        points lies that drew, metres.
    """
    cloud = _Cloud(KDTree(surface), surface, normals)
    few = head[:: -(-len(head) // config.points[0])]
    some, many = (face[:: -(-len(face) // count)] for count in config.points)
    best = [(_box_start(surface, head, turn, size), 0.0) for turn in _orientations() for size in config.scales]
    on_head, on_face = config.kept
    drawn = ((few, on_head), (few, on_head), (some, on_face), (many, on_face))
    for (count, rounds), (drawing, kept) in zip(config.tries, drawn, strict=True):
        best = [_closest_points(cloud, drawing, start, kept, rounds, config) for start, _ in best[:count]]
        best.sort(key=lambda found: found[1])
    return best[0]


@dataclass(frozen=True)
class _Cloud:
    """A surface as points [V, 3] with normals [V, 3], ready to be asked which is nearest."""

    tree: KDTree
    points: np.ndarray
    normals: np.ndarray


def _closest_points(
    cloud: _Cloud, head: np.ndarray, start: Similarity, kept: float, rounds: int, config: LayingConfig
) -> tuple[Similarity, float]:
    """Trimmed closest points (Chetverikov et al., "The Trimmed Iterative Closest Point Algorithm", 2002)."""
    similarity = start
    count = max(round(kept * len(head)), 4)
    still = config.tolerance * float(np.ptp(head[:, 1]))
    for _ in range(rounds):
        # The head is brought to the surface, not it to the head: its search tree is built once.
        distance, index = cloud.tree.query(similarity.inverse()(head))
        near = np.argpartition(distance, count - 1)[:count]
        laid, across = similarity(cloud.points[index[near]]), cloud.normals[index[near]] @ similarity.rotation.T
        step = _step(laid, across, head[near], config.hold)
        similarity = step.after(similarity)
        if np.abs(step(laid) - laid).max() < still:
            break
    distance, _ = cloud.tree.query(similarity.inverse()(head))
    return similarity, float(np.partition(distance, count - 1)[count - 1] * similarity.scale)


def _step(laid: np.ndarray, normals: np.ndarray, points: np.ndarray, hold: float) -> Similarity:
    """One step that brings surface points `laid` [N, 3] towards `points` [N, 3], first of all along `normals`.

    Least squares over small turns, moves and log scale (Chen and Medioni, "Object modelling by registration of
    multiple range images", 1992); `hold` keeps round surfaces from drifting. Gaps are counted in the unit of the
    points: in the surface's unit, a head shrunk to a dot would lie on any surface.
    """
    middle = laid.mean(axis=0)
    arm = laid - middle
    size = np.sqrt((arm**2).sum(axis=1).mean())
    arm = arm / size
    gap = (points - laid) / size
    # Each block: rows for one direction a point; columns: turn (3), move (3), log scale (1).
    blocks = [(normals, 1.0), *((np.broadcast_to(axis, arm.shape), np.sqrt(hold)) for axis in np.eye(3))]
    matrix = np.concatenate(
        [weight * np.column_stack([np.cross(arm, way), way, (arm * way).sum(axis=1)]) for way, weight in blocks]
    )
    wanted = np.concatenate([weight * (gap * way).sum(axis=1) for way, weight in blocks])
    step = np.linalg.solve(matrix.T @ matrix, matrix.T @ wanted)
    rotation = Rotation.from_rotvec(step[:3]).as_matrix()
    scale = float(np.exp(np.clip(step[6], -0.2, 0.2)))
    return Similarity(scale, rotation, middle + step[3:6] * size - scale * rotation @ middle)


def _box_start(surface: np.ndarray, head: np.ndarray, rotation: np.ndarray, size: float) -> Similarity:
    """The surface turned, its box as high as the head's times `size`, tops and middles on each other."""
    turned = surface @ rotation.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    head_low, head_high = head.min(axis=0), head.max(axis=0)
    scale = size * (head_high[1] - head_low[1]) / max(high[1] - low[1], 1e-12)
    top = np.array([(low[0] + high[0]) / 2, high[1], (low[2] + high[2]) / 2])
    head_top = np.array([(head_low[0] + head_high[0]) / 2, head_high[1], (head_low[2] + head_high[2]) / 2])
    return Similarity(scale, rotation, head_top - scale * top)


def _orientations() -> list[np.ndarray]:
    """The 24 rotations that carry axes into axes."""
    found = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[range(3), order] = signs
            if np.linalg.det(matrix) > 0:
                found.append(matrix)
    return found
