"""The person to whom one face belongs, as against the background and other people."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.photo import mediapipe_models
from portrait_head.photo.guided_filter import guided_filter
from portrait_head.photo.head_shape import HeadShape, head_shape
from portrait_head.photo.matte import colour_matte


@dataclass(frozen=True)
class PersonConfig:
    """How the segmentation is asked and joined. Lengths are in face heights."""

    views: tuple[float, ...] = (3.1, 2.5)  # sides of the squares around the head that the segmenter sees
    drop: float = 0.12
    threshold: float = 0.5
    face_cover: float = 0.8  # share of the face that a trustworthy view calls person
    thinnest: float = 0.06  # half the width of the thinnest link to a part that is kept
    body_length: float = 1.5
    edge_radius: float = 0.06
    edge_smoothness: float = 1e-3  # guided filter, squared colour units of 0 to 1
    edge_range: tuple[float, float] = (0.35, 0.85)  # the filtered mask's values that become 0 and 1
    edge_band: float = 0.05  # how far the segmenter's outline may be wrong
    edge_reach: float = 0.10  # how far from it the colours of person and background are taken
    model_side: int = 256


def person_mask(
    image: np.ndarray,
    valid: np.ndarray,
    shape: HeadShape,
    others: tuple[np.ndarray, ...] = (),
    config: PersonConfig = PersonConfig(),
) -> np.ndarray:
    """The person with the face `shape`: [S, S] float32, 0 to 1.

    Args:
        image: [S, S, 3] uint8 sRGB.
        valid: [S, S] bool, False beyond the photo.
        shape: the head, in pixels of `image`.
        others: landmarks [478, 3] of other faces, same pixels.
        config: how the segmenter is asked.
    """
    face = shape.fill(shape.oval, valid.shape) & valid
    total = np.zeros(valid.shape, np.float32)
    weight = np.zeros(valid.shape, np.float32)
    for mask, seen in _views(image, valid, shape, config):
        look = face & seen
        if look.any() and mask[look].mean() >= config.face_cover:
            total += np.where(seen, mask, 0.0)
            weight += seen
    unseen = weight == 0
    mask = total / np.maximum(weight, 1e-6)
    if unseen[face].all():
        # No view knew a person: all that can be said is where a head would be.
        mask = _geometric(valid.shape, shape)
    mask = np.where(valid, mask, 0.0)
    mask = np.maximum(mask, face)
    mask = _to_edges(mask, image, shape, config)
    own = _own(mask > config.threshold, shape, others, config)
    # The soft edge is kept: what is nearly person may lie a little outside.
    near = cv2.dilate(own.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return np.where(near, mask, 0.0).astype(np.float32)


def _views(
    image: np.ndarray, valid: np.ndarray, shape: HeadShape, config: PersonConfig
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The segmenter's answers [S, S] float32 to several squares, each with where it looked [S, S] bool."""
    side = valid.shape[0]
    squares = []
    for length in config.views:
        extent = shape.size * length
        corner = shape.middle - shape.up * config.drop * shape.size - extent / 2
        squares.append((corner, corner + extent))
    rows, columns = np.flatnonzero(valid.any(axis=1)), np.flatnonzero(valid.any(axis=0))
    # What there is of the photo, without the padding that confuses the segmenter.
    bounds = np.array([columns[0], rows[0]]), np.array([columns[-1] + 1, rows[-1] + 1])
    if not valid.all():
        squares.append(bounds)
    answers = []
    for low, high in squares:
        low = np.clip(np.round(low).astype(int), bounds[0], bounds[1] - 1)
        high = np.clip(np.round(high).astype(int), low + 1, bounds[1])
        part = image[low[1] : high[1], low[0] : high[0]]
        part = cv2.resize(part, (config.model_side, config.model_side), interpolation=cv2.INTER_AREA)
        answer = mediapipe_models.segment_person(part)
        extent = high - low
        answer = cv2.resize(answer, (int(extent[0]), int(extent[1])), interpolation=cv2.INTER_LINEAR)
        mask, seen = np.zeros((side, side), np.float32), np.zeros((side, side), bool)
        mask[low[1] : high[1], low[0] : high[0]] = answer
        seen[low[1] : high[1], low[0] : high[0]] = True
        answers.append((mask, seen))
    return answers


def _to_edges(mask: np.ndarray, image: np.ndarray, shape: HeadShape, config: PersonConfig) -> np.ndarray:
    """The mask with its outline drawn to the picture's edges: the segmenter's lies up to 5 mm outside.

    Colour decides where it can: the filtered mask, which is the answer elsewhere, lies 2 mm inside on plain pictures.
    """
    radius, band, reach = (
        max(2, round(length * shape.size)) for length in (config.edge_radius, config.edge_band, config.edge_reach)
    )
    guide = image.astype(np.float32) / 255.0
    soft = guided_filter(guide, mask.astype(np.float32), radius, config.edge_smoothness)
    low, high = config.edge_range
    filtered = np.clip((soft - low) / (high - low), 0.0, 1.0)
    return colour_matte(guide, mask, filtered, band, reach)


def _geometric(size: tuple[int, ...], shape: HeadShape) -> np.ndarray:
    """The bald head over a neck, [H, W] float32."""
    points = np.moveaxis(np.indices(size)[::-1], 0, -1) + 0.5
    neck = (np.abs(shape.side(points)) < 0.3) & (shape.height(points) < -0.2)
    return ((shape.skull_radius(points) <= 1.0) | neck | shape.fill(shape.oval, size)).astype(np.float32)


def _own(person: np.ndarray, shape: HeadShape, others: tuple[np.ndarray, ...], config: PersonConfig) -> np.ndarray:
    """Where the mask `person` ([S, S] bool) is nearer to this body than to another, and hangs together with it.

    A body is a line from the middle of the head down past the neck; distances count in head sizes.
    """
    points = np.moveaxis(np.indices(person.shape)[::-1], 0, -1) + 0.5
    mine = _body_distance(points, shape, config)
    own = person.copy()
    for landmarks in others:
        own &= mine <= _body_distance(points, head_shape(landmarks), config)
    face = shape.fill(shape.oval, person.shape)
    # What hangs on by less than a thin neck (a hand at the shoulder, a neighbour's hair) goes.
    radius = max(1, round(config.thinnest * shape.size))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    core = cv2.erode(own.astype(np.uint8), disc)
    labels = cv2.connectedComponents(core, connectivity=4)[1]
    kept = np.unique(labels[face & (core > 0)])
    if not (kept > 0).any():
        return own | face
    grown = cv2.dilate(np.isin(labels, kept[kept > 0]).astype(np.uint8), disc, iterations=2)
    return (own & (grown > 0)) | face


def _body_distance(points: np.ndarray, shape: HeadShape, config: PersonConfig) -> np.ndarray:
    """Distance of points [..., 2] from the body's line, in face heights."""
    start = shape.skull_centre
    neck = shape.middle - shape.up * 0.6 * shape.size
    foot = neck + np.array([0.0, config.body_length]) * shape.size
    distances = []
    for first, second in ((start, neck), (neck, foot)):
        line = second - first
        along = np.clip((points - first) @ line / max(float(line @ line), 1e-9), 0.0, 1.0)
        distances.append(np.linalg.norm(points - first - along[..., None] * line, axis=-1))
    return np.minimum(*distances) / shape.size
