"""Coordinates that fit a head with hair: a dome over the cranium, a cylinder hanging below it.

Every point has an angle round the vertical axis, an arc (up the dome, or down the cylinder) and a distance from the
axis. Surfaces that hair can take are one distance per (arc, angle), which makes them plain images: smoothing,
mirroring and interpolation happen there, and a voxel field only has to look its distance up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, map_coordinates
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

from portrait_head.rendering.raycast import RayCaster

COLUMNS = 144  # 2.5 degrees, 4 mm on a head
DOME_ROWS = 37  # the same steps from the pole down to the level of the centre
HANGING_STEP = 0.004  # metres between the rows below it
MIN_SKIN_DISTANCE = 0.03  # metres; what lies nearer to the axis was seen through a hole
ALONE = 1e-9  # keeps the system solvable for cells that no known cell reaches; they become 0


@dataclass(frozen=True)
class Capsule:
    """Attributes:
    centre: [3] float64 metres, where dome and cylinder meet.
    rows: how many rows a map has, pole first.
    """

    centre: np.ndarray
    rows: int

    @staticmethod
    def around(skin: np.ndarray, eyes: np.ndarray) -> Capsule:
        """The capsule of a head with skin vertices [N, 3] and eye vertices [M, 3], down to the skin's lower rim."""
        level, crown = float(eyes[:, 1].mean()), float(skin[:, 1].max())
        height = level + (crown - level) / 4  # above the ears, where the cranium is widest
        girdle = skin[np.abs(skin[:, 1] - height) < (crown - level) / 8]
        centre = np.array([0.0, height, (girdle[:, 2].min() + girdle[:, 2].max()) / 2])
        return Capsule(centre, DOME_ROWS + int(np.ceil((height - skin[:, 1].min()) / HANGING_STEP)))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a map; column 0 looks along +Z, columns run to the subject's left."""
        return self.rows, COLUMNS

    @property
    def heights(self) -> np.ndarray:
        """[rows] metres: how far each row lies below the centre; 0 on the dome."""
        return np.maximum(np.arange(self.rows) - (DOME_ROWS - 1), 0) * HANGING_STEP

    @property
    def azimuths(self) -> np.ndarray:
        """[COLUMNS] radians from +Z to the subject's left, 0 to 2 pi."""
        return np.arange(COLUMNS) * (2 * np.pi / COLUMNS)

    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Feet [rows, COLUMNS, 3] on the axis and unit directions [rows, COLUMNS, 3] of a map's cells."""
        elevation = np.maximum(DOME_ROWS - 1 - np.arange(self.rows), 0) * (np.pi / 2 / (DOME_ROWS - 1))
        directions = np.empty((*self.shape, 3))
        directions[..., 0] = np.cos(elevation)[:, None] * np.sin(self.azimuths)
        directions[..., 1] = np.sin(elevation)[:, None]
        directions[..., 2] = np.cos(elevation)[:, None] * np.cos(self.azimuths)
        feet = np.broadcast_to(self.centre, directions.shape).copy()
        feet[..., 1] -= self.heights[:, None]
        return feet, directions

    def points(self, radius: np.ndarray) -> np.ndarray:
        """[rows, COLUMNS, 3] metres: where a map of distances [rows, COLUMNS] lies in head space."""
        feet, directions = self.axes()
        return feet + directions * radius[..., None]

    def locate(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Head-space points [..., 3] to fractional rows [...], fractional columns [...] and distances [...] metres."""
        # Each axis by itself: of a view with gaps, NumPy's arctan2 takes one of two ways, whose last bits differ, by
        # where its result happens to be allocated.
        x, y, z = np.ascontiguousarray(np.moveaxis(points - self.centre, -1, 0))
        below = np.minimum(y, 0.0)
        across = np.hypot(x, z)
        up = np.maximum(y, 0.0)
        row = (DOME_ROWS - 1) * (1 - np.arctan2(up, across) / (np.pi / 2)) - below / HANGING_STEP
        column = np.mod(np.arctan2(x, z), 2 * np.pi) * (COLUMNS / (2 * np.pi))
        return row, column, np.hypot(across, up)

    def sample(self, image: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Bilinear values [...] of a map [rows, COLUMNS] at what `locate` gave; the last row goes on below the map."""
        wrapped = np.concatenate([image, image[:, :1]], axis=1)
        return map_coordinates(wrapped, [row, column], order=1, mode="nearest", output=np.float64)


def mirrored(image: np.ndarray) -> np.ndarray:
    """A map [rows, COLUMNS, ...] with the subject's left and right exchanged."""
    return np.roll(image[:, ::-1], 1, axis=1)


def blurred(image: np.ndarray, cells: float) -> np.ndarray:
    """A map [rows, COLUMNS] blurred by a Gaussian of that standard deviation, round the head without a seam."""
    return gaussian_filter1d(gaussian_filter1d(image, cells, axis=0, mode="nearest"), cells, axis=1, mode="wrap")


def skin_distance(capsule: Capsule, vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[rows, COLUMNS] metres from the axis to the outermost skin, gaps (where the ears were cut off) filled smoothly.

    Args:
        vertices: [V, 3] metres.
        triangles: [T, 3] skin without the ears.
    """
    feet, directions = capsule.axes()
    reach = float(np.linalg.norm(vertices - capsule.centre, axis=1).max()) * 1.5
    hits = RayCaster(vertices, triangles).cast(feet + directions * reach, -directions)
    distance = reach - hits.distance.astype(np.float64)
    known = hits.hit & (distance > MIN_SKIN_DISTANCE)
    return fill_smoothly(np.where(known, distance, 0.0), known)


def fill_smoothly(image: np.ndarray, known: np.ndarray, absent: np.ndarray | None = None) -> np.ndarray:
    """The map [rows, COLUMNS] with unknown cells replaced by the harmonic continuation of the known ones.

    Args:
        image: values where `known`.
        known: [rows, COLUMNS] bool; if nothing is known the map comes back as it is.
        absent: [rows, COLUMNS] bool, cells that take no part: nothing flows through them and they keep their value.
    """
    rows, columns = image.shape
    index = np.full(image.shape, -1)
    absent = np.zeros_like(known) if absent is None else absent & ~known
    unknown = ~known & ~absent
    count = int(unknown.sum())
    if count == 0 or not known.any():
        return image
    index[unknown] = np.arange(count)
    matrix_rows, matrix_columns, values = [], [], []
    right = np.zeros(count)
    degree = np.zeros(count)
    row, column = np.nonzero(unknown)
    for step_row, step_column in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        beside_row, beside_column = row + step_row, (column + step_column) % columns
        inside = (beside_row >= 0) & (beside_row < rows)
        inside[inside] = ~absent[beside_row[inside], beside_column[inside]]
        beside = index[beside_row[inside], beside_column[inside]]
        here = index[row[inside], column[inside]]
        degree[here] += 1
        free = beside >= 0
        matrix_rows.append(here[free])
        matrix_columns.append(beside[free])
        values.append(-np.ones(int(free.sum())))
        np.add.at(right, here[~free], image[beside_row[inside], beside_column[inside]][~free])
    matrix_rows.append(np.arange(count))
    matrix_columns.append(np.arange(count))
    values.append(degree + ALONE)
    matrix = coo_matrix(
        (np.concatenate(values), (np.concatenate(matrix_rows), np.concatenate(matrix_columns))), shape=(count, count)
    )
    filled = image.copy()
    filled[unknown] = spsolve(matrix.tocsc(), right)
    return filled
