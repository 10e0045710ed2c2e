"""A mask's border drawn to where the photo's colours change, and how far that can be trusted."""

from __future__ import annotations

import cv2
import numpy as np

BAND = 0.008  # metres on both sides of a mask's border within which the true outline is looked for
REACH = 1.5  # bands over which colours of the sure inside and outside are averaged
PARTED = (2.0, 6.0)  # squared distance of the two colours over their variances: from no trust to full trust
BLIND = 0.3  # trust in a border that the colours say nothing about
STEEP = 2.0  # how much faster than the share of the inside's colour the refined mask rises
PIXEL = 0.0009  # metres: finer pictures are made smaller first
NOISE = 1e-4  # variance of linear 0 to 1 colours that even a plain wall has


def to_edges(mask: np.ndarray, image: np.ndarray, pixel: float) -> tuple[np.ndarray, np.ndarray]:
    """Move the border of a mask to the edge of the colours beside it.

    Each pixel in a band around the border is a mixture of what lies well inside and well outside near it, as in alpha
    matting; its share of the inside becomes the mask where the two can be told apart.

    Args:
        mask: [H, W] float, 0 to 1.
        image: [H, W, 3] uint8.
        pixel: metres that a pixel covers.

    Returns:
        The mask [H, W] float32 and the trust [H, W] float32, 0 to 1; 1 away from the border.
    """
    size = (mask.shape[1], mask.shape[0])
    factor = min(pixel / PIXEL, 1.0)
    small = (max(round(size[0] * factor), 1), max(round(size[1] * factor), 1))
    mask = cv2.resize(mask.astype(np.float32), small, interpolation=cv2.INTER_AREA)
    image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    band = max(BAND * factor / pixel, 2.0)
    hard = mask > 0.5
    inner, outer = _distance(hard), _distance(~hard)
    colour = image.astype(np.float32) / 255
    inside, inside_spread, inside_near = _local(colour, inner > band, REACH * band)
    outside, outside_spread, outside_near = _local(colour, outer > band, REACH * band)
    apart = inside - outside
    length = (apart**2).sum(axis=-1)
    share = ((colour - outside) * apart).sum(axis=-1) / np.maximum(length, 1e-9)
    told = length / (inside_spread + outside_spread + NOISE)
    told = np.clip((told - PARTED[0]) / (PARTED[1] - PARTED[0]), 0.0, 1.0) * (inside_near & outside_near)
    within = np.clip(2 - np.maximum(inner, outer) / band, 0.0, 1.0)  # 1 in the band, fading out over another
    refined = np.clip(0.5 + STEEP * (cv2.GaussianBlur(share, (0, 0), 0.7) - 0.5), 0.0, 1.0)
    amount = told * within
    trust = 1 - np.clip(within, 0.0, 1.0) * (1 - BLIND) * (1 - told)
    found = (mask + amount * (refined - mask), trust)
    soft, sure = (cv2.resize(one.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) for one in found)
    return soft, sure


def _local(colour: np.ndarray, where: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean colour [H, W, 3] of the pixels `where` around each pixel, its variance [H, W], and whether there are any."""
    amount = cv2.GaussianBlur(where.astype(np.float32), (0, 0), sigma)
    kept = colour * where[..., None]
    mean = cv2.GaussianBlur(kept, (0, 0), sigma) / np.maximum(amount, 1e-6)[..., None]
    square = cv2.GaussianBlur((kept**2).sum(axis=-1), (0, 0), sigma) / np.maximum(amount, 1e-6)
    return mean, np.maximum(square - (mean**2).sum(axis=-1), 0.0), amount > 1e-3


def _distance(mask: np.ndarray) -> np.ndarray:
    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
