"""Inside or outside of a triangle mesh, and how far: generalised winding numbers and distances.

The sign comes from the winding number (Jacobson et al., "Robust Inside-Outside Segmentation using Generalized Winding
Numbers", 2013), which is a harmonic function of space: small holes and self-intersections bend it but never turn it
round. Warp evaluates it with the dipoles of Barill et al., "Fast Winding Numbers for Soups and Clouds" (2018); the
exact sum stands beside it.
"""

from __future__ import annotations

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# Warp's own annotations know neither the fields of a query nor its scalar types.
import numpy as np
import warp as wp

from portrait_head.rendering import warp_runtime

CHUNK = 1 << 20  # points times triangles that the exact sum holds at once
FAR = 1e3  # metres: further than anything


class Solid:
    """A triangle mesh that tells how deep points lie in it.

    Args:
        vertices: [V, 3] metres.
        triangles: [T, 3], counter-clockwise seen from outside.

    Raises:
        ValueError: there is no triangle, or a vertex that is used is not finite.
    """

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray) -> None:
        if len(triangles) == 0 or not np.isfinite(vertices[triangles]).all():
            raise ValueError(f"a solid needs finite triangles; {len(triangles)} were given")
        warp_runtime.start()
        self._mesh = wp.Mesh(
            points=wp.array(np.ascontiguousarray(vertices, np.float32), dtype=wp.vec3, device="cpu"),
            indices=wp.array(np.ascontiguousarray(triangles, np.int32).ravel(), dtype=wp.int32, device="cpu"),
            support_winding_number=True,
        )

    def signed_distance(self, points: np.ndarray) -> np.ndarray:
        """Metres to the surface, positive inside: [N] float32 for points [N, 3]."""
        where = wp.array(np.ascontiguousarray(points, np.float32), dtype=wp.vec3, device="cpu")
        depth = wp.empty(len(points), dtype=wp.float32, device="cpu")
        wp.launch(_find_depth, dim=len(points), inputs=[self._mesh.id, where, FAR, depth], device="cpu")
        return depth.numpy()


@wp.kernel
def _find_depth(
    mesh: wp.uint64,
    points: wp.array(dtype=wp.vec3),  # type: ignore[valid-type]
    reach: wp.float32,
    depth: wp.array(dtype=wp.float32),  # type: ignore[valid-type]
):
    row = wp.tid()
    found = wp.mesh_query_point_sign_winding_number(mesh, points[row], reach)
    nearest = wp.mesh_eval_position(mesh, found.face, found.u, found.v)
    depth[row] = -found.sign * wp.length(points[row] - nearest)


def winding_number(points: np.ndarray, vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """How often a mesh winds round each point: 1 inside, 0 outside, in between near its holes; [N] float64.

    The exact sum of signed solid angles: Jacobson et al. (2013), equation 5; van Oosterom and Strackee (1983).

    Args:
        points: [N, 3].
        vertices: [V, 3].
        triangles: [T, 3].
    """
    corners = vertices[triangles].astype(np.float64)
    total = np.empty(len(points))
    rows = max(1, CHUNK // max(len(triangles), 1))
    for start in range(0, len(points), rows):
        a, b, c = np.moveaxis(corners[None] - points[start : start + rows, None, None], 2, 0)
        la, lb, lc = (np.linalg.norm(side, axis=-1) for side in (a, b, c))
        volume = np.einsum("ntk,ntk->nt", a, np.cross(b, c))
        spread = la * lb * lc
        spread += np.einsum("ntk,ntk->nt", a, b) * lc
        spread += np.einsum("ntk,ntk->nt", b, c) * la
        spread += np.einsum("ntk,ntk->nt", c, a) * lb
        total[start : start + rows] = np.arctan2(volume, spread).sum(axis=1) / (2 * np.pi)
    return total
