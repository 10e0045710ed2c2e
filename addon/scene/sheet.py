# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures as arrays: fitting them into tiles and laying tiles out. Needs numpy only.

Pictures are [H, W, 3] float32 from 0 to 1, sRGB, first row on top.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def _filter(source: int, target: int) -> np.ndarray:
    """Weights [target, source] of a triangle filter as wide as a target pixel, or a source pixel when enlarging."""
    scale = source / target
    centres = (np.arange(target) + 0.5) * scale
    distance = np.abs(np.arange(source) + 0.5 - centres[:, None])
    weights = np.maximum(0.0, 1.0 - distance / max(scale, 1.0))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """The picture [H, W, C] resampled to [height, width, C] without aliasing."""
    rows, columns = _filter(picture.shape[0], height), _filter(picture.shape[1], width)
    return np.einsum("yh,hwc,xw->yxc", rows, picture.astype(np.float32), columns, optimize=True)


def fit(picture: np.ndarray, size: int, backdrop: float) -> np.ndarray:
    """The whole picture [H, W, 3] in the middle of a tile [size, size, 3]."""
    scale = size / max(picture.shape[:2])
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    tile = np.full((size, size, 3), backdrop, dtype=np.float32)
    top, left = (size - height) // 2, (size - width) // 2
    tile[top : top + height, left : left + width] = resize(picture[..., :3], height, width)
    return tile


def grid(tiles: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Tiles [size, size, 3] in rows of `columns`."""
    rows = [np.concatenate(tiles[start : start + columns], axis=1) for start in range(0, len(tiles), columns)]
    return np.concatenate(rows, axis=0)
