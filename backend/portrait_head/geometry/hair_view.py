"""What one photo says about hair: where it is, where it surely is not, and how far it stands off the head."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from portrait_head.geometry.capsule import Capsule
from portrait_head.rendering.camera import PinholeCamera
from portrait_head.rendering.raycast import RayCaster, visibility

PIXEL = 0.001  # metres on the head that a pixel of the working image covers
CARVING_BLUR = 3.0  # pixels, against the steps of a mask
BESIDE_SLACK = 0.004  # metres: how far hair may cross the outline, which its thickness follows anyway
BARE_MARGIN = 0.0015  # metres that hair keeps from skin in view, so that it takes its colour from hair alone
GAP = 3  # pixels, radius
HOLE = 150  # pixels
TOUCHING = 0.02  # metres: hair further than this from the head belongs to somebody else
RAY_REACH = 0.22  # metres before and behind the head's centre where a ray may graze hair
RAY_STEPS = 110  # 4 mm
LEAST_GAP = -0.015  # metres; a deeper ray is the lower end of hair, not its side
MOST_GAP = 0.12
FENCE = 3  # pixels from the photo's edge within which a contour is only where the picture ends
OUTWARD = 0.3  # least cosine between a contour's normal and the way away from the head's axis


@dataclass(frozen=True)
class HairView:
    """The photo at a resolution of about `PIXEL`.

    Attributes:
        camera: from head space to the working image's pixels.
        hair: [H, W] bool, hair of this person.
        bare: [H, W] bool, skin without hair over it; not that of the ears, which may hide hair behind them.
        valid: [H, W] bool, inside the photo.
        head: [H, W] bool, pixels that the bare head covers.
        depth: [H, W] float64 metres from the camera's plane to the bare head; beside the head that of its nearest rim.
        border: [H, W] float64 metres to the mask's border at the head's distance, positive inside the hair.
        free_front: [H, W] float64 metres to the nearest pixel that shows no hair, for what lies before the head.
        free_behind: [H, W] float64 the same for what may hide behind the head: to the nearest pixel beside both.
    """

    camera: PinholeCamera
    hair: np.ndarray
    bare: np.ndarray
    valid: np.ndarray
    head: np.ndarray
    depth: np.ndarray
    border: np.ndarray
    free_front: np.ndarray
    free_behind: np.ndarray


def look(
    camera: PinholeCamera,
    vertices: np.ndarray,
    triangles: np.ndarray,
    ears: np.ndarray,
    hair: np.ndarray,
    person: np.ndarray,
    valid: np.ndarray,
    never: np.ndarray,
) -> HairView:
    """Bring masks to the working resolution and see the bare head behind them.

    Args:
        camera: from head space to the pixels of the masks.
        vertices: [V, 3] metres, the head as posed in the photo.
        triangles: [T, 3] its outer surface.
        ears: [E] indices of the ears' vertices.
        hair: [S, S] float, 0 to 1.
        person: [S, S] float, 0 to 1.
        valid: [S, S] bool.
        never: [K, 2] float pixels; their convex hull (eyes, nose and mouth) never counts as hair.
    """
    distance = -float(camera.to_camera(vertices.mean(axis=0))[2])
    small = camera.scaled(distance / (camera.focal * PIXEL))
    factor = small.width / camera.width
    size = (small.width, small.height)
    soft, body, inside = (
        cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_AREA) for image in (hair, person, valid)
    )
    inside = inside > 0.99
    hull = cv2.convexHull(never.astype(np.float32) * factor)
    face = cv2.fillConvexPoly(np.zeros(size[::-1], np.uint8), np.round(hull).astype(np.int32), (1,)) > 0
    mask = (gaussian_filter(soft, 1.0) > 0.5) & inside & ~face

    hits = visibility(RayCaster(vertices, triangles), small)
    seen = -small.to_camera(hits.interpolate(vertices, triangles))[..., 2]
    nearest = np.asarray(distance_transform_edt(~hits.hit, return_distances=False, return_indices=True))
    mask = _of_this_head(_without_gaps(mask) & inside & ~face, hits.hit)
    metres = distance / small.focal
    beside = inside & ~mask & ~hits.hit
    bare = inside & ~mask & hits.hit & (body > 0.5)
    is_ear = np.isin(np.arange(len(vertices)), ears)
    ear = hits.hit & is_ear[triangles[hits.triangle]].any(axis=-1)
    free_behind = gaussian_filter(-_signed(beside), CARVING_BLUR) * metres + BESIDE_SLACK
    free_front = np.minimum(gaussian_filter(-_signed(bare), CARVING_BLUR) * metres - BARE_MARGIN, free_behind)
    border = _signed(mask) * metres
    depth = seen[tuple(nearest)]
    return HairView(small, mask, bare & ~ear, inside, hits.hit, depth, border, free_front, free_behind)


def holes(mask: np.ndarray, most: int) -> np.ndarray:
    """The pieces of at most `most` cells that are missing in `mask` [H, W] bool."""
    count, pieces = cv2.connectedComponents((~mask).astype(np.uint8), connectivity=4)
    small = np.bincount(pieces.ravel(), minlength=count) <= most
    small[0] = False  # the mask itself
    return small[np.asarray(pieces, dtype=np.int64)]


def _without_gaps(mask: np.ndarray) -> np.ndarray:
    """The mask with narrow gaps closed and small holes filled."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * GAP + 1, 2 * GAP + 1))
    padded = np.pad(mask, GAP + 1).astype(np.uint8)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disc)[GAP + 1 : -GAP - 1, GAP + 1 : -GAP - 1] > 0
    return closed | holes(closed, HOLE)


def _of_this_head(mask: np.ndarray, head: np.ndarray) -> np.ndarray:
    """The connected pieces of `mask` that touch the head or come near it, without crumbs."""
    count, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    near = _distance(~head) * PIXEL < TOUCHING
    area = np.bincount(pieces.ravel(), minlength=count)
    touching = np.bincount(pieces[near], minlength=count) > 0
    kept = touching & (area > 0.01 * max(int(area[1:].sum()), 1))
    kept[0] = False
    return kept[np.asarray(pieces, dtype=np.int64)]


def _distance(mask: np.ndarray) -> np.ndarray:
    """Pixels from each pixel of `mask` to the nearest one outside it."""
    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE).astype(np.float64)


def _signed(mask: np.ndarray) -> np.ndarray:
    """Pixels to the border of `mask`, positive inside."""
    if mask.all() or not mask.any():
        return np.where(mask, 1e3, -1e3)
    return np.where(mask, _distance(mask) - 0.5, 0.5 - _distance(~mask))


def at_pixels(image: np.ndarray, pixels: np.ndarray, outside: float) -> np.ndarray:
    """Values [...] of `image` [H, W] at the pixels that hold the positions [..., 2]; `outside` beyond its border."""
    column, row = np.floor(pixels[..., 0]).astype(int), np.floor(pixels[..., 1]).astype(int)
    inside = (column >= 0) & (column < image.shape[1]) & (row >= 0) & (row < image.shape[0])
    return np.where(inside, image[np.where(inside, row, 0), np.where(inside, column, 0)], outside)


def outer_contour(view: HairView, capsule: Capsule, hull: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far hair stands off `hull` along its outer contour.

    A ray through the contour grazes the hair's surface where it comes closest to the hull, so that the gap there is
    the hair's thickness whatever the head's pose.

    Args:
        hull: [rows, COLUMNS] metres, the capsule map that thickness counts from.

    Returns:
        cells [N, 2] float64 fractional rows and columns, and thickness [N] float64 metres.
    """
    outside = ~view.hair & ~view.head
    grown = cv2.dilate(outside.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    fenced = _distance(np.pad(view.valid, 1))[1:-1, 1:-1] > FENCE
    row, column = np.nonzero(view.hair & grown & fenced)
    if len(row) == 0:
        return np.empty((0, 2)), np.empty(0)
    slope_row, slope_column = np.gradient(gaussian_filter(view.hair.astype(np.float64), 3.0))
    outward = -np.stack([slope_column, slope_row], axis=-1)[row, column]
    outward /= np.maximum(np.linalg.norm(outward, axis=-1, keepdims=True), 1e-9)

    camera = view.camera
    pixels = np.stack([column, row], axis=-1) + 0.5
    directions = camera.rays(pixels)
    middle = np.linalg.norm(camera.position - capsule.centre)
    steps = middle + np.linspace(-RAY_REACH, RAY_REACH, RAY_STEPS)
    points = camera.position + directions[:, None] * steps[:, None]
    rows, columns, distance = capsule.locate(points)
    gap = distance - capsule.sample(hull, rows, columns)
    grazing = np.argmin(gap, axis=1)
    pick = (np.arange(len(grazing)), grazing)
    feet = capsule.centre - np.stack(
        [np.zeros(len(row)), np.maximum(capsule.centre[1] - points[pick][:, 1], 0), np.zeros(len(row))], axis=-1
    )
    away = pixels - camera.project(feet)
    away /= np.maximum(np.linalg.norm(away, axis=-1, keepdims=True), 1e-9)
    good = (np.einsum("nk,nk->n", outward, away) > OUTWARD) & (gap[pick] > LEAST_GAP) & (gap[pick] < MOST_GAP)
    return np.stack([rows[pick], columns[pick]], axis=-1)[good], gap[pick][good]
