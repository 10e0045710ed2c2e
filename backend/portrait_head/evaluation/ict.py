"""People of known shape: random identities of the ICT Face Model Light, read from a folder the user names.

The data is not part of this project; its arrays have no triangles, so the surface is found again from the vertices.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from portrait_head.errors import PortraitHeadError
from portrait_head.evaluation.point_mesh import triangulate_points
from portrait_head.geometry.surface import vertex_normals
from portrait_head.rendering.raycast import RayCaster

FILE_NAME = "ict_facekit_f32.npz"
METRES = 0.01  # the data is in centimetres

# Vertex ranges and the Multi-PIE landmark vertices as the model's public README lists them.
SKIN = slice(0, 11248)  # face, head and neck
NARROW_FACE = 6706  # the vertices before this one are the face without ears and neck
SCLERAS = (slice(21451, 22221), slice(23021, 23791))  # left, right
BROWS = ((268, 493, 1914, 2044, 1401), (3615, 4240, 4114, 2734, 2509))  # right, left
EYE_OUTLINES = ((1507, 1542, 1537, 1528, 1518, 1511), (3742, 3751, 3756, 3721, 3725, 3732))  # right, left
NOSE_BASE = 1147
LIP_OUTLINE = (5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841)
# Eye corners, nose tip, mouth corners and chin, with the same points of MediaPipe's face mesh.
ANCHORS = (1507, 1528, 3742, 3721, 4857, 5708, 6213, 966)
ANCHORS_MEDIAPIPE = (33, 133, 362, 263, 1, 61, 291, 152)

# Movements in which lips and lids part or slide along each other.
_PARTING = (("jawOpen",), ("mouthRollLower",), ("eyeBlink_L", "eyeBlink_R"), ("mouthSmile_L", "mouthSmile_R"))


@dataclass(frozen=True)
class KnownHeads:
    """The linear face model that the people are drawn from. Metres, +Y up, +Z out of the face.

    Attributes:
        neutral: [V, 3] float64, skin first (`SKIN`), then the eyeballs' scleras, left and right.
        identity: [100, V, 3] float32, one standard deviation of each mode.
        expressions: name to [V, 3] float32 displacement for weight 1.
        triangles: [T, 3] int32 of the skin.
        scleras: vertex ranges of the left and the right sclera in these arrays.
        face: [F] int32 skin vertices of the visible face (no eyeballs, lid rims, mouth, ears or neck).
        regions: name to [..] int32 vertices, together the face.
        midline: [M] int32 face vertices on the line from forehead to chin.
    """

    neutral: np.ndarray
    identity: np.ndarray
    expressions: dict[str, np.ndarray]
    triangles: np.ndarray
    scleras: tuple[slice, slice]
    face: np.ndarray
    regions: dict[str, np.ndarray]
    midline: np.ndarray

    def person(self, coefficients: np.ndarray) -> np.ndarray:
        """Neutral vertices [V, 3] of the person with standard-normal `coefficients` [100]."""
        return self.neutral + np.tensordot(coefficients, self.identity, axes=1)

    def expression(self, weights: dict[str, float]) -> np.ndarray:
        """Displacements [V, 3] of the named expressions together."""
        return sum((weight * self.expressions[name] for name, weight in weights.items()), np.zeros(self.neutral.shape))


def load_known_heads(data: Path) -> KnownHeads:
    """The face model in `data`, a folder with `ict_facekit_f32.npz`; a few seconds.

    Raises:
        PortraitHeadError: `no_data` if the file is not there or not that model.
    """
    path = Path(data) / FILE_NAME
    try:
        with np.load(path) as arrays:
            neutral, identity = arrays["neutral"], arrays["identity"]
            names, expression = arrays["expression_names"], arrays["expression"]
    except (OSError, KeyError, ValueError) as error:
        raise PortraitHeadError(
            "no_data",
            f"There is no ICT face model that can be read at {path} ({error}).",
            f"Name the folder that holds {FILE_NAME} with --data.",
        ) from error
    rows = np.r_[SKIN, SCLERAS[0], SCLERAS[1]]
    neutral = neutral[rows].astype(np.float64) * METRES
    expressions = {str(name): row[rows] * np.float32(METRES) for name, row in zip(names, expression, strict=True)}
    skin = neutral[SKIN]
    parting = tuple(np.sum([expressions[name][SKIN] for name in group], axis=0) for group in _PARTING)
    triangles = triangulate_points(skin, parting)
    face = _visible_face(skin, triangles)
    left, right = (scleras.stop - scleras.start for scleras in SCLERAS)
    return KnownHeads(
        neutral=neutral,
        identity=identity[:, rows] * np.float32(METRES),
        expressions=expressions,
        triangles=triangles,
        scleras=(slice(SKIN.stop, SKIN.stop + left), slice(SKIN.stop + left, SKIN.stop + left + right)),
        face=face,
        regions=_regions(skin, face),
        midline=face[np.abs(skin[face, 0]) < 1e-5],
    )


def _visible_face(skin: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Vertices of the narrow face that a camera in front sees, without neck and eyelid rims."""
    normals = vertex_normals(skin, triangles)
    viewpoint = np.array([0.0, 0.0, 1.5])
    towards = viewpoint - skin
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    hidden = RayCaster(skin, triangles).occluded(skin, towards, skip=1e-3)
    front = ~hidden & (np.einsum("vk,vk->v", normals, towards) > 0.2)
    front[NARROW_FACE:] = False
    for outline in EYE_OUTLINES:
        opening = skin[list(outline)]
        front &= np.linalg.norm(skin[:, None] - opening[None], axis=2).min(axis=1) > 0.003
    front &= skin[:, 1] > skin[ANCHORS[-1], 1] - 0.005
    return np.flatnonzero(front).astype(np.int32)


def _regions(skin: np.ndarray, face: np.ndarray) -> dict[str, np.ndarray]:
    """The face's vertices by what an artist calls the place, from the landmarks around it; every one in one region."""
    points = skin[face]
    brow_height = np.interp(np.abs(points[:, 0]), *_sorted_xy(skin[list(BROWS[1])]))
    lips = skin[list(LIP_OUTLINE)]
    eyes = skin[list(EYE_OUTLINES[1])]
    low_eye, nose_base = eyes[:, 1].min(), skin[NOSE_BASE, 1]
    across, up = np.abs(points[:, 0]), points[:, 1]
    forehead = up > brow_height
    eye_area = ~forehead & (up > low_eye - 0.005) & (across > eyes[:, 0].min() - 0.004)
    nose = ~forehead & ~eye_area & (up > nose_base - 0.002) & (across < 0.021)
    mouth = (up < nose_base - 0.002) & (up > lips[:, 1].min() - 0.004) & (across < lips[:, 0].max() + 0.004)
    jaw = ~mouth & (up < lips[:, 1].mean())
    named = {"forehead": forehead, "eyes": eye_area, "nose": nose, "mouth": mouth & ~nose, "jaw": jaw}
    taken = np.any(list(named.values()), axis=0)
    return {name: face[mask] for name, mask in {**named, "cheeks": ~taken}.items()}


def _sorted_xy(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(points[:, 0])
    return points[order, 0], points[order, 1]
