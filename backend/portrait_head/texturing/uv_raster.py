"""Which point of the surface each texel shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from scipy.sparse import csr_matrix

from portrait_head.head_model import load_head_model
from portrait_head.rendering.raycast import RayCaster

_SUBPIXEL_BITS = 8  # fixed-point precision of OpenCV's polygon filling
_RAYS_AT_ONCE = 1 << 18  # keeps float64 arrays small


@dataclass(frozen=True)
class UvRaster:
    """The texels whose centre lies inside a triangle of a UV layout.

    Attributes:
        shape: rows and columns of the texture; row 0 is its top (v = 1).
        texels: [N] int32 row * columns + column, ascending.
        triangle: [N] int32, the triangle there, an index into the triangles that were given.
        weights: [N, V] sparse, three barycentric weights a row; its transpose gathers texels at vertices.
    """

    shape: tuple[int, int]
    texels: np.ndarray
    triangle: np.ndarray
    weights: csr_matrix

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Values of vertices [V] or [V, C] at the texels: [N] or [N, C] float32."""
        return self.weights @ np.asarray(values, np.float32)

    def image(self, values: np.ndarray) -> np.ndarray:
        """Texel values [N, C] as an image [H, W, C]; texels outside the layout take the nearest texel's value.

        Filling everything, not a gutter of some width, keeps any mip level free of foreign colour.
        """
        inside = np.zeros(self.shape[0] * self.shape[1], np.uint8)
        inside[self.texels] = 1
        _, label = cv2.distanceTransformWithLabels(
            1 - inside.reshape(self.shape), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
        )
        of_label = np.zeros(len(self.texels) + 1, np.int32)
        of_label[label.reshape(-1)[self.texels]] = np.arange(len(self.texels), dtype=np.int32)
        return values[of_label[label.astype(np.int32)]]

    def sparse_image(self, values: np.ndarray, outside: float = 0.0) -> np.ndarray:
        """Texel values [N] or [N, C] as an image [H, W] or [H, W, C], `outside` where there is no surface."""
        image = np.full((self.shape[0] * self.shape[1], *values.shape[1:]), outside, values.dtype)
        image[self.texels] = values
        return image.reshape(*self.shape, *values.shape[1:])

    def flat(self, image: np.ndarray) -> np.ndarray:
        """The texels [N, ...] of an image [H, W, ...]."""
        return image.reshape(self.shape[0] * self.shape[1], *image.shape[2:])[self.texels]


def rasterise(
    corner_uvs: np.ndarray,
    triangles: np.ndarray,
    vertex_count: int,
    shape: tuple[int, int],
    height: np.ndarray | None = None,
) -> UvRaster:
    """Lay a UV layout over a grid of texels.

    Args:
        corner_uvs: [T, 3, 2] UVs of the triangles' corners, origin bottom left.
        triangles: [T, 3] vertex indices.
        vertex_count: V.
        shape: rows and columns of the texture.
        height: [T, 3], which triangle wins where several lie over one texel: the highest; without it layouts are taken
            to touch at most.

    Triangles without area in the layout own no texel.
    """
    rows, columns = shape
    pixels = np.stack([corner_uvs[..., 0] * columns, (1.0 - corner_uvs[..., 1]) * rows], axis=-1).astype(np.float64)
    drawn = np.full(shape, -1, np.int32)
    for index, corners in enumerate(np.rint((pixels - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)):
        cv2.fillConvexPoly(drawn, corners, (index,), lineType=8, shift=_SUBPIXEL_BITS)
    texels = np.flatnonzero(drawn.reshape(-1) >= 0).astype(np.int32)
    triangle = drawn.reshape(-1)[texels]
    barycentric = _barycentric(pixels, texels, triangle, columns)
    # Filling is generous at edges, and the last of several layers wins: rays decide what it cannot.
    doubtful = np.flatnonzero((barycentric < 0).any(axis=1) if height is None else np.ones(len(texels), bool))
    lift = np.zeros(len(pixels) * 3) if height is None else np.reshape(height, -1)
    flat = np.concatenate([pixels.reshape(-1, 2), lift[:, None]], axis=1)
    caster = RayCaster(flat, np.arange(len(flat)).reshape(-1, 3))
    for start in range(0, len(doubtful), _RAYS_AT_ONCE):
        chunk = doubtful[start : start + _RAYS_AT_ONCE]
        at = texels[chunk]
        origins = np.stack([at % columns + 0.5, at // columns + 0.5, np.full(len(at), lift.max() + 1.0)], axis=1)
        hits = caster.cast(origins, np.array([0.0, 0.0, -1.0]))
        triangle[chunk], barycentric[chunk] = hits.triangle, hits.barycentric
    inside = triangle >= 0
    texels, triangle, barycentric = texels[inside], triangle[inside], barycentric[inside]
    count = len(triangle)
    weights = csr_matrix(
        (
            barycentric.reshape(-1),
            triangles[triangle].astype(np.int32).reshape(-1),
            np.arange(count + 1, dtype=np.int32) * 3,
        ),
        shape=(count, vertex_count),
    )
    return UvRaster(shape, texels, triangle, weights)


def _barycentric(pixels: np.ndarray, texels: np.ndarray, triangle: np.ndarray, columns: int) -> np.ndarray:
    """Weights [N, 3] float32 of the corners of `triangle` [N] at texel centres; negative outside."""
    first, second, third = pixels[:, 0], pixels[:, 1] - pixels[:, 0], pixels[:, 2] - pixels[:, 0]
    area = second[:, 0] * third[:, 1] - second[:, 1] * third[:, 0]
    scale = np.where(np.abs(area) > 1e-12, 1 / np.where(area == 0, 1, area), np.nan)[:, None]
    by_second = (np.stack([third[:, 1], -third[:, 0]], axis=1) * scale).astype(np.float32)
    by_third = (np.stack([-second[:, 1], second[:, 0]], axis=1) * scale).astype(np.float32)
    out = np.empty((len(texels), 3), np.float32)
    for start in range(0, len(texels), _RAYS_AT_ONCE):
        chunk = slice(start, start + _RAYS_AT_ONCE)
        owner = triangle[chunk]
        x = (texels[chunk] % columns + 0.5 - first[owner, 0]).astype(np.float32)
        y = (texels[chunk] // columns + 0.5 - first[owner, 1]).astype(np.float32)
        out[chunk, 1] = by_second[owner, 0] * x + by_second[owner, 1] * y
        out[chunk, 2] = by_third[owner, 0] * x + by_third[owner, 1] * y
    out[:, 0] = 1 - out[:, 1] - out[:, 2]
    return np.nan_to_num(out, nan=-1.0)


@lru_cache(maxsize=8)
def head_raster(material: str, size: int) -> UvRaster:
    """The raster of one material of the head model; its triangles are those of `HeadModel.triangles()`."""
    model = load_head_model()
    mine = np.zeros(len(model.quads), bool)
    for part in model.parts:
        if part.material == material:
            mine[slice(*part.faces)] = True
    corner_uvs = model.uvs[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3, 2)
    rows = np.flatnonzero(np.repeat(mine, 2))
    raster = rasterise(corner_uvs[rows], model.triangles()[rows], len(model.vertices), (size, size))
    return UvRaster((size, size), raster.texels, rows[raster.triangle].astype(np.int32), raster.weights)
