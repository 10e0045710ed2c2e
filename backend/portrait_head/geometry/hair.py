"""A hair surface over a head from one photo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter, grey_dilation, map_coordinates
from scipy.spatial import KDTree

from portrait_head.geometry import surface
from portrait_head.geometry.capsule import COLUMNS, DOME_ROWS, blurred
from portrait_head.geometry.hair_maps import BELOW_EAR, HIDDEN, HairMaps, Head, read_maps
from portrait_head.geometry.hair_settings import HairSettings
from portrait_head.geometry.hair_view import HairView, at_pixels

SMOOTHING_ROUNDS = 6
CRUMB = 0.02  # share of the area
FIELD_BLUR = (0.5, 1.5)  # cells: on the head, and under the ears where a mask's end is ragged
UNCARVED = 0.004  # metres over the skin where the hairline alone decides
LOCKS = (18, 34)  # round the head
LOCK_ROWS = 14  # rows after which a lock has become another
LOCK_ENDS_SEEN = 0.75  # share of the unevenness of locks' ends that goes where the photo shows them
STRANDS = (56, 90)  # bundles of strands round the head, 11 and 7 mm wide: all that the mesh can hold
STRAND_ROWS = 26
LOCK_SWEEP = 0.12  # columns a row towards the back, most at the sides
MOVED_REACH = 0.025  # metres from the hair's surface within which it may move
LEAST_LAYER = 0.0025  # metres of hair that stay over the skin
BARE = 0.025  # metres beyond the hairline from which there is no hair under the skin either
EAR_INSIDE = 0.008  # metres; a lobe under the very edge of the hair may show
EAR_COVER = 0.003  # metres of hair over a covered ear
EAR_FREE = 0.003  # metres of air round a bare one

Depths = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class HairVolume:
    """The space that hair takes up.

    Attributes:
        field: [X, Y, Z] about the metres to the hair's surface at origin + cell * (i, j, k), positive inside; the body
            goes on inside the head, and beyond the hairline its surface dives under the skin.
        origin: [3] metres.
        cell: metres.
        maps: what the photo told of the hair.
        strands: [R, STRANDS] for each of STRANDS, -1 to 1, the relief of its surface as it was drawn.
    """

    field: np.ndarray
    origin: np.ndarray
    cell: float
    maps: HairMaps
    strands: tuple[np.ndarray, ...] = ()

    @property
    def points(self) -> np.ndarray:
        """[X, Y, Z, 3] metres: where the field's values lie."""
        axes = [self.origin[axis] + self.cell * np.arange(count) for axis, count in enumerate(self.field.shape)]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)

    def depth(self, points: np.ndarray) -> np.ndarray:
        """The field at points [N, 3]: [N] float64; beyond its box it falls off with the distance."""
        steps = (points - self.origin) / self.cell
        within = np.clip(steps, 0, np.array(self.field.shape) - 1.0)
        beyond = np.linalg.norm(steps - within, axis=-1) * self.cell
        return map_coordinates(self.field, within.T, order=1, output=np.float64) - beyond


def hair_volume(
    neutral: Head, posed: np.ndarray, view: HairView, style: str, settings: HairSettings, generator: np.random.Generator
) -> tuple[HairVolume | None, np.ndarray]:
    """The hair's volume, None where there is none, and where it grows.

    Args:
        neutral: the head that the hair is for.
        posed: [V, 3] metres, the same head as the photo shows it.
        view: the photo.
        style: "cropped" or "volume".
        settings: see `HairSettings`.
        generator: draws the locks.

    Returns:
        The volume, and growth [V] float64, 0 to 1 per head vertex.
    """
    maps = read_maps(neutral, posed, view, style, settings)
    growth = _growth(maps, neutral, settings)
    if not (maps.inside > 0).any():
        return None, growth
    if style == "volume":
        maps = _with_locks(maps, settings, generator)
    strands = _draw(maps.capsule.rows, STRANDS, STRAND_ROWS, generator)
    radius = _radius(maps, settings)
    if style == "volume":
        radius = _over_the_ears(maps, radius, neutral.vertices, posed, neutral.ears, view)
    # Hair cut so short lies beside ears; where the mask says otherwise, it has taken skin for hair.
    bare_ears = neutral.vertices[neutral.ears] if style == "cropped" else _bare_ears(neutral, posed, view)
    field, origin = _field(maps, radius, view, bare_ears, settings)
    return HairVolume(field, origin, settings.cell, maps, strands), growth


def hair_mesh(volume: HairVolume, settings: HairSettings) -> tuple[np.ndarray, np.ndarray]:
    """The hair's surface, as far as it shows.

    Returns:
        vertices [N, 3] float64 metres and triangles [M, 3] int64 outward, open under the skin.
    """
    maps = volume.maps
    vertices, triangles = surface.isosurface(volume.field, volume.origin, volume.cell)
    if len(triangles) == 0:
        return vertices, triangles
    vertices = surface.smooth(vertices, triangles, SMOOTHING_ROUNDS)
    row, column, distance = maps.capsule.locate(vertices)
    if volume.strands:
        relief = _relief(row, column, volume.strands, STRAND_ROWS) * _run_together(row)
        normals = surface.vertex_normals(vertices, triangles)
        thickness = maps.capsule.sample(maps.thickness, row, column)
        height = np.clip(settings.strand_share * thickness, 0.0, settings.strand_height)
        vertices = vertices + (height * relief)[:, None] * normals
    deep = distance < maps.capsule.sample(maps.skin, row, column) - settings.sunk
    vertices, triangles = surface.keep(vertices, triangles, ~deep[triangles].all(axis=1))
    vertices, triangles = surface.without_crumbs(vertices, triangles, CRUMB)
    return surface.decimate(vertices, triangles, settings.most_triangles)


def reshaped(volume: HairVolume, gained: Depths, skin: Depths) -> HairVolume:
    """The volume after its surface has moved.

    Args:
        volume: the hair.
        gained: by how many metres points [N, 3] near its surface lie deeper now: [N].
        skin: metres under the bare head's surface: hair may shrink, but not below a thin layer over the skin.
    """
    near = np.abs(volume.field) < MOVED_REACH
    points, old = volume.points[near], volume.field[near]
    field = volume.field.copy()
    field[near] = np.maximum(old + gained(points), np.minimum(old, skin(points) + LEAST_LAYER))
    return replace(volume, field=field)


def _radius(maps: HairMaps, settings: HairSettings) -> np.ndarray:
    """From the axis to the hair's surface: rounded edges, and under the skin beyond them."""
    width = np.clip(maps.thickness * settings.edge_per_thickness * (0.3 + 0.7 * maps.frontal), *settings.edge)
    ridge = _rounded(maps.inside / width)
    fringe = settings.fringe * _rounded(maps.inside / settings.edge[0]) + settings.fringe_slope * maps.inside
    low = np.minimum(maps.thickness * ridge, fringe)
    thickness = maps.thickness * ridge + maps.frontal * (low - maps.thickness * ridge)
    outside = np.minimum(maps.inside, 0.0)
    radius = np.maximum(maps.hull + np.maximum(thickness, 0.0) + 2 * outside, maps.skin - settings.dive)
    return np.where(maps.inside < -BARE, 0.0, radius)


def _with_locks(maps: HairMaps, settings: HairSettings, generator: np.random.Generator) -> HairMaps:
    """The maps with the relief and the uneven ends of locks, which run from the crown down and back."""
    rows, columns = np.meshgrid(np.arange(maps.capsule.rows), np.arange(COLUMNS), indexing="ij")
    relief = _relief(rows, columns, _draw(maps.capsule.rows, LOCKS, LOCK_ROWS, generator), LOCK_ROWS)
    relief *= _run_together(rows)
    height = np.minimum(settings.lock_share * maps.thickness, settings.lock_height)
    return replace(
        maps,
        thickness=maps.thickness + 2 * height * relief,
        # Where the photo shows the edge of the hair it is as even as that.
        inside=maps.inside + 2 * settings.lock_ends * (1 - LOCK_ENDS_SEEN * maps.frontal) * (relief - 0.25),
    )


def _draw(rows: int, counts: tuple[int, ...], length: int, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """For each of `counts` that many locks round the head, as new ones every `length` rows: [R, count], -1 to 1."""
    return tuple(generator.uniform(-1.0, 1.0, (rows // length + 3, count)) for count in counts)


def _relief(row: np.ndarray, column: np.ndarray, drawn: tuple[np.ndarray, ...], length: int) -> np.ndarray:
    """[...] about -0.5 to 0.5, the relief of locks at rows and columns [...] of a capsule, creased between them."""
    swept = column + LOCK_SWEEP * row * np.sin(column * (2 * np.pi / COLUMNS))
    relief = np.zeros(np.shape(row))
    for table in drawn:
        at = [row / length, np.mod(swept * (table.shape[1] / COLUMNS), table.shape[1])]
        relief += (0.5 - np.abs(map_coordinates(table, at, order=3, mode="grid-wrap"))) / len(drawn)
    return relief


def _run_together(row: np.ndarray) -> np.ndarray:
    """[...] 0 to 1: locks lose their relief towards the crown, where they begin."""
    return np.clip(row / DOME_ROWS * 2, 0.0, 1.0)


def _rounded(share: np.ndarray) -> np.ndarray:
    """A quarter circle from 0 at 0 to 1 at 1 and beyond."""
    return np.sqrt(1 - (1 - np.clip(share, 0.0, 1.0)) ** 2)


def _over_the_ears(
    maps: HairMaps, radius: np.ndarray, neutral: np.ndarray, posed: np.ndarray, ears: np.ndarray, view: HairView
) -> np.ndarray:
    """The radius, lifted so that ears which the photo shows as hair stay under it."""
    row, column, distance = maps.capsule.locate(neutral[ears])
    hair = at_pixels(view.hair, view.camera.project(posed[ears]), False)
    hair &= maps.capsule.sample(maps.inside, row, column) > EAR_INSIDE
    lift = np.zeros(maps.capsule.shape)
    cells = (np.round(row[hair]).astype(int), np.round(column[hair]).astype(int) % COLUMNS)
    np.maximum.at(lift, cells, distance[hair] + EAR_COVER)
    gain = grey_dilation(np.maximum(lift - radius, 0.0), size=(7, 7), mode="wrap")
    return radius + blurred(gain, 2.5)


def _bare_ears(neutral: Head, posed: np.ndarray, view: HairView) -> np.ndarray:
    """[N, 3] metres: the ears' vertices that the photo shows without hair; a hidden ear is as the other one."""
    ears = neutral.vertices[neutral.ears]
    seen_at = posed[neutral.ears]
    pixels = view.camera.project(seen_at)
    hidden = -view.camera.to_camera(seen_at)[..., 2] > at_pixels(view.depth, pixels, np.inf) + HIDDEN
    bare = ~at_pixels(view.hair, pixels, True)
    _, other = KDTree(ears * (-1, 1, 1)).query(ears)
    return ears[np.where(hidden, bare[other] & ~hidden[other], bare)]


def _field(
    maps: HairMaps, radius: np.ndarray, view: HairView, bare_ears: np.ndarray, settings: HairSettings
) -> tuple[np.ndarray, np.ndarray]:
    """The voxel field [X, Y, Z] metres, positive inside the hair, and its origin [3]."""
    reach = maps.capsule.points(radius).reshape(-1, 3)
    room = MOVED_REACH + 3 * settings.cell  # what is carved must not leave the field: it would be cut open there
    low = reach.min(axis=0) - room
    size = np.ceil((reach.max(axis=0) + room - low) / settings.cell).astype(int)
    axes = [low[axis] + settings.cell * np.arange(size[axis]) for axis in range(3)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    row, column, distance = maps.capsule.locate(points)
    field = maps.capsule.sample(radius, row, column) - distance
    slope = np.sqrt(sum(part**2 for part in np.gradient(field, settings.cell)))
    field = field / np.maximum(slope, 1.0)

    pixels = view.camera.project(points)
    depth = -view.camera.to_camera(points)[..., 2]
    behind = np.clip((depth - at_pixels(view.depth, pixels, np.inf)) / HIDDEN - 0.5, 0.0, 1.0)
    free = at_pixels(view.free_front, pixels, 1.0)
    free += behind * (at_pixels(view.free_behind, pixels, 1.0) - free)
    above = distance - maps.capsule.sample(maps.skin, row, column)
    free += 3 * UNCARVED * np.clip(3 - above / UNCARVED, 0.0, 2.0)
    carved = np.minimum(field, free)
    if len(bare_ears):
        near, _ = KDTree(bare_ears).query(points, distance_upper_bound=2 * MOVED_REACH)
        carved = np.minimum(carved, near - EAR_FREE)
    fine, plain = (gaussian_filter(carved, blur) for blur in FIELD_BLUR)
    ends = np.clip((maps.capsule.centre[1] - axes[1]) / BELOW_EAR - 0.5, 0.0, 1.0)[:, None]
    return fine + ends * (plain - fine), low


def _growth(maps: HairMaps, head: Head, settings: HairSettings) -> np.ndarray:
    """Hair 0 to 1 on each head vertex: a soft hairline, and none outside the scalp."""
    row, column, _ = maps.capsule.locate(head.vertices)
    inside = maps.capsule.sample(maps.inside, row, column)
    growth = np.clip(0.5 + inside / settings.edge[0], 0.0, 1.0) * head.scalp
    on_skin = np.zeros(len(head.vertices), dtype=bool)
    on_skin[np.unique(head.skin)] = True
    on_skin[head.ears] = False
    return np.where(on_skin, growth, 0.0)
