"""A painted view carried back onto the texels that its camera sees: the tensor version of `projection`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, max_pool2d, normalize

from portrait_head.rendering.tensor_camera import TensorCamera
from portrait_head.texturing.painted_scene import SeenScene, Texels

_HALF_DIAGONAL = 0.71  # of a pixel
_FAR = 1e3  # metres


@dataclass(frozen=True)
class BackProjectionConfig:
    """How strictly a view must see a texel. Lengths in metres."""

    grazing_cosine: float = 0.17  # no colour beyond 80 degrees, as for the photo (`ProjectionConfig`)
    frontal_cosine: float = 0.85  # full trust up to 32 degrees: stricter than for the photo, so that views compete
    depth_tolerance: float = 0.001  # behind the visible surface
    edge_step: float = 0.008  # between neighbouring pixels of 0.5 mm; more is a depth edge
    edge_margin: int = 2  # pixels on both sides of an edge that are not used


@dataclass(frozen=True)
class BackProjected:
    """Attributes:
    rows: [M] the texels that the camera sees.
    values: [M, C] what the picture shows there.
    trust: [M] above 0, up to 1: how squarely they are seen.
    """

    rows: Tensor
    values: Tensor
    trust: Tensor


def view_trust(cosine: Tensor, config: BackProjectionConfig) -> Tensor:
    """Smooth step of the cosine between a surface's normal and the direction to the camera."""
    share = ((cosine - config.grazing_cosine) / (config.frontal_cosine - config.grazing_cosine)).clamp(0, 1)
    return share * share * (3 - 2 * share)


def clear_of_edges(seen: SeenScene, config: BackProjectionConfig) -> Tensor:
    """[H, W] bool: pixels away from depth edges, outlines among them."""
    depth = torch.where(seen.covered, seen.depth, _FAR)[None, None]
    jump = max_pool2d(depth, 3, 1, 1) + max_pool2d(-depth, 3, 1, 1)
    edge = (jump > config.edge_step).to(depth)
    width = 2 * config.edge_margin - 1
    return max_pool2d(edge, width, 1, width // 2)[0, 0] == 0 if width > 0 else edge[0, 0] == 0


def back_project(picture: Tensor, seen: SeenScene, texels: Texels, config: BackProjectionConfig) -> BackProjected:
    """What a picture [H, W, C] of a view says about texels."""
    camera = seen.camera
    to_camera = normalize(camera.position - texels.points, dim=1)
    cosine = (texels.normals * to_camera).sum(dim=1)
    rows = (cosine > config.grazing_cosine).nonzero()[:, 0]
    cosine = cosine[rows]
    in_camera = camera.to_camera(texels.points[rows])
    pixels = camera.project_camera(in_camera)
    size = pixels.new_tensor([camera.width, camera.height])
    column, row = pixels.floor().long().unbind(1)
    inside = ((pixels > 0) & (pixels < size)).all(dim=1)
    column, row = column.clamp(0, camera.width - 1), row.clamp(0, camera.height - 1)
    distance = -in_camera[:, 2]
    good = inside & clear_of_edges(seen, config)[row, column] & seen.covered[row, column]
    good &= (distance - seen.depth[row, column]).abs() < _tolerance(cosine, distance, camera, config)
    sampled = _sample(picture, pixels[good])
    return BackProjected(rows[good], sampled, view_trust(cosine[good], config))


def _tolerance(cosine: Tensor, distance: Tensor, camera: TensorCamera, config: BackProjectionConfig) -> Tensor:
    """Metres: the nearest pixel of the depth map is aside, where a slanted surface is nearer or farther."""
    slope = (1 / cosine.clamp(min=0.1).square() - 1).sqrt()
    return config.depth_tolerance + _HALF_DIAGONAL * slope * distance / camera.focal


def _sample(picture: Tensor, pixels: Tensor) -> Tensor:
    """Bicubic values [M, C] of a picture [H, W, C] at pixels [M, 2]."""
    height, width = picture.shape[:2]
    grid = pixels / pixels.new_tensor([width, height]) * 2 - 1
    image = picture.permute(2, 0, 1)[None].to(grid)
    found = grid_sample(image, grid[None, None], "bicubic", padding_mode="border", align_corners=False)
    return found[0, :, 0].T
