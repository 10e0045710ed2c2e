"""The rasteriser on nvdiffrast, for users who installed it: CUDA only, and its licence forbids commercial use.

Written against its documented interface (0.4): OpenGL clip space, row 0 of its images at the bottom.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import torch

from portrait_head.errors import PortraitHeadError
from portrait_head.rendering.rasteriser import Fragments
from portrait_head.rendering.tensor_camera import TensorCamera

_NEAR, _FAR = 1e-3, 1e2  # metres


@dataclass(frozen=True)
class _NativeFragments(Fragments):
    """Fragments with what nvdiffrast's own operations want: `raster` [1, H, W, 4], bottom row first."""

    raster: torch.Tensor


class NvdiffrastRasteriser:
    """`Rasteriser` by nvdiffrast.

    Its antialiasing looks for silhouettes only on the triangle that a pixel sees (see `silhouettes`), so at outlines of
    finely divided meshes it blends fewer pixels than the other rasterisers do.

    Args:
        device: a CUDA device.

    Raises:
        PortraitHeadError: ``no_nvdiffrast`` if it is not installed or the device is no CUDA device.
    """

    def __init__(self, device: torch.device | str) -> None:
        if torch.device(device).type != "cuda":
            raise PortraitHeadError(
                "no_nvdiffrast",
                f"nvdiffrast cannot render on '{device}'.",
                "Choose a CUDA device, or the Warp rasteriser.",
            )
        try:
            self._library = importlib.import_module("nvdiffrast.torch")
        except ImportError as error:
            raise PortraitHeadError(
                "no_nvdiffrast",
                f"nvdiffrast cannot be used: {error}.",
                "Install it from its repository (non-commercial licence), or choose the Warp rasteriser.",
            ) from error
        self._context = self._library.RasterizeCudaContext(device)

    def rasterise(self, vertices: torch.Tensor, triangles: torch.Tensor, camera: TensorCamera) -> Fragments:
        """What the camera sees of a mesh: see `Rasteriser.rasterise`."""
        shape = (camera.height, camera.width)
        if len(triangles) == 0:
            raster = vertices.new_zeros((1, *shape, 4))
        else:
            clip = _clip_space(camera.to_camera(vertices), camera)
            raster, _ = self._library.rasterize(self._context, clip[None], triangles.int().contiguous(), shape)
        upright = raster[0].flip(0)
        ids = upright[..., 3].int() - 1  # nvdiffrast counts from 1
        covered = (ids >= 0)[..., None]
        first, second = upright[..., 0], upright[..., 1]
        weights = torch.stack([first, second, 1 - first - second], dim=-1)
        barycentrics = torch.where(covered, weights, 0.0)
        blank = _NativeFragments(ids, barycentrics, torch.zeros_like(first), raster)
        depth = self.interpolate(-camera.to_camera(vertices)[:, 2:], triangles, blank)[..., 0]
        return _NativeFragments(ids, barycentrics, depth, raster)

    def interpolate(self, attributes: torch.Tensor, triangles: torch.Tensor, fragments: Fragments) -> torch.Tensor:
        """Attributes at the seen points: see `Rasteriser.interpolate`."""
        if len(triangles) == 0:
            return attributes.new_zeros((*fragments.triangle_ids.shape, attributes.shape[1]))
        values, _ = self._library.interpolate(
            attributes[None].contiguous(), _raster(fragments), triangles.int().contiguous()
        )
        return values[0].flip(0)

    def antialias(
        self,
        image: torch.Tensor,
        fragments: Fragments,
        vertices: torch.Tensor,
        triangles: torch.Tensor,
        camera: TensorCamera,
    ) -> torch.Tensor:
        """The image with blended silhouettes: see `Rasteriser.antialias`."""
        if len(triangles) == 0:
            return image
        clip = _clip_space(camera.to_camera(vertices), camera)
        turned = image.flip(0)[None].contiguous()
        blended = self._library.antialias(turned, _raster(fragments), clip[None], triangles.int().contiguous())
        return blended[0].flip(0)


def _raster(fragments: Fragments) -> torch.Tensor:
    if not isinstance(fragments, _NativeFragments):
        raise TypeError("fragments of another rasteriser")
    return fragments.raster


def _clip_space(camera_vertices: torch.Tensor, camera: TensorCamera) -> torch.Tensor:
    """Camera-space vertices [V, 3] to OpenGL clip space [V, 4]: x right, y up, z from near to far, w the depth."""
    x, y, z = camera_vertices.unbind(-1)
    # The principal point may lie anywhere: pixel (px, py) is at (2 px / width - 1, 1 - 2 py / height).
    right = 2 * (x * camera.focal - z * camera.centre[0]) / camera.width + z
    up = 2 * (y * camera.focal + z * camera.centre[1]) / camera.height - z
    ahead = -(z * (_FAR + _NEAR) + 2 * _FAR * _NEAR) / (_FAR - _NEAR)
    return torch.stack([right, up, ahead, -z], dim=-1).float().contiguous()
