"""The photo carried onto the surface: colour and trust for every texel that the camera saw."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.rendering.camera import PinholeCamera
from portrait_head.rendering.raycast import RayCaster, visibility
from portrait_head.texturing.sampling import sample
from portrait_head.texturing.shaping import step
from portrait_head.texturing.uv_raster import UvRaster

_TEXELS_AT_ONCE = 1 << 19
_HALF_DIAGONAL = 0.71  # of a pixel
_MOST_SAMPLES = 8  # a side of a texel


@dataclass(frozen=True)
class ProjectionConfig:
    """How strictly the camera must see a texel."""

    grazing_cosine: float = 0.17  # no colour beyond 80 degrees
    trusted_cosine: float = 0.55  # full trust up to 57 degrees
    depth_tolerance: float = 0.001  # metres behind the visible surface that still count as that surface
    certain: float = 0.0003  # metres by which a pixel around may be nearer before a ray must tell
    certain_slope: float = 0.5  # depth over width; a ray must tell on steeper surfaces
    edge_step: float = 0.005  # metres between neighbouring pixels that make a depth edge
    edge_margin: float = 2.0  # pixels on both sides of an edge that are not used
    depth_pixels: int = 900  # largest side of the depth map


@dataclass(frozen=True)
class DepthView:
    """What the camera sees of a mesh.

    Attributes:
        depth: [h, w] float32 metres along -z of the camera, infinite where nothing is.
        nearest: [h, w] float32 metres, the least depth of each pixel and its neighbours.
        clear: [h, w] float32, 1 away from depth edges, 0 at them.
        scale: pixels of these maps per pixel of the photo.
        caster: the mesh itself, for what pixels are too coarse to tell.
    """

    depth: np.ndarray
    nearest: np.ndarray
    clear: np.ndarray
    scale: float
    caster: RayCaster


@dataclass(frozen=True)
class Projected:
    """Attributes:
    colour: [N, 3] float32 sRGB 0 to 1; 0 where unseen.
    shares: [N, K] float32: for each mask how far the texel was seen as that, 0 (unseen, or masked out) to 1.
    """

    colour: np.ndarray
    shares: np.ndarray


def depth_view(
    vertices: np.ndarray,
    triangles: np.ndarray,
    camera: PinholeCamera,
    config: ProjectionConfig = ProjectionConfig(),
) -> DepthView:
    """Depth of a mesh [V, 3], [T, 3] in a camera, with its edges marked."""
    scale = min(1.0, config.depth_pixels / max(camera.width, camera.height))
    view = camera.scaled(scale)
    caster = RayCaster(vertices, triangles)
    hits = visibility(caster, view)
    column, row = np.meshgrid(np.arange(view.width) + 0.5, np.arange(view.height) + 0.5)
    rays = view.rays(np.stack([column, row], axis=-1))
    forward = -view.rotation[2]
    depth = (hits.distance * (rays @ forward)).astype(np.float32)
    far = np.where(np.isfinite(depth), depth, 1e3).astype(np.float32)
    around = np.ones((3, 3), np.uint8)
    nearest = cv2.erode(far, around)
    edge = (cv2.dilate(far, around) - nearest) > config.edge_step
    radius = max(round(config.edge_margin * scale), 1)
    edge = cv2.dilate(edge.astype(np.uint8), np.ones((2 * radius - 1, 2 * radius - 1), np.uint8))
    clear = cv2.GaussianBlur(1 - edge.astype(np.float32), (0, 0), radius)
    return DepthView(depth, nearest, np.clip(2 * clear - 1, 0, 1) * (1 - edge), scale, caster)


def project(
    image: np.ndarray,
    masks: np.ndarray,
    camera: PinholeCamera,
    vertices: np.ndarray,
    normals: np.ndarray,
    seen: DepthView,
    raster: UvRaster,
    read_at: np.ndarray | None = None,
    config: ProjectionConfig = ProjectionConfig(),
) -> Projected:
    """Photo colours for the texels of a raster: the mean of the pixels that a texel covers.

    Args:
        image: [H, W, 3] uint8 sRGB.
        masks: [H, W, K] float32, 0 to 1: which pixels may be used, for K purposes.
        camera: of the image.
        vertices: [V, 3] metres, in the pose of the photo.
        normals: [V, 3] unit normals.
        seen: depth of everything that can hide the surface.
        raster: of the texture.
        read_at: [V, 3] metres, where the photo is read for each vertex, if not at the vertex itself.
    """
    photo = image.astype(np.float32) / 255
    in_camera = camera.to_camera(vertices).astype(np.float32)
    read_in_camera = in_camera if read_at is None else camera.to_camera(read_at).astype(np.float32)
    to_camera = camera.position - vertices
    to_camera /= np.linalg.norm(to_camera, axis=1, keepdims=True)
    cosine_at_vertex = (normals * to_camera).sum(axis=1).astype(np.float32)
    count = len(raster.texels)
    colour, shares = np.zeros((count, 3), np.float32), np.zeros((count, masks.shape[2]), np.float32)
    cosine = raster.weights @ cosine_at_vertex
    facing = np.flatnonzero(cosine > config.grazing_cosine)
    pixels = np.full((count, 2), np.nan, np.float32)
    for start in range(0, len(facing), _TEXELS_AT_ONCE):
        rows = facing[start : start + _TEXELS_AT_ONCE]
        points = raster.weights[rows] @ in_camera
        at = camera.project_camera(points).astype(np.float32)
        read = at if read_at is None else camera.project_camera(raster.weights[rows] @ read_in_camera)
        read = read.astype(np.float32)
        pixels[rows] = read
        trust = step(cosine[rows], config.grazing_cosine, config.trusted_cosine)
        trust *= ((at > 0) & (at < [camera.width, camera.height])).all(axis=1)
        trust *= sample(seen.clear, at * seen.scale)
        trust *= _visible(points, at, cosine[rows], trust > 0, camera, seen, config)
        shares[rows] = trust[:, None] * sample(masks, read).reshape(len(rows), -1)
        facing[start : start + len(rows)] = np.where(trust > 0, rows, -1)
    good = facing[facing >= 0]
    colour[good] = _area_mean(photo, pixels, good, raster)
    return Projected(colour, shares)


def _visible(
    points: np.ndarray,
    pixels: np.ndarray,
    cosine: np.ndarray,
    asked: np.ndarray,
    camera: PinholeCamera,
    seen: DepthView,
    config: ProjectionConfig,
) -> np.ndarray:
    """Which points [N] of camera space the camera sees, as far as it is `asked`; a ray tells where the map cannot."""
    depth = -points[:, 2]
    # The nearest pixel of the depth map is up to this far aside, where a slanted surface is nearer or farther.
    slope = np.sqrt(1 / np.maximum(cosine, 0.1) ** 2 - 1)
    aside = _HALF_DIAGONAL * depth / (camera.focal * seen.scale)
    found = asked & (
        np.abs(depth - sample(seen.depth, pixels * seen.scale, cv2.INTER_NEAREST))
        < config.depth_tolerance + aside * slope
    )
    # A neighbour's centre is at most three times as far.
    least = config.certain + 3 * aside * np.minimum(slope, config.certain_slope)
    doubtful = np.flatnonzero(found & (depth - sample(seen.nearest, pixels * seen.scale, cv2.INTER_NEAREST) > least))
    rays = camera.rays(pixels[doubtful].astype(np.float64))
    hits = seen.caster.cast(camera.position, rays)
    found[doubtful] = hits.distance > np.linalg.norm(points[doubtful], axis=1) - config.certain
    return found


def _area_mean(photo: np.ndarray, pixels: np.ndarray, rows: np.ndarray, raster: UvRaster) -> np.ndarray:
    """Colours [M, 3] of the photo at the texels `rows` [M], whose centres lie at `pixels` [N, 2]."""
    across, down = (_step_to(pixels, rows, raster, texels) for texels in (1, raster.shape[1]))
    longest = np.sqrt(np.maximum((across**2).sum(axis=1), (down**2).sum(axis=1)))
    samples = np.clip(np.ceil(longest - 0.25), 1, _MOST_SAMPLES).astype(int)
    out = np.empty((len(rows), photo.shape[2]), np.float32)
    for side in np.unique(samples):
        mine = np.flatnonzero(samples == side)
        at = pixels[rows[mine]]
        if side == 1:
            out[mine] = sample(photo, at, cv2.INTER_CUBIC)
            continue
        total = np.zeros((len(mine), photo.shape[2]), np.float32)
        offsets = (np.arange(side, dtype=np.float32) + 0.5) / side - 0.5
        for right in offsets:
            for below in offsets:
                total += sample(photo, at + right * across[mine] + below * down[mine])
        out[mine] = total / side**2
    return np.clip(out, 0, 1)


def _step_to(pixels: np.ndarray, rows: np.ndarray, raster: UvRaster, texels: int) -> np.ndarray:
    """How far [M, 2] the picture moves from the texels `rows` to those `texels` later; 0 where there is none."""
    beside = np.minimum(np.searchsorted(raster.texels, raster.texels[rows] + texels), len(raster.texels) - 1)
    there = raster.texels[beside] == raster.texels[rows] + texels
    move = np.where(there[:, None], pixels[beside] - pixels[rows], 0)
    return np.nan_to_num(move).astype(np.float32)
