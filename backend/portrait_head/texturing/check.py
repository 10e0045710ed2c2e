"""How well the texture, still in the photo's light, gives the photo back."""

from __future__ import annotations

import numpy as np
from skimage.metrics import structural_similarity

from portrait_head.rendering.camera import PinholeCamera
from portrait_head.rendering.raycast import RayCaster
from portrait_head.texturing.sampling import sample_texture


def rerender(
    vertices: np.ndarray,
    triangles: np.ndarray,
    uvs: np.ndarray,
    material: np.ndarray,
    textures: tuple[np.ndarray, ...],
    camera: PinholeCamera,
    box: tuple[int, int, int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """The head in the photo's camera without any light.

    Args:
        vertices: [V, 3] metres, in the photo's pose.
        triangles: [T, 3].
        uvs: [T, 3, 2].
        material: [T] index into `textures`.
        textures: [S, S, 3] float32 sRGB.
        camera: of the photo.
        box: left, top, right, bottom in pixels.

    Returns:
        [h, w, 3] float32 sRGB, 0 where there is no head, and the material [h, w] int32, -1 there.
    """
    left, top, right, bottom = box
    column, row = np.meshgrid(np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5)
    rays = camera.rays(np.stack([column, row], axis=-1))
    hits = RayCaster(vertices, triangles).cast(camera.position, rays)
    found = np.where(hits.hit, material[np.maximum(hits.triangle, 0)], -1).astype(np.int32)
    picture = np.zeros((*found.shape, 3), np.float32)
    for index, texture in enumerate(textures):
        mine = found == index
        corners = uvs[hits.triangle[mine]]
        at = (corners * hits.barycentric[mine][..., None]).sum(axis=1)
        picture[mine] = sample_texture(texture, at)
    return picture, found


def face_similarity(photo: np.ndarray, picture: np.ndarray, region: np.ndarray) -> float:
    """Mean structural similarity (Wang et al. 2004) of two sRGB pictures [h, w, 3], 0 to 1, over a region [h, w].

    Pixels outside the region are taken from the photo in both, so that nothing beyond it enters the windows.
    """
    if not region.any():
        return 0.0
    other = np.where(region[..., None], picture, photo)
    local = structural_similarity(
        photo, other, channel_axis=-1, data_range=1.0, gaussian_weights=True, sigma=1.5, full=True
    )[1]
    return float(np.asarray(local).mean(axis=-1)[region].mean())
