"""Pictures of the sculpted surface, with gradients."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import normalize

from portrait_head.rendering.normals import vertex_normals
from portrait_head.rendering.rasteriser import Fragments, Rasteriser
from portrait_head.rendering.tensor_camera import TensorCamera


@dataclass(frozen=True)
class View:
    """What a camera sees of the surface.

    Attributes:
        camera: the camera.
        mask: [H, W] coverage 0 to 1, antialiased.
        normals: [H, W, 3] unit, camera space, zero where nothing is seen.
        depth: [H, W] metres along the viewing direction, 0 where nothing is seen.
        fragments: which triangle each pixel sees.
    """

    camera: TensorCamera
    mask: Tensor
    normals: Tensor
    depth: Tensor
    fragments: Fragments


def look(rasteriser: Rasteriser, vertices: Tensor, triangles: Tensor, camera: TensorCamera) -> View:
    """Render the surface of vertices [V, 3] metres and triangles [F, 3] (int64)."""
    normals = vertex_normals(vertices, triangles)
    fragments = rasteriser.rasterise(vertices, triangles, camera)
    covered = fragments.covered[..., None].to(vertices.dtype)
    mask = rasteriser.antialias(covered, fragments, vertices, triangles, camera)[..., 0]
    seen = rasteriser.interpolate(camera.directions_to_camera(normals), triangles, fragments)
    return View(camera, mask, normalize(seen, dim=-1, eps=1e-20), fragments.depth, fragments)
