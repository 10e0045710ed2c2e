"""What one photo tells of hair, spread over the whole head.

Thickness comes from the outline and the hairline from the mask; the rest follows from symmetry and from where hair
grows on any head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from portrait_head.geometry.capsule import (
    COLUMNS,
    DOME_ROWS,
    HANGING_STEP,
    Capsule,
    blurred,
    fill_smoothly,
    mirrored,
    skin_distance,
)
from portrait_head.geometry.hair_settings import HairSettings
from portrait_head.geometry.hair_view import HairView, at_pixels, holes, outer_contour

FACING = 0.25  # cosine to the viewer below which a cell is seen edge-on
RIM_DOUBT = 0.003  # metres beside the mask within which a cell seen edge-on tells nothing
FACE_AZIMUTH = np.radians(42)  # half width of the zone under the brows where no hair is believed
BROW = 0.018  # metres above the eyes
CURTAIN = np.radians(105)  # from the back: how far forward hanging hair reaches where the photo cannot tell
MIRRORED = 0.2  # weight of what the other side shows
HIDDEN = 0.012  # metres behind the bare head's surface from which a cell counts as hidden
HAIRLINE_BLUR = (1.5, 3.0)  # cells: on the head, and under the ears where hair ends are ragged and half seen
HOLE = 40  # cells, 6 square centimetres: a smaller bare spot amid hair is a fault of the mask
BELOW_EAR = 0.060  # metres under the capsule's centre from which hair at the sides counts as falling over the ears
CROP_BEYOND_SCALP = 0.012  # metres
RIM_MARGIN = 0.006  # metres that hair keeps from the lower end of the neck
LOPSIDED = (1.6, 0.012)  # times and metres by which hair may stand off further than on the other side
LOPSIDED_LOW = (1.3, 0.008)  # the same under the ears: a tilted head lets its hair hang to one side
LEAST_VOLUME = 0.002  # metres: what covers skin must stand off it


@dataclass(frozen=True)
class Head:
    """A bare head as the hair needs it.

    Attributes:
        vertices: [V, 3] metres.
        skin: [T, 3] triangles of the outer skin.
        ears: [E] indices of the ears' vertices.
        scalp: [V] float, 0 to 1, where hair can grow.
        eyes: [Y] indices of the eyes' vertices.
        rim: [R] indices of the vertices at the lower end of the neck or bust.
    """

    vertices: np.ndarray
    skin: np.ndarray
    ears: np.ndarray
    scalp: np.ndarray
    eyes: np.ndarray
    rim: np.ndarray


@dataclass(frozen=True)
class HairMaps:
    """Capsule maps [rows, COLUMNS] of the hair, metres unless said otherwise.

    Attributes:
        capsule: the maps' coordinates.
        skin: from the axis to the skin, ears left out.
        hull: the same with the hollow of the neck bridged where hair hangs over it.
        thickness: of hair over the hull, away from its edges.
        inside: distance to the edge of the covered area, positive where there is hair.
        frontal: 0 to 1, how squarely the photo sees the cell or its mirror image.
    """

    capsule: Capsule
    skin: np.ndarray
    hull: np.ndarray
    thickness: np.ndarray
    inside: np.ndarray
    frontal: np.ndarray


def read_maps(neutral: Head, posed: np.ndarray, view: HairView, style: str, settings: HairSettings) -> HairMaps:
    """Thickness and extent of the hair; arguments as for `hair_volume`."""
    used = np.unique(neutral.skin)
    eyes = neutral.vertices[neutral.eyes]
    capsule = Capsule.around(neutral.vertices[used], eyes)
    not_ear = np.ones(len(posed), dtype=bool)
    not_ear[neutral.ears] = False
    shell = neutral.skin[not_ear[neutral.skin].all(axis=1)]
    skin = skin_distance(capsule, neutral.vertices, shell)
    seen_skin = skin_distance(capsule, posed, shell)
    plain = used[not_ear[used]]
    scalp = _spread(capsule, skin, neutral.vertices[plain], neutral.scalp[plain])
    scalp = blurred(scalp, 1.5)

    heights = capsule.heights
    behind = np.abs(np.pi - capsule.azimuths) < np.pi / 4
    nape = float(heights[(scalp[:, behind] > 0.5).any(axis=1)].max(initial=0.0))
    lowest = np.minimum(heights[-1], capsule.centre[1] - _rim_height(capsule, neutral) - RIM_MARGIN)
    cells, _ = outer_contour(view, capsule, seen_skin)
    off_scalp = capsule.sample(scalp, cells[:, 0], cells[:, 1]) < 0.5
    hang = np.minimum(_hang(cells[off_scalp]), lowest.min()) * (style == "volume")
    long = float(np.clip((hang.max() - nape + 0.02) / 0.05, 0.0, 1.0))
    hull = _hull(capsule, skin, nape, long, settings.hull_slope)
    seen_hull = _hull(capsule, seen_skin, nape, long, settings.hull_slope)
    cells, gaps = outer_contour(view, capsule, seen_hull)
    thickness = _thickness(capsule, hull, cells, gaps, style, settings)

    covered, facing = _covered(capsule, seen_hull, thickness, view)
    below_brow = capsule.points(hull)[..., 1] < eyes[:, 1].mean() + BROW
    from_front = np.minimum(capsule.azimuths, 2 * np.pi - capsule.azimuths)
    face = below_brow & (from_front < FACE_AZIMUTH)
    hanging = (heights[:, None] > 0) & (heights[:, None] < _blend(capsule, hang)) & (np.pi - from_front < CURTAIN)
    amount = _complete(covered, scalp, hanging & (scalp < 0.5) & (hang.max() > BELOW_EAR))
    amount[face | (heights[:, None] > lowest)] = 0.0
    if style == "cropped":
        amount[_distance_inside(capsule, hull, scalp) < -CROP_BEYOND_SCALP] = 0.0
    amount[holes(amount > 0.5, HOLE)] = 1.0
    low = np.clip(heights / BELOW_EAR, 0.0, 1.0)[:, None]
    fine, plain = (blurred(amount, blur) for blur in HAIRLINE_BLUR)
    inside = _distance_inside(capsule, hull, fine + low * (plain - fine))
    if style == "volume":
        unseen = np.clip((-FACING - facing) / (1 - 2 * FACING), 0.0, 1.0)
        thickness += unseen * (np.clip(thickness, *settings.volume) - thickness)
    times, more = (above + low * (below - above) for above, below in zip(LOPSIDED, LOPSIDED_LOW, strict=True))
    thickness = np.minimum(thickness, times * mirrored(thickness) + more)
    frontal = np.clip((np.maximum(facing, mirrored(facing)) - FACING) / (1 - 2 * FACING), 0.0, 1.0)
    return HairMaps(capsule, skin, hull, blurred(thickness, 1.0), inside, frontal)


def _rim_height(capsule: Capsule, head: Head) -> np.ndarray:
    """[COLUMNS] metres: height of the head's lower end in every direction."""
    rim = head.vertices[head.rim]
    _, column, _ = capsule.locate(rim)
    order = np.argsort(column, kind="stable")
    return np.interp(np.arange(COLUMNS), column[order], rim[order, 1], period=COLUMNS)


def _spread(capsule: Capsule, radius: np.ndarray, points: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values [N] at points [N, 3] carried to the cells of a map at `radius`."""
    distance, nearest = KDTree(points).query(capsule.points(radius), k=3)
    weight = 1.0 / (distance + 1e-4)
    return (values[nearest] * weight).sum(axis=-1) / weight.sum(axis=-1)


def _hang(cells: np.ndarray) -> np.ndarray:
    """[2] metres below the centre to which hair grazed at cells [N, 2] reaches on the subject's left and right."""
    depth = (cells[:, 0] - (DOME_ROWS - 1)) * HANGING_STEP
    left = cells[:, 1] < COLUMNS / 2
    found = [np.sort(depth[side & (depth > 0)]) for side in (left, ~left)]
    # The few lowest points are the rounded tips.
    return np.array([side[-1 - len(side) // 20] if len(side) >= 8 else 0.0 for side in found])


def _blend(capsule: Capsule, hang: np.ndarray) -> np.ndarray:
    """[COLUMNS] the left and right values [2] run into each other round the back."""
    share = (1 + np.sin(capsule.azimuths)) / 2
    reached = np.where(hang > 0, hang, hang.max())
    return reached[0] * share + reached[1] * (1 - share)


def _hull(capsule: Capsule, skin: np.ndarray, nape: float, long: float, slope: float) -> np.ndarray:
    """What hair lies on: the skin, or where it is long a curtain falling from the cranium."""
    hull = skin.copy()
    low = capsule.heights > 0.8 * nape
    hull[low] = np.minimum.accumulate(hull[low], axis=0)  # not out again over the shoulders
    curtain = hull.copy()
    for row in range(DOME_ROWS, capsule.rows):
        curtain[row] = np.maximum(curtain[row], curtain[row - 1] - slope * HANGING_STEP)
    from_back = np.abs(np.pi - capsule.azimuths)
    share = long * np.clip((CURTAIN + 0.2 - from_back) / 0.4, 0.0, 1.0)
    return hull + share * (curtain - hull)


def _thickness(
    capsule: Capsule, hull: np.ndarray, cells: np.ndarray, gaps: np.ndarray, style: str, settings: HairSettings
) -> np.ndarray:
    """The contour's gaps [N] at cells [N, 2] carried smoothly to every cell."""
    least, most = settings.cropped if style == "cropped" else settings.volume
    if len(gaps) < 8:
        return np.full(capsule.shape, (least + most) / 2)
    points = capsule.points(hull)
    where = np.stack([capsule.sample(points[..., axis], cells[:, 0], cells[:, 1]) for axis in range(3)], axis=-1)
    thinned = slice(None, None, 1 + len(gaps) // 250)
    sources = np.concatenate([where[thinned], where[thinned] * (-1, 1, 1)])
    known = np.concatenate([gaps[thinned], gaps[thinned]])
    weight = np.concatenate([np.ones(len(gaps[thinned])), np.full(len(gaps[thinned]), MIRRORED)])

    def coarse(at: np.ndarray) -> np.ndarray:
        kernel = weight / (1 + cdist(at, sources, "sqeuclidean") / settings.far**2) ** 3
        return kernel @ known / kernel.sum(axis=1)

    thickness = coarse(points.reshape(-1, 3)).reshape(capsule.shape)
    distance, nearest = KDTree(where).query(points, k=min(24, len(where)))
    kernel = np.exp(-((distance / settings.near) ** 2))
    broad = coarse(where)
    rest = np.maximum(gaps - broad, -np.maximum(broad / 2, LEAST_VOLUME))[nearest]  # a mask's frayed end is no dent
    thickness += (kernel * rest).sum(axis=-1) / (kernel.sum(axis=-1) + 0.5)
    if style == "cropped":
        return np.clip(thickness, least, most)
    return np.maximum(thickness, LEAST_VOLUME)


def _covered(
    capsule: Capsule, hull: np.ndarray, thickness: np.ndarray, view: HairView
) -> tuple[np.ndarray, np.ndarray]:
    """Hair seen at each cell, 0 to 1 and NaN where the photo does not show it, and the cosine to the viewer."""
    points = capsule.points(hull)
    along = np.roll(points, -1, axis=1) - np.roll(points, 1, axis=1)
    down = np.gradient(points, axis=0)
    normals = np.cross(down, along)
    normals[0] = (0.0, 1.0, 0.0)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    towards = view.camera.position - points
    towards /= np.linalg.norm(towards, axis=-1, keepdims=True)
    facing = (normals * towards).sum(axis=-1)

    def hair_at(where: np.ndarray) -> np.ndarray:
        along_surface = at_pixels(view.border, view.camera.project(where), -1.0) / np.clip(facing, FACING, 1.0)
        return np.clip(0.5 + along_surface / (2 * HANGING_STEP), 0.0, 1.0)

    pixels = view.camera.project(points)
    depth = -view.camera.to_camera(points)[..., 2]
    hidden = at_pixels(view.head, pixels, False) & (depth > at_pixels(view.depth, pixels, np.inf) + HIDDEN)
    in_view = at_pixels(view.valid, pixels, False) & ~hidden
    edge_on = np.abs(facing) < FACING
    hair = hair_at(points)
    # A cell at the head's rim falls beside the mask by a hair's breadth: there only hair itself is a sign.
    certain = (facing > FACING) | ((facing > 0) & (at_pixels(view.border, pixels, 0.0) < -RIM_DOUBT))
    bare = certain & at_pixels(view.bare, pixels, False)
    # Hair beside a turned face may stand far behind its rim: the other side, seen squarely, knows better.
    beside = edge_on & ~mirrored(bare & (facing > FACING))
    hair = np.where(beside, np.maximum(hair, hair_at(points + normals * thickness[..., None] / 2)), hair)
    seen = in_view & (((hair > 0.5) & (facing > -FACING)) | bare)
    return np.where(seen, hair, np.nan), facing


def _complete(covered: np.ndarray, scalp: np.ndarray, hanging: np.ndarray) -> np.ndarray:
    """Hair 0 to 1 on every cell: as seen, else hanging down, else as on the other side, else as the scalp's seen part
    leads to expect."""
    own = np.where(np.isnan(covered) & hanging, 1.0, covered)
    both = np.where(np.isnan(own), mirrored(own), own)
    known = ~np.isnan(both)
    grows = scalp > 0.5
    filled = fill_smoothly(np.where(known, both, 0.0), known & grows, absent=~grows)
    return np.where(known, both, filled * grows)


def _distance_inside(capsule: Capsule, hull: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Metres to the line where `amount` [rows, COLUMNS] is one half, positive where it is more."""
    points, level = capsule.points(hull), amount - 0.5
    line = []
    for after, level_after in (
        (np.roll(points, -1, axis=1), np.roll(level, -1, axis=1)),
        (np.roll(points, -1, axis=0), np.vstack([level[1:], level[-1:]])),
    ):
        crossing = (level > 0) != (level_after > 0)
        share = (level[crossing] / (level[crossing] - level_after[crossing]))[:, None]
        line.append(points[crossing] * (1 - share) + after[crossing] * share)
    border = np.concatenate(line)
    if len(border) == 0:
        return np.where(level > 0, 1.0, -1.0)
    distance = np.where(level > 0, 1.0, -1.0) * KDTree(border).query(points)[0]
    return blurred(distance, 1.0)
