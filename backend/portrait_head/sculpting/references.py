"""What the photo's view asks of the surface: its outline, and normals, depth and landmarks where they are known."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.rendering.camera import PinholeCamera
from portrait_head.sculpting.outline import Outline

MARGIN = 0.035  # metres of picture around the head
WHOLE = 0.99  # share of a pixel that must be known: depth is not averaged over an outline
GRAZING = 0.25  # cosine to the viewer under which a normal tells nothing; twice that is trusted fully
NEAR = 0.012  # metres between a surface and the bare head within which the photo's normals and depth are its own
FACING = 0.4  # least cosine of a landmark's normal to the viewer


@dataclass(frozen=True)
class Reference:
    """The photo's view at the sculpting's resolution.

    Attributes:
        camera: [H, W] pixels around the head.
        mask: [H, W] float32, 0 to 1, the head with its hair.
        mask_weight: [H, W] float32, 0 to 1, where that is to be believed.
        normals: [H, W, 3] float32 unit, camera space; zero where unknown.
        depth: [H, W] float32, growing away from the viewer; 0 where unknown.
        weight: [H, W] float32, 0 to 1, trust in normals and depth.
        near: [H, W] float32 metres, depth of the bare fitted head, which a surface must be close to for normals and
            depth to mean it and not the hair over it; 0 where there is none.
        landmarks: [K, 3] float32 metres, head space.
        landmark_normals: [K, 3] float32 unit.
    """

    camera: PinholeCamera
    mask: np.ndarray
    mask_weight: np.ndarray
    normals: np.ndarray
    depth: np.ndarray
    weight: np.ndarray
    near: np.ndarray
    landmarks: np.ndarray
    landmark_normals: np.ndarray


@dataclass(frozen=True)
class Maps:
    """Normals and depth of the photo's view in the pixels of the portrait.

    Attributes:
        normals: [S, S, 3] float32 unit, camera space; zero where unknown.
        depth: [S, S] float32, in any unit and from any zero, growing away from the viewer; infinite where unknown.
        trust: [S, S] float32, 0 to 1.
    """

    normals: np.ndarray
    depth: np.ndarray
    trust: np.ndarray


def make_reference(
    camera: PinholeCamera,
    outline: Outline,
    maps: Maps,
    bare_depth: np.ndarray,
    points: np.ndarray,
    landmarks: np.ndarray,
    landmark_normals: np.ndarray,
    size: int,
) -> Reference:
    """Bring what is known of the photo's view to the sculpting's resolution.

    Args:
        camera: from head space to the portrait's pixels.
        outline: of the head.
        maps: normals and depth.
        bare_depth: [S, S] metres, of the fitted head without hair; infinite where it is not seen.
        points: [N, 3] metres, all that must lie in the picture.
        landmarks: [K, 3] metres; those turned away from the camera are left out.
        landmark_normals: [K, 3] unit.
        size: pixels of the longer side.
    """
    around, window = head_window(camera, points, size)
    shape = (around.width, around.height)
    known = np.isfinite(maps.depth) & (np.linalg.norm(maps.normals, axis=-1) > 0.5)
    depth, share = _resampled_depth(np.where(known, maps.depth, np.inf), window, shape)
    normals = resample(maps.normals * known[..., None], window, shape, 0.0)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)
    weight = np.where(share > WHOLE, resample(np.where(known, maps.trust, 0.0), window, shape, 0.0), 0.0)
    weight *= np.clip((normals[..., 2] - GRAZING) / GRAZING, 0.0, 1.0)
    towards = camera.position - landmarks
    towards /= np.linalg.norm(towards, axis=-1, keepdims=True)
    facing = (landmark_normals * towards).sum(axis=-1) > FACING
    return Reference(
        camera=around,
        mask=resample(outline.mask, window, shape, 0.0),
        mask_weight=resample(outline.trust, window, shape, 0.0),
        normals=normals,
        depth=depth,
        weight=weight.astype(np.float32),
        near=_resampled_depth(bare_depth, window, shape)[0],
        landmarks=landmarks[facing].astype(np.float32),
        landmark_normals=landmark_normals[facing].astype(np.float32),
    )


def head_window(camera: PinholeCamera, points: np.ndarray, size: int) -> tuple[PinholeCamera, np.ndarray]:
    """A camera of `size` pixels (the longer side) around what `camera` sees of `points` [N, 3].

    Returns:
        The camera, and the window [4] (left, top, right, bottom) in the pixels of `camera`.
    """
    pixels = camera.project(points)
    margin = MARGIN * camera.focal / float(np.linalg.norm(camera.position))
    low, high = np.floor(pixels.min(axis=0) - margin), np.ceil(pixels.max(axis=0) + margin)
    factor = size / float((high - low).max())
    width, height = np.maximum(np.round((high - low) * factor), 8).astype(int)
    high = low + np.array([width, height]) / factor
    around = PinholeCamera(
        camera.rotation, camera.translation, camera.focal * factor, (camera.centre - low) * factor, width, height
    )
    return around, np.concatenate([low, high])


def resample(image: np.ndarray, window: np.ndarray, size: tuple[int, int], outside: float) -> np.ndarray:
    """The part of an image [S, S, ...] in `window` [4], averaged to `size` (width, height); float32.

    Args:
        image: bool or float.
        window: left, top, right, bottom in the image's pixels; may reach beyond it.
        size: of the result.
        outside: the value beyond the image's border.
    """
    scale = (window[2:] - window[:2]) / size
    fine = np.maximum(np.ceil(scale), 1).astype(int)  # samples a pixel
    step = scale / fine
    column = (window[0] + (np.arange(size[0] * fine[0]) + 0.5) * step[0] - 0.5).astype(np.float32)
    row = (window[1] + (np.arange(size[1] * fine[1]) + 0.5) * step[1] - 0.5).astype(np.float32)
    columns, rows = np.meshgrid(column, row)
    border = (outside,) * 4
    found = cv2.remap(image.astype(np.float32), columns, rows, cv2.INTER_LINEAR, None, cv2.BORDER_CONSTANT, border)
    return cv2.resize(found, size, interpolation=cv2.INTER_AREA)


def _resampled_depth(depth: np.ndarray, window: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Depth [S, S] in the window, 0 where it is not known all over a pixel, and the share that is."""
    known = np.isfinite(depth)
    share = resample(known, window, size, 0.0)
    mean = resample(np.where(known, depth, 0.0), window, size, 0.0) / np.maximum(share, 1e-6)
    return np.where(share > WHOLE, mean, 0.0).astype(np.float32), share
