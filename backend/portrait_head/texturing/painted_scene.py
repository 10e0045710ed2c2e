"""A head in several textures as tensors: what a camera sees of it, in colours with gradients to the texels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from portrait_head.rendering.normals import vertex_normals
from portrait_head.rendering.rasteriser import Fragments, make_rasteriser
from portrait_head.rendering.tensor_camera import TensorCamera
from portrait_head.rendering.texture_sampling import mip_level, sample_texture
from portrait_head.texturing.uv_raster import UvRaster


@dataclass(frozen=True)
class PaintSurface:
    """Triangles that wear one texture.

    Attributes:
        vertices: [V, 3] metres, head space.
        triangles: [T, 3] indices of them, counter-clockwise seen from outside.
        corner_uvs: [T, 3, 2] origin bottom left.
        texture: [H, W, 3] float32 sRGB 0 to 1, without holes: where nobody saw it, what painting starts from.
        raster: of the texels that may be painted, its weights over `vertices`; None for what is only shown, eyes
            before skin for example.
        confidence: [N] of the raster's texels, 0 to 1, how well the photo saw them; None: not at all.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    corner_uvs: np.ndarray
    texture: np.ndarray
    raster: UvRaster | None = None
    confidence: np.ndarray | None = None


@dataclass(frozen=True)
class Texels:
    """The texels of a surface, by rows N of its raster.

    Attributes:
        points: [N, 3] metres, head space.
        normals: [N, 3] unit.
        colour: [N, 3] sRGB 0 to 1.
        confidence: [N], 0 to 1.
        nearest: [H, W] int64, for each texel of the image the row whose colour it has: its own, or the nearest one's.
    """

    points: Tensor
    normals: Tensor
    colour: Tensor
    confidence: Tensor
    nearest: Tensor

    def image(self, values: Tensor) -> Tensor:
        """Values [N, C] as a texture [H, W, C] whose gutters go on in the colour of the island beside them."""
        # `embedding` sums gradients in a fixed order, which plain indexing does not.
        return torch.nn.functional.embedding(self.nearest, values)


@dataclass(frozen=True)
class SeenScene:
    """What a camera sees of a scene, before colours.

    Attributes:
        camera: the camera.
        fragments: of all surfaces' triangles, one list after the other.
        owner: [H, W] which surface, -1 for none.
        normals: [H, W, 3] unit, camera space, zero where nothing is seen.
        facing: [H, W] cosine between the surface's normal and the direction to the camera; 0 where nothing is seen.
        uvs: [H, W, 2] in the owner's texture.
        levels: [H, W] of its mip pyramid.
    """

    camera: TensorCamera
    fragments: Fragments
    owner: Tensor
    normals: Tensor
    facing: Tensor
    uvs: Tensor
    levels: Tensor

    @property
    def covered(self) -> Tensor:
        """[H, W] bool."""
        return self.fragments.covered

    @property
    def depth(self) -> Tensor:
        """[H, W] metres along the viewing direction, 0 where nothing is seen."""
        return self.fragments.depth


class Scene:
    """Surfaces on one device, and the rasteriser that looks at them."""

    def __init__(self, surfaces: Sequence[PaintSurface], device: torch.device | str = "cpu") -> None:
        """Join the surfaces' triangles, for what hides what."""
        self.surfaces = tuple(surfaces)
        self.device = torch.device(device)
        self._rasteriser = make_rasteriser(self.device)
        counts = [len(surface.vertices) for surface in surfaces]
        starts = np.cumsum([0, *counts[:-1]])
        joined = [s.triangles.astype(np.int64) + start for s, start in zip(surfaces, starts, strict=True)]
        self.vertices = self._tensor(np.concatenate([surface.vertices for surface in surfaces]))
        self.triangles = torch.from_numpy(np.concatenate(joined)).to(self.device)
        self._uvs = self._tensor(np.concatenate([surface.corner_uvs.reshape(-1, 2) for surface in surfaces]))
        self._uv_triangles = torch.arange(len(self._uvs), device=self.device).reshape(-1, 3)
        of_surface = [torch.full((len(s.triangles),), index) for index, s in enumerate(surfaces)]
        self._owner = torch.cat(of_surface).to(self.device)
        self._normals = vertex_normals(self.vertices, self.triangles)
        self._starts = starts
        self._texels: dict[int, Texels] = {}

    @cached_property
    def textures(self) -> tuple[Tensor, ...]:
        """Each surface's texture as given, [H, W, 3]."""
        return tuple(self._tensor(surface.texture) for surface in self.surfaces)

    def texels(self, index: int) -> Texels:
        """The texels, as given, of a surface that may be painted."""
        if index not in self._texels:
            self._texels[index] = self._laid_out(index)
        return self._texels[index]

    def _laid_out(self, index: int) -> Texels:
        surface = self.surfaces[index]
        raster, start = surface.raster, self._starts[index]
        if raster is None:
            raise ValueError(f"surface {index} has no raster: it is shown, not painted")
        if surface.texture.shape[:2] != raster.shape:
            raise ValueError(
                f"texture and raster of surface {index} differ: {surface.texture.shape[:2]}, {raster.shape}"
            )
        count = len(raster.texels)
        normals = self._normals[start : start + len(surface.vertices)].cpu().numpy()
        rows = raster.image(np.arange(count, dtype=np.int32)[:, None])[..., 0]
        confidence = np.zeros(count) if surface.confidence is None else surface.confidence
        return Texels(
            self._tensor(raster.spread(surface.vertices)),
            normalize(self._tensor(raster.spread(normals)), dim=1),
            self._tensor(raster.flat(surface.texture)),
            self._tensor(confidence),
            torch.from_numpy(rows.astype(np.int64)).to(self.device),
        )

    def look(self, camera: TensorCamera) -> SeenScene:
        """What a camera on the scene's device sees."""
        fragments = self._rasteriser.rasterise(self.vertices, self.triangles, camera)
        covered = fragments.covered
        owner = torch.full_like(fragments.triangle_ids, -1)
        owner[covered] = self._owner[fragments.triangle_ids[covered].long()].to(owner.dtype)
        towards = normalize(camera.position - self.vertices, dim=1)
        cosine = (self._normals * towards).sum(dim=1, keepdim=True)
        attributes = torch.cat([camera.directions_to_camera(self._normals), cosine], dim=1)
        seen = self._rasteriser.interpolate(attributes, self.triangles, fragments)
        uvs = self._rasteriser.interpolate(self._uvs, self._uv_triangles, fragments)
        levels = torch.zeros_like(fragments.depth)
        for index, surface in enumerate(self.surfaces):
            size = surface.texture.shape[0], surface.texture.shape[1]
            mesh = (self._uvs, self._uv_triangles, self.vertices, self.triangles)
            levels = torch.where(owner == index, mip_level(*mesh, fragments, camera, size), levels)
        return SeenScene(
            camera,
            fragments,
            owner,
            normalize(seen[..., :3], dim=-1, eps=1e-20),
            seen[..., 3].clamp(min=0) * covered,
            uvs,
            levels,
        )

    def render(self, seen: SeenScene, textures: Sequence[Tensor], background: float = 0.0) -> Tensor:
        """The picture [H, W, C] of the surfaces in textures [h, w, C], with gradients to them."""
        height, width = seen.owner.shape
        picture = textures[0].new_full((height * width, textures[0].shape[-1]), background)
        for index, texture in enumerate(textures):
            mine = (seen.owner == index).reshape(-1).nonzero()[:, 0]
            if len(mine) == 0:
                continue
            uvs = seen.uvs.reshape(-1, 2)[mine].to(texture.dtype)
            level = seen.levels.reshape(-1)[mine].to(texture.dtype)
            picture = picture.index_copy(0, mine, sample_texture(texture, uvs, level))
        return picture.reshape(height, width, -1)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(self.device)
