"""Two pictures of one surface joined without a visible border."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.texturing.uv_raster import UvRaster

_NOTHING = 1e-4  # weight under which a place knows nothing of its own


@dataclass(frozen=True)
class BlendingConfig:
    """How wide the join is."""

    coarsest: int = 32  # texels a side of the coarsest band, whatever the texture's size: a texel of about 15 mm
    border: tuple[float, float] = (0.25, 0.65)  # of the share between which the upper picture comes in


def multiband(
    raster: UvRaster,
    lower: np.ndarray,
    upper: np.ndarray,
    share: np.ndarray,
    config: BlendingConfig = BlendingConfig(),
) -> np.ndarray:
    """Texels [N, C] of `upper` where its share is high, of `lower` where it is low.

    Every band of frequencies is mixed over a width of its own (Burt and Adelson, "A Multiresolution Spline With
    Application to Image Mosaics", 1983): tone over centimetres, pores over a texel or two. What is joined is the
    difference of the two, which is carried on smoothly beyond the border of what `upper` knows, so nothing that stands
    there leaks in.

    Args:
        raster: of the texture.
        lower: [N, C] float32, known everywhere.
        upper: [N, C] float32, anything finite where its share is 0.
        share: [N], 0 to 1.
        config: see there.
    """
    start, end = config.border
    ramp = np.clip((share - start) / (end - start), 0, 1)
    known = (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
    if known.max() == 0:
        return lower
    filled = raster.image(np.concatenate([upper - lower, known[:, None]], axis=1).astype(np.float32))
    difference, mask = filled[..., :-1], np.ascontiguousarray(filled[..., -1])
    levels = max(round(np.log2(min(raster.shape) / config.coarsest)), 1)
    added = _joined(_continued(np.ascontiguousarray(difference), mask, levels), mask, levels)
    return lower + raster.flat(added)


def _joined(picture: np.ndarray, mask: np.ndarray, levels: int) -> np.ndarray:
    """The bands [H, W, C] of a picture, each times the mask [H, W] as soft as the band is coarse."""
    pictures, masks = [picture], [mask]
    for _ in range(levels):
        pictures.append(_pixels(cv2.pyrDown(pictures[-1])))
        masks.append(cv2.pyrDown(masks[-1]))
    out = pictures[-1] * masks[-1][..., None]
    for finer, its_mask, coarser in zip(pictures[-2::-1], masks[-2::-1], pictures[:0:-1], strict=True):
        size = (finer.shape[1], finer.shape[0])
        band = finer - _pixels(cv2.pyrUp(coarser, dstsize=size))
        out = _pixels(cv2.pyrUp(out, dstsize=size)) + band * its_mask[..., None]
    return out


def _continued(picture: np.ndarray, weight: np.ndarray, levels: int) -> np.ndarray:
    """A picture [H, W, C] with what has no weight replaced by a smooth mean of what has some around it."""
    sums, weights = [picture * weight[..., None]], [weight]
    for _ in range(levels):
        sums.append(_pixels(cv2.pyrDown(sums[-1])))
        weights.append(cv2.pyrDown(weights[-1]))
    mean = _pixels(cv2.GaussianBlur(sums[-1], (0, 0), 2.0))
    around = cv2.GaussianBlur(weights[-1], (0, 0), 2.0)[..., None]
    out = mean / np.maximum(around, _NOTHING)
    for total, own in zip(sums[::-1], weights[::-1], strict=True):
        if out.shape != total.shape:
            out = _pixels(cv2.pyrUp(out, dstsize=(total.shape[1], total.shape[0])))
        sure = np.clip(own, 0, 1)[..., None]
        out = np.where(sure > _NOTHING, total + (1 - sure) * out, out)
    return out


def _pixels(image: np.ndarray) -> np.ndarray:
    """OpenCV drops the last axis of a picture of one channel: [H, W] becomes [H, W, 1]."""
    return image[..., None] if image.ndim == 2 else image
