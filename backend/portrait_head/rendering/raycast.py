"""Rays against a triangle mesh: the one module that knows Embree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from portrait_head.rendering.camera import PinholeCamera

_NO_LIMIT = np.float32(1e30)  # longer than any ray in metres, yet finite in float32


@dataclass(frozen=True)
class Hits:
    """The first surface met by each ray; shapes follow the rays' own leading shape.

    Attributes:
        triangle: [...] int32, index of the triangle, -1 where nothing was met.
        barycentric: [..., 3] float32, weights of the triangle's corners in their order; zeros for a miss.
        distance: [...] float32, metres from the ray's origin; infinite for a miss.
    """

    triangle: np.ndarray
    barycentric: np.ndarray
    distance: np.ndarray

    @property
    def hit(self) -> np.ndarray:
        """[...] bool, True where a surface was met."""
        return self.triangle >= 0

    def interpolate(self, values: np.ndarray, triangles: np.ndarray) -> np.ndarray:
        """Per-vertex `values` [V, ...] at the points met: [..., C] for [V, C], zeros for a miss."""
        corners = triangles[np.maximum(self.triangle, 0)]
        weights = self.barycentric.reshape(*self.barycentric.shape, *(1,) * (values.ndim - 1))
        axis = self.triangle.ndim
        first, second, third = (values[corners[..., k]] * weights.take(k, axis=axis) for k in range(3))
        return first + second + third


class RayCaster:
    """A mesh ready to be asked what rays meet; both sides of every triangle count.

    Embree computes in float32, so the mesh is moved to the origin and every ray starts at the mesh's bounding
    sphere: a camera a hundred metres away costs no precision.

    Args:
        vertices: [V, 3], metres.
        triangles: [T, 3] integers.

    Raises:
        ValueError: if a vertex is not finite, a triangle names a vertex that is not there, or there is no triangle.
    """

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray) -> None:
        vertices = np.asarray(vertices, dtype=np.float64)
        triangles = np.asarray(triangles)
        if triangles.ndim != 2 or triangles.shape[1] != 3 or len(triangles) == 0:
            raise ValueError(f"triangles must be [T, 3] with T > 0, not {list(triangles.shape)}")
        if triangles.min() < 0 or triangles.max() >= len(vertices):
            raise ValueError(f"triangles name vertices {triangles.min()} to {triangles.max()} of {len(vertices)}")
        used = vertices[np.unique(triangles)]
        if not np.isfinite(used).all():
            raise ValueError("the mesh has vertices that are not finite")
        low, high = used.min(axis=0), used.max(axis=0)
        self._centre = (low + high) / 2
        self._radius = float(np.linalg.norm(high - low)) / 2 * (1 + 1e-5) + 1e-9
        local = np.ascontiguousarray(np.nan_to_num(vertices - self._centre), dtype=np.float32)
        self._scene = EmbreeScene(robust=True)
        TriangleMesh(self._scene, local, np.ascontiguousarray(triangles, dtype=np.int32))

    def _local_rays(
        self, origins: np.ndarray, directions: np.ndarray, skip: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rays [N] in mesh space, float32, begun at the bounding sphere, and the metres skipped [N] float64."""
        directions = np.asarray(directions, dtype=np.float64)
        directions = np.where(np.isfinite(directions), directions, 0.0)
        length = np.sqrt(np.einsum("...k,...k->...", directions, directions))
        directions = directions / np.where(length > 0, length, 1.0)[..., None]
        origins = np.asarray(origins, dtype=np.float64) - self._centre
        origins, directions = np.broadcast_arrays(origins, directions)
        origins, directions = origins.reshape(-1, 3), directions.reshape(-1, 3)
        middle = -np.einsum("nk,nk->n", origins, directions)
        skipped = np.maximum(middle - self._radius, skip)
        begun = origins + skipped[:, None] * directions
        usable = np.isfinite(begun @ np.ones(3)) & (np.abs(directions).max(axis=1) > 0)
        # A ray without a direction meets nothing: send it away from the mesh rather than into undefined arithmetic.
        begun[~usable] = (0.0, 0.0, 4 * self._radius)
        directions = np.where(usable[:, None], directions, (0.0, 0.0, 1.0))
        return begun.astype(np.float32), directions.astype(np.float32), skipped

    def cast(self, origins: np.ndarray, directions: np.ndarray, skip: float = 0.0) -> Hits:
        """What rays meet first.

        Args:
            origins: [..., 3], metres; a single [3] serves all rays.
            directions: [..., 3], of any length; a zero direction is a miss and what is not finite counts as zero.
            skip: metres at the start of each ray where nothing is looked for, to leave a surface.
        """
        shape = np.broadcast_shapes(np.shape(origins), np.shape(directions))[:-1]
        begun, along, skipped = self._local_rays(origins, directions, skip)
        if len(begun) == 0:
            return Hits(np.empty(shape, np.int32), np.empty((*shape, 3), np.float32), np.empty(shape, np.float32))
        found = self._scene.run(begun, along, dists=np.full(len(begun), _NO_LIMIT), query="INTERSECT", output=1)
        triangle = np.asarray(found["primID"], dtype=np.int32)
        hit = triangle >= 0
        u, v = found["u"], found["v"]
        barycentric = np.where(hit[:, None], np.stack([1.0 - u - v, u, v], axis=1), 0.0).astype(np.float32)
        distance = np.where(hit, found["tfar"] + skipped, np.inf).astype(np.float32)
        return Hits(triangle.reshape(shape), barycentric.reshape(*shape, 3), distance.reshape(shape))

    def occluded(
        self, origins: np.ndarray, directions: np.ndarray, skip: float = 0.0, limit: float | None = None
    ) -> np.ndarray:
        """Whether anything at all lies on each ray: [...] bool.

        Args:
            origins: [..., 3], metres; a single [3] serves all rays.
            directions: [..., 3], of any length.
            skip: metres at the start of each ray where nothing is looked for, to leave a surface.
            limit: metres after which nothing counts (a light at a finite distance); None for no limit.
        """
        shape = np.broadcast_shapes(np.shape(origins), np.shape(directions))[:-1]
        begun, along, skipped = self._local_rays(origins, directions, skip)
        if len(begun) == 0:
            return np.empty(shape, bool)
        reach = np.full(len(begun), _NO_LIMIT)
        if limit is not None:
            reach = np.maximum(limit - skipped, 0.0).astype(np.float32)
        return (np.asarray(self._scene.run(begun, along, dists=reach, query="OCCLUDED")) >= 0).reshape(shape)


def visibility(caster: RayCaster, camera: PinholeCamera) -> Hits:
    """What the camera sees through the centre of every pixel: `Hits` of shape [height, width]."""
    column, row = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    return caster.cast(camera.position, camera.rays(np.stack([column, row], axis=-1)))
