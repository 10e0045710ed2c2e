"""Which pixels of a face are the frame of glasses: rims, bridge and what is seen of the temples.

A frame is a dark line that closes round each eye. It is followed as a shortest path through how dark thin things are,
so that brows and lashes, which are as dark, do not lead it astray; only what lies on that line and is as dark counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.photo.faces import IRIS_CENTRES
from portrait_head.photo.lines import read
from portrait_head.rendering.lighting import LUMINANCE, srgb_to_linear

TEMPLES = (127, 356)  # points of the mesh before the ears, the subject's right first


@dataclass(frozen=True)
class FrameConfig:
    """Lengths in shares of the distance between the pupils, darkness as natural logarithms."""

    blur: float = 0.008
    widest: float = 0.15  # a frame is thinner
    inner: tuple[float, float] = (0.26, 0.12)  # half axes of what lies within every lens: the open eye
    outer: tuple[float, float] = (0.60, 0.50)  # and of what lies round every lens
    below: tuple[float, float] = (25.0, 155.0)  # degrees from the subject's right to left, under the eye: no brow there
    steep: int = 2  # samples that the line may move from one step to the next
    enough: float = 0.40  # of the frame's own darkness: so dark is frame
    bridge: tuple[float, float] = (-0.25, 0.30)  # below the line between the pupils
    temple: tuple[float, float] = (-0.35, 0.20)  # below the pupils
    temple_length: float = 0.35  # beyond the points before the ears
    gap: float = 0.06  # of a temple, crossed by a strand
    slack: float = 1.35  # a frame's width over its mean below the eyes
    margin: float = 0.03  # what lens, enlarging and sharpening smear of the frame


def frame_mask(image: np.ndarray, landmarks: np.ndarray, config: FrameConfig = FrameConfig()) -> np.ndarray:
    """Where [S, S] bool the frame of glasses is that are known to be there.

    Args:
        image: [S, S, 3] uint8 sRGB.
        landmarks: [478, 3] pixels of it.
        config: sizes.
    """
    right, left = (landmarks[index, :2].astype(np.float64) for index in IRIS_CENTRES)
    unit = max(float(np.linalg.norm(left - right)), 1.0)
    aside = (left - right) / unit
    down = np.array([-aside[1], aside[0]])
    darkness = _darkness(image, unit, config)
    turn = np.radians(np.arange(0, 360, 2.0))
    ways = np.cos(turn)[:, None] * aside + np.sin(turn)[:, None] * down
    shares = np.linspace(0, 1, 49)[:, None]

    rims = []
    lower = (np.degrees(turn) > config.below[0]) & (np.degrees(turn) < config.below[1])
    for eye in (right, left):
        near, far = (
            np.hypot(np.cos(turn) * half[0], np.sin(turn) * half[1]) * unit for half in (config.inner, config.outer)
        )
        reach = near[:, None, None] + shares * (far - near)[:, None, None]
        rims.append(eye + ways[:, None] * reach)  # [angles, radii, 2]
    found = [read(darkness, rim) for rim in rims]
    ways_round = [_closed_path(table, config.steep) for table in found]
    steps = np.arange(len(turn))
    own = float(np.median([table[steps, way][lower] for table, way in zip(found, ways_round, strict=True)]))
    # Nothing draws the line more than the frame itself does: brows and lashes may be darker.
    ways_round = [_closed_path(np.minimum(table, own), config.steep) for table in found]
    lines = []
    outlines = [rim[steps, way] for rim, way in zip(rims, ways_round, strict=True)]
    for table, way, outline in zip(found, ways_round, outlines, strict=True):
        lines.append((np.concatenate([outline, outline[:1]]), np.append(table[steps, way], table[0, way[0]])))

    ends = [outlines[0][(outlines[0] @ aside).argmax()], outlines[1][(outlines[1] @ aside).argmin()]]
    across = np.linspace((ends[0] - right) @ aside - 0.03 * unit, (ends[1] - right) @ aside + 0.03 * unit, 40)
    lines.append(_line(darkness, own, right, aside, down, across, np.array(config.bridge) * unit, config))
    for eye, outline, index, sign in zip((right, left), outlines, TEMPLES, (-1, 1), strict=True):
        start = float(np.max((outline - eye) @ aside * sign))
        stop = max(start, float((landmarks[index, :2] - eye) @ aside * sign)) + config.temple_length * unit
        outwards = sign * np.linspace(start - 0.05 * unit, stop, 60)
        points, depth = _line(darkness, own, eye, aside, down, outwards, np.array(config.temple) * unit, config)
        lines.append(_unbroken(points, depth, config.enough * own, config.gap * unit))

    under = _drawn([(outline[lower], own + 0 * turn[lower]) for outline in outlines], own, image.shape, config)
    dark = darkness > config.enough * own
    beside = cv2.distanceTransform((~under).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    length = sum(float(np.linalg.norm(np.diff(outline[lower], axis=0), axis=1).sum()) for outline in outlines)
    width = float((dark & (beside < config.widest / 2 * unit)).sum()) / max(length, 1.0)
    centre = _drawn(lines, own, image.shape, config)
    off = cv2.distanceTransform((~centre).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    frame = dark & (off <= config.slack * width / 2 + 1)
    side = 2 * max(round(config.margin * unit), 1) + 1
    return cv2.dilate(frame.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))) > 0


def _darkness(image: np.ndarray, unit: float, config: FrameConfig) -> np.ndarray:
    """How much darker [S, S] float32 a pixel is than what lies round any thin thing that it is part of."""
    light = (srgb_to_linear(image.astype(np.float32) / 255) @ LUMINANCE).astype(np.float32)
    light = np.log(np.maximum(cv2.GaussianBlur(light, (0, 0), max(config.blur * unit, 0.5)), 4e-3))
    side = 2 * max(round(config.widest * unit / 2), 1) + 1
    return cv2.morphologyEx(light, cv2.MORPH_BLACKHAT, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))


def _line(
    darkness: np.ndarray,
    own: float,
    origin: np.ndarray,
    aside: np.ndarray,
    down: np.ndarray,
    across: np.ndarray,
    between: np.ndarray,
    config: FrameConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """The darkest way through a band: its points [K, 2] at the distances `across` [K] and how dark [K] they are."""
    rows = np.linspace(between[0], between[1], 49)
    table = origin + across[:, None, None] * aside + rows[:, None] * down
    found = read(darkness, table)
    way = _path(np.minimum(found, own), config.steep)
    steps = np.arange(len(across))
    return table[steps, way], found[steps, way]


def _unbroken(points: np.ndarray, depth: np.ndarray, least: float, gap: float) -> tuple[np.ndarray, np.ndarray]:
    """The part of a line from its start to where it is lost for more than `gap` pixels."""
    lost = np.where(depth < least, np.append(0, np.linalg.norm(np.diff(points, axis=0), axis=1)), 0)
    missing = 0.0
    for index, length in enumerate(lost):
        missing = missing + length if length else 0.0
        if missing > gap:
            return points[:index], depth[:index]
    return points, depth


def _drawn(
    lines: list[tuple[np.ndarray, np.ndarray]], own: float, shape: tuple[int, ...], config: FrameConfig
) -> np.ndarray:
    """[S, S] bool, the lines [K, 2] where their darkness [K] is a frame's."""
    canvas = np.zeros(shape[:2], np.uint8)
    for points, depth in lines:
        pixels = np.floor(points).astype(np.int32)
        dark = depth > config.enough * own
        for index in np.flatnonzero(dark[:-1] & dark[1:]):
            cv2.line(canvas, pixels[index].tolist(), pixels[index + 1].tolist(), (1,), 1)
    return canvas > 0


def _path(gain: np.ndarray, steep: int) -> np.ndarray:
    """Columns [K] of the way down a table [K, R] that gathers most, moving at most `steep` columns a row."""
    total = gain.astype(np.float64).copy()
    came = np.zeros(gain.shape, np.int64)
    columns = np.arange(gain.shape[1])
    for row in range(1, len(gain)):
        before = np.full((2 * steep + 1, gain.shape[1]), -np.inf)
        for index, move in enumerate(range(-steep, steep + 1)):
            inside = columns[(columns + move >= 0) & (columns + move < gain.shape[1])]
            before[index, inside] = total[row - 1, inside + move] - 0.01 * abs(move)
        best = before.argmax(axis=0)
        came[row] = columns + best - steep
        total[row] += before[best, columns]
    way = np.empty(len(gain), np.int64)
    way[-1] = total[-1].argmax()
    for row in range(len(gain) - 1, 0, -1):
        way[row - 1] = came[row, way[row]]
    return way


def _closed_path(gain: np.ndarray, steep: int) -> np.ndarray:
    """The same on a table whose last row is beside its first: the middle of three rounds."""
    count = len(gain)
    return _path(np.concatenate([gain[count // 2 :], gain, gain[: count // 2]]), steep)[count - count // 2 :][:count]
