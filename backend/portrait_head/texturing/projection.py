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


@dataclass(frozen=True)
class ProjectionConfig:
    """How strictly the camera must see a texel."""

    grazing_cosine: float = 0.17  # no colour beyond 80 degrees
    trusted_cosine: float = 0.55  # full trust up to 57 degrees
    depth_tolerance: float = 0.001  # metres behind the visible surface that still count as that surface
    edge_step: float = 0.005  # metres between neighbouring pixels that make a depth edge
    edge_margin: float = 2.0  # pixels on both sides of an edge that are not used
    depth_pixels: int = 900  # largest side of the depth map


@dataclass(frozen=True)
class DepthView:
    """What the camera sees of a mesh.

    Attributes:
        depth: [h, w] float32 metres along -z of the camera, infinite where nothing is.
        clear: [h, w] float32, 1 away from depth edges, 0 at them.
        scale: pixels of these maps per pixel of the photo.
    """

    depth: np.ndarray
    clear: np.ndarray
    scale: float


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
    hits = visibility(RayCaster(vertices, triangles), view)
    column, row = np.meshgrid(np.arange(view.width) + 0.5, np.arange(view.height) + 0.5)
    rays = view.rays(np.stack([column, row], axis=-1))
    forward = -view.rotation[2]
    depth = (hits.distance * (rays @ forward)).astype(np.float32)
    far = np.where(np.isfinite(depth), depth, 1e3).astype(np.float32)
    around = np.ones((3, 3), np.uint8)
    edge = (cv2.dilate(far, around) - cv2.erode(far, around)) > config.edge_step
    radius = max(round(config.edge_margin * scale), 1)
    edge = cv2.dilate(edge.astype(np.uint8), np.ones((2 * radius - 1, 2 * radius - 1), np.uint8))
    clear = cv2.GaussianBlur(1 - edge.astype(np.float32), (0, 0), radius)
    return DepthView(depth, np.clip(2 * clear - 1, 0, 1) * (1 - edge), scale)


def project(
    image: np.ndarray,
    masks: np.ndarray,
    camera: PinholeCamera,
    vertices: np.ndarray,
    normals: np.ndarray,
    seen: DepthView,
    raster: UvRaster,
    config: ProjectionConfig = ProjectionConfig(),
) -> Projected:
    """Photo colours for the texels of a raster.

    Args:
        image: [H, W, 3] uint8 sRGB.
        masks: [H, W, K] float32, 0 to 1: which pixels may be used, for K purposes.
        camera: of the image.
        vertices: [V, 3] metres, in the pose of the photo.
        normals: [V, 3] unit normals.
        seen: depth of everything that can hide the surface.
        raster: of the texture.
    """
    photo = image.astype(np.float32) / 255
    in_camera = camera.to_camera(vertices).astype(np.float32)
    to_camera = camera.position - vertices
    to_camera /= np.linalg.norm(to_camera, axis=1, keepdims=True)
    cosine_at_vertex = (normals * to_camera).sum(axis=1).astype(np.float32)
    count = len(raster.texels)
    colour, shares = np.zeros((count, 3), np.float32), np.zeros((count, masks.shape[2]), np.float32)
    cosine = raster.weights @ cosine_at_vertex
    facing = np.flatnonzero(cosine > config.grazing_cosine)
    for start in range(0, len(facing), _TEXELS_AT_ONCE):
        rows = facing[start : start + _TEXELS_AT_ONCE]
        points = raster.weights[rows] @ in_camera
        pixels = camera.project_camera(points).astype(np.float32)
        inside = ((pixels > 0) & (pixels < [camera.width, camera.height])).all(axis=1)
        trust = step(cosine[rows], config.grazing_cosine, config.trusted_cosine) * inside
        trust *= sample(seen.clear, pixels * seen.scale)
        rows_depth = sample(seen.depth, pixels * seen.scale, cv2.INTER_NEAREST)
        # The nearest pixel of the depth map is up to this far aside, where a slanted surface is nearer or farther.
        slope = np.sqrt(1 / np.maximum(cosine[rows], 0.1) ** 2 - 1)
        tolerance = config.depth_tolerance + _HALF_DIAGONAL * slope * -points[:, 2] / (camera.focal * seen.scale)
        trust *= np.abs(-points[:, 2] - rows_depth) < tolerance
        good = trust > 0
        colour[rows[good]] = np.clip(sample(photo, pixels[good], cv2.INTER_CUBIC), 0, 1)
        shares[rows] = trust[:, None] * sample(masks, pixels).reshape(len(rows), -1)
    return Projected(colour, shares)
