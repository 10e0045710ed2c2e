"""Differentiable rasterisation behind one interface.

    rasteriser = make_rasteriser(vertices.device)
    fragments = rasteriser.rasterise(vertices, triangles, camera)
    normals = rasteriser.interpolate(vertex_normals(vertices, triangles), triangles, fragments)
    picture = rasteriser.antialias(normals, fragments, vertices, triangles, camera)
    (picture - target).square().mean().backward()

Gradients reach `vertices` by three ways: through the attributes, through the barycentrics, and, at silhouettes, through
`antialias`, which alone knows that a moving outline covers or uncovers what lies behind it. One image at a time: a loop
over cameras is the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import torch

from portrait_head.rendering.tensor_camera import TensorCamera

Name = Literal["warp", "nvdiffrast", "reference"]


@dataclass(frozen=True)
class Fragments:
    """What the centre of every pixel sees; row 0 is the top of the image.

    Attributes:
        triangle_ids: [H, W] int32, -1 where nothing is seen. Both sides of a triangle are seen.
        barycentrics: [H, W, 3], perspective-correct weights of the triangle's corners in their order, with gradients
            to the vertices; zeros where nothing is seen.
        depth: [H, W], metres along the viewing direction (-z in camera space), with gradients to the vertices; 0 where
            nothing is seen.
    """

    triangle_ids: torch.Tensor
    barycentrics: torch.Tensor
    depth: torch.Tensor

    @property
    def covered(self) -> torch.Tensor:
        """[H, W] bool, True where a surface is seen."""
        return self.triangle_ids >= 0


class Rasteriser(Protocol):
    """A renderer of triangle meshes with gradients to vertices and attributes.

    All tensors of a call lie on one device. Vertices are [V, 3] in metres, head space; triangles [F, 3] are integers,
    and F may be 0. Nothing within a millimetre of the camera is seen.
    """

    def rasterise(self, vertices: torch.Tensor, triangles: torch.Tensor, camera: TensorCamera) -> Fragments:
        """What the camera sees of a mesh: nearest triangle, where on it, how far."""
        ...

    def interpolate(self, attributes: torch.Tensor, triangles: torch.Tensor, fragments: Fragments) -> torch.Tensor:
        """Attributes [V, C] at the seen points: [H, W, C], zeros where nothing is seen.

        `triangles` may index another list than the mesh did (texture coordinates with seams), as long as its rows
        stand for the same triangles. Gradients reach the attributes and, through the barycentrics, the vertices.
        """
        ...

    def antialias(
        self,
        image: torch.Tensor,
        fragments: Fragments,
        vertices: torch.Tensor,
        triangles: torch.Tensor,
        camera: TensorCamera,
    ) -> torch.Tensor:
        """The image [H, W, C] with pixels at silhouettes blended by how far the outline reaches into them.

        Several images of one view (mask, normals, depth) are best blended at once, as channels of one.
        After Laine et al., "Modular Primitives for High-Performance Differentiable Rendering" (2020), section 3.6;
        `silhouettes` says where this differs. Gradients reach the image and the vertices.
        """
        ...


def make_rasteriser(device: torch.device | str, prefer: Name | None = None) -> Rasteriser:
    """The rasteriser for tensors on `device`: Warp, or the one asked for.

    nvdiffrast is never chosen unasked: its licence forbids commercial use.

    Raises:
        PortraitHeadError: ``no_nvdiffrast`` if it is asked for and is not installed or `device` is no CUDA device.
    """
    device = torch.device(device)
    if prefer == "reference":
        from portrait_head.rendering.reference_rasteriser import ReferenceRasteriser

        return ReferenceRasteriser()
    if prefer == "nvdiffrast":
        from portrait_head.rendering.nvdiffrast_rasteriser import NvdiffrastRasteriser

        return NvdiffrastRasteriser(device)
    from portrait_head.rendering.warp_rasteriser import WarpRasteriser

    return WarpRasteriser()
