"""The outline of a mask moved to where the picture's colours change from what is inside to what is outside."""

from __future__ import annotations

import cv2
import numpy as np

LEAST = 8.0  # pixels of either side in a window that tell its colours
FLAT = 1e-4  # added to the colours' covariance, squared units of the guide
DOUBT = 10.0  # squared Mahalanobis distance of the two sides at which colour has half of the say


def colour_matte(guide: np.ndarray, mask: np.ndarray, prior: np.ndarray, band: int, reach: int) -> np.ndarray:
    """How much of each pixel belongs to the mask, by colour near its outline and by `prior` elsewhere: [H, W] float32.

    In the band around the outline every pixel is compared with the colours surely inside and surely outside within
    reach. Both are taken as Gaussian, as in Bayesian matting (Chuang, Curless, Salesin and Szeliski 2001); the share is
    read along the direction that parts them best (Fisher's discriminant). Where they are hardly apart colour says
    nothing, and the prior stays.

    Args:
        guide: [H, W, 3] colours, 0 to 1.
        mask: [H, W] 0 to 1, no further than `band` from the truth at 0.5.
        prior: [H, W] 0 to 1, the answer where colour has none.
        band: pixels on either side of the outline that are in doubt.
        reach: pixels from which the sure colours are taken; beyond `band`.
    """
    guide = guide.astype(np.float64)
    hard = (mask > 0.5).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    inside = cv2.erode(hard, disc).astype(bool)
    outside = cv2.dilate(hard, disc) == 0
    doubt = np.flatnonzero(~inside & ~outside)
    many, first, spread = _colours(guide, inside, doubt, reach)
    many_out, second, spread_out = _colours(guide, outside, doubt, reach)
    apart = first - second
    normal = np.linalg.solve(spread + spread_out + FLAT * np.eye(3), apart[..., None])[..., 0]
    distance = (apart * normal).sum(axis=1)
    along = ((guide.reshape(-1, 3)[doubt] - second) * normal).sum(axis=1)
    share = np.clip(along / np.maximum(distance, 1e-9), 0.0, 1.0)
    say = np.where((many > LEAST) & (many_out > LEAST), distance / (distance + DOUBT), 0.0)
    answer = prior.astype(np.float64).reshape(-1).copy()
    answer[doubt] += say * (share - answer[doubt])
    return answer.reshape(mask.shape).astype(np.float32)


def _colours(
    guide: np.ndarray, where: np.ndarray, rows: np.ndarray, reach: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number [N], mean [N, 3] and covariance [N, 3, 3] of the pixels `where` in the windows round `rows` [N]."""

    def gathered(values: np.ndarray) -> np.ndarray:
        side = 2 * reach + 1
        sums = cv2.boxFilter(
            values * where[..., None], -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT
        )
        return sums.reshape(where.size, -1)[rows]

    count = gathered(np.ones((*where.shape, 1)))
    least = np.maximum(count, 1.0)
    mean = gathered(guide) / least
    pairs = (guide[..., :, None] * guide[..., None, :]).reshape(*where.shape, 9)
    square = (gathered(pairs) / least).reshape(-1, 3, 3)
    return count[:, 0], mean, square - mean[:, :, None] * mean[:, None, :]
