# type: ignore
# Kernels are Warp's language in Python's clothes, which type checkers misread.
"""The kernels of the Warp rasteriser: what is seen, where on its triangle, and which silhouettes cross which pixels.

A pixel's ray runs through camera space at (dx, dy, -1) for every metre of depth w = -z. Each vertex is first moved by
minus the ray at its own depth, q = (x - dx w, y - dy w). The 2D cross products of these q are then the homogeneous
edge functions of Olano and Greer, "Triangle Scan Conversion using 2D Homogeneous Coordinates" (1997): over their sum
they are the perspective-correct barycentrics, without a division by depth, so triangles that reach behind the camera
need no clipping; and because q is small near the pixel, float32 loses nothing to cancellation.
"""

import warp as wp

# Both triangles of an edge must see exactly opposite edge functions, or pixels fall through the crack.
wp.set_module_options({"fuse_fp": False, "enable_backward": False})

NEAR = wp.constant(1e-3)  # metres before the camera where seeing begins
FARTHER = wp.constant(wp.uint64(1 << 63))  # set in the keys of silhouettes whose surface is the farther of the pair


@wp.struct
class Intrinsics:
    """Pinhole intrinsics in pixels; `centre` is (x, y) from the top left corner."""

    focal: float
    centre: wp.vec2
    width: int
    height: int


@wp.func
def ray_of(intrinsics: Intrinsics, column: int, row: int) -> wp.vec2:
    """(dx, dy) of the ray through the middle of a pixel."""
    return wp.vec2(
        (float(column) + 0.5 - intrinsics.centre[0]) / intrinsics.focal,
        (intrinsics.centre[1] - float(row) - 0.5) / intrinsics.focal,
    )


@wp.func
def beside_ray(vertex: wp.vec3, ray: wp.vec2) -> wp.vec2:
    """A vertex relative to the ray at the vertex' depth."""
    return wp.vec2(vertex[0] + ray[0] * vertex[2], vertex[1] + ray[1] * vertex[2])


@wp.func
def cross2(a: wp.vec2, b: wp.vec2) -> float:
    """The 2D cross product."""
    return a[0] * b[1] - a[1] * b[0]


@wp.func
def edge_functions(a: wp.vec3, b: wp.vec3, c: wp.vec3, ray: wp.vec2) -> wp.vec3:
    """Homogeneous edge functions opposite to the corners a, b, c."""
    qa = beside_ray(a, ray)
    qb = beside_ray(b, ray)
    qc = beside_ray(c, ray)
    return wp.vec3(cross2(qb, qc), cross2(qc, qa), cross2(qa, qb))


@wp.func
def to_pixel(intrinsics: Intrinsics, vertex: wp.vec3) -> wp.vec2:
    """Pixel coordinates of a camera-space vertex in front of the camera."""
    scale = -intrinsics.focal / vertex[2]
    return wp.vec2(intrinsics.centre[0] + vertex[0] * scale, intrinsics.centre[1] - vertex[1] * scale)


@wp.func
def ordered_key(value: float, index: int) -> wp.uint64:
    """A key whose order is by a value that is not negative, then by index; its highest bit is not set."""
    return (wp.uint64(wp.cast(value, wp.uint32)) << wp.uint64(32)) | wp.uint64(index)


@wp.kernel
def draw_triangles(
    vertices: wp.array(dtype=wp.vec3),
    triangles: wp.array(dtype=wp.vec3i),
    intrinsics: Intrinsics,
    keys: wp.array2d(dtype=wp.uint64),
):
    """Z-buffer: leaves in each pixel of `keys` [H, W] the smallest `ordered_key` of the triangles over its centre."""
    triangle = wp.tid()
    corners = triangles[triangle]
    a = vertices[corners[0]]
    b = vertices[corners[1]]
    c = vertices[corners[2]]
    if not (wp.isfinite(a) and wp.isfinite(b) and wp.isfinite(c)):
        return
    nearest = -wp.max(a[2], wp.max(b[2], c[2]))
    farthest = -wp.min(a[2], wp.min(b[2], c[2]))
    if farthest < NEAR:
        return
    # The rows and columns that the triangle may cover: all of them if it reaches through the camera's plane.
    low = wp.vec2(0.0, 0.0)
    high = wp.vec2(float(intrinsics.width - 1), float(intrinsics.height - 1))
    if nearest >= NEAR:
        pa = to_pixel(intrinsics, a)
        pb = to_pixel(intrinsics, b)
        pc = to_pixel(intrinsics, c)
        # A hundredth of a pixel more than needed, for rounding.
        low = wp.max(low, wp.min(pa, wp.min(pb, pc)) - wp.vec2(0.51, 0.51))
        high = wp.min(high, wp.max(pa, wp.max(pb, pc)) - wp.vec2(0.49, 0.49))
        if low[0] > high[0] or low[1] > high[1]:
            return
    left = int(wp.ceil(low[0]))
    top = int(wp.ceil(low[1]))
    right = int(wp.floor(high[0]))
    bottom = int(wp.floor(high[1]))
    for row in range(top, bottom + 1):
        for column in range(left, right + 1):
            e = edge_functions(a, b, c, ray_of(intrinsics, column, row))
            inside = (e[0] >= 0.0 and e[1] >= 0.0 and e[2] >= 0.0) or (e[0] <= 0.0 and e[1] <= 0.0 and e[2] <= 0.0)
            total = e[0] + e[1] + e[2]
            if inside and total != 0.0:
                depth = -(e[0] * a[2] + e[1] * b[2] + e[2] * c[2]) / total
                if depth >= NEAR:
                    wp.atomic_min(keys, row, column, ordered_key(depth, triangle))


@wp.kernel
def count_edges(triangles: wp.array(dtype=wp.vec3i), counts: wp.array(dtype=wp.int32)):
    """How many triangle sides have each vertex as their lower end."""
    corners = triangles[wp.tid()]
    for k in range(3):
        wp.atomic_add(counts, wp.min(corners[k], corners[(k + 1) % 3]), 1)


@wp.kernel
def bucket_edges(triangles: wp.array(dtype=wp.vec3i), free: wp.array(dtype=wp.int32), sides: wp.array(dtype=wp.vec3i)):
    """Sort triangle sides by their lower vertex, into the slots counted from `free`.

    Of each is kept its higher vertex, the triangle's third vertex and 3 * triangle + side.
    """
    triangle = wp.tid()
    corners = triangles[triangle]
    for k in range(3):
        first = corners[k]
        second = corners[(k + 1) % 3]
        slot = wp.atomic_add(free, wp.min(first, second), 1)
        sides[slot] = wp.vec3i(wp.max(first, second), corners[(k + 2) % 3], 3 * triangle + k)


@wp.func
def seen_left(vertices: wp.array(dtype=wp.vec3), start: wp.vec3, end: wp.vec3, opposite: int) -> bool:
    """Whether a triangle's third corner is seen to the left of its side start -> end, y up."""
    return wp.dot(wp.cross(end - start, vertices[opposite] - start), start) <= 0.0


@wp.func
def outline_side(
    vertices: wp.array(dtype=wp.vec3),
    start: wp.vec3,
    end: wp.vec3,
    sides: wp.array(dtype=wp.vec3i),
    first: int,
    last: int,
    slot: int,
) -> int:
    """Where the surface is seen of an edge that is an outline: 1 to the left of start -> end, -1 to the right.

    0 for an edge with triangles on both sides, and for all but the first triangle that has it. The sides from slot
    `first` up to `last` are those with the same lower vertex.
    """
    side = sides[slot]
    for other_slot in range(first, last):
        other = sides[other_slot]
        if other[0] == side[0] and other[2] < side[2]:
            return 0
    on_left = seen_left(vertices, start, end, side[1])
    for other_slot in range(first, last):
        other = sides[other_slot]
        if other[0] == side[0] and other[2] > side[2] and seen_left(vertices, start, end, other[1]) != on_left:
            return 0
    return wp.where(on_left, 1, -1)


@wp.kernel
def draw_silhouettes(
    vertices: wp.array(dtype=wp.vec3),
    intrinsics: Intrinsics,
    first_side: wp.array(dtype=wp.int32),
    sides: wp.array(dtype=wp.vec3i),
    triangle_ids: wp.array2d(dtype=wp.int32),
    depth: wp.array2d(dtype=float),
    pairs: wp.array3d(dtype=wp.uint64),
):
    """Leaves in `pairs` [2, H, W] the outline between a pixel and its right (0) or lower (1) neighbour.

    That is, of the silhouettes that cross between their centres before what the outer pixel sees, the outermost: what
    lies within it is covered, by whichever of them. Of outlines in both directions the nearer pixel's counts.
    A side of a triangle is a silhouette where no triangle lies on its other side in the image. The key's index is
    2 * (3 * triangle + side), plus 1 where the surface is at the second pixel of the pair.
    """
    low = wp.tid()
    a = vertices[low]
    if not (-a[2] >= NEAR):
        return
    begin = first_side[low]
    end = first_side[low + 1]
    for slot in range(begin, end):
        side = sides[slot]
        b = vertices[side[0]]
        if side[0] != low and -b[2] >= NEAR:
            surface = outline_side(vertices, a, b, sides, begin, end, slot)
            if surface != 0:
                for across in range(2):
                    draw_side(intrinsics, a, b, surface > 0, side[2], across, triangle_ids, depth, pairs)


@wp.func
def draw_side(
    intrinsics: Intrinsics,
    a: wp.vec3,
    b: wp.vec3,
    surface_on_left: bool,
    index: int,
    across: int,
    triangle_ids: wp.array2d(dtype=wp.int32),
    depth: wp.array2d(dtype=float),
    pairs: wp.array3d(dtype=wp.uint64),
):
    """Offer one silhouette side to the pairs of pixels that it crosses along an axis: 0 within rows, 1 columns."""
    start = to_pixel(intrinsics, a)
    end = to_pixel(intrinsics, b)
    if not (wp.isfinite(start) and wp.isfinite(end)):
        return
    along = 1 - across
    size = wp.vec2i(intrinsics.width, intrinsics.height)
    begin = wp.min(start[along], end[along])
    stop = wp.max(start[along], end[along])
    if stop <= 0.5 or begin > float(size[along]) or begin == stop:
        return
    # Seen with y up, "left of a -> b" is at smaller columns where b is above a, at smaller rows where b is right of a.
    forward = end[along] > start[along]
    surface_second = wp.where((forward == surface_on_left) == (across == 0), 1, 0)
    first = int(wp.ceil(wp.max(begin, 0.5) - 0.5))
    last = int(wp.ceil(wp.min(stop, float(size[along])) - 0.5))
    for line in range(first, last):
        fraction = (float(line) + 0.5 - start[along]) / (end[along] - start[along])
        crossing = start[across] + fraction * (end[across] - start[across])
        if crossing >= 0.5 and crossing < float(size[across]) - 0.5:
            place = int(wp.floor(crossing - 0.5))
            on = place + surface_second
            off = place + 1 - surface_second
            pixel = wp.where(across == 0, wp.vec2i(line, place), wp.vec2i(place, line))  # (row, column)
            inner = wp.where(across == 0, wp.vec2i(line, on), wp.vec2i(on, line))
            outer = wp.where(across == 0, wp.vec2i(line, off), wp.vec2i(off, line))
            seen = triangle_ids[inner[0], inner[1]]
            beyond = triangle_ids[outer[0], outer[1]]
            edge_depth = a[2] * b[2] / -(b[2] + fraction * (a[2] - b[2]))
            visible = beyond < 0 or edge_depth < depth[outer[0], outer[1]]
            if seen != beyond and seen >= 0 and visible:
                reach = crossing - 0.5 - float(place)
                left_over = wp.where(surface_second == 1, reach, 1.0 - reach)
                key = ordered_key(left_over, 2 * index + surface_second)
                if beyond >= 0 and depth[inner[0], inner[1]] > depth[outer[0], outer[1]]:
                    key = key | FARTHER
                wp.atomic_min(pairs, across, pixel[0], pixel[1], key)
