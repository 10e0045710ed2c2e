# type: ignore
# Kernels are Warp's language in Python's clothes, which type checkers misread.
"""The differentiable kernels of the Warp rasteriser; Warp derives their adjoints.

They stand in a module of their own because only here do sums of floating-point numbers race on a GPU: Warp is asked
to add them in one order, so that a run gives the same bits again.
"""

import warp as wp

from portrait_head.rendering.warp_kernels import Intrinsics, edge_functions, ray_of

wp.set_module_options({"fuse_fp": False, "deterministic": wp.DeterministicMode.RUN_TO_RUN})


@wp.kernel
def shade(
    vertices: wp.array(dtype=wp.vec3),
    triangles: wp.array(dtype=wp.vec3i),
    intrinsics: Intrinsics,
    triangle_ids: wp.array2d(dtype=wp.int32),
    barycentrics: wp.array2d(dtype=wp.vec3),
    depth: wp.array2d(dtype=float),
):
    """Perspective-correct barycentrics and depth of what each pixel sees; empty pixels are left as they are."""
    row, column = wp.tid()
    triangle = triangle_ids[row, column]
    if triangle < 0:
        return
    corners = triangles[triangle]
    a = vertices[corners[0]]
    b = vertices[corners[1]]
    c = vertices[corners[2]]
    e = edge_functions(a, b, c, ray_of(intrinsics, column, row))
    weights = e / (e[0] + e[1] + e[2])
    barycentrics[row, column] = weights
    depth[row, column] = -(weights[0] * a[2] + weights[1] * b[2] + weights[2] * c[2])


@wp.kernel
def interpolate(
    attributes: wp.array2d(dtype=float),
    triangles: wp.array(dtype=wp.vec3i),
    triangle_ids: wp.array2d(dtype=wp.int32),
    barycentrics: wp.array2d(dtype=wp.vec3),
    values: wp.array3d(dtype=float),
):
    """Weighted attributes of the corners at each pixel; empty pixels are left as they are."""
    row, column = wp.tid()
    triangle = triangle_ids[row, column]
    if triangle < 0:
        return
    corners = triangles[triangle]
    weights = barycentrics[row, column]
    for channel in range(attributes.shape[1]):
        values[row, column, channel] = (
            weights[0] * attributes[corners[0], channel]
            + weights[1] * attributes[corners[1], channel]
            + weights[2] * attributes[corners[2], channel]
        )
