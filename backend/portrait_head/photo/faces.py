"""Every face in a photo, its landmarks and its pose.

The detector looks at the raw frame, at the frame with a border and at overlapping squares of falling size (a wide
picture squeezed into one square hides its faces); each hit counts only if the face mesh, run on a crop turned upright
in which the face fills two fifths, confirms it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.photo import mediapipe_models

# MediaPipe face mesh indices (subject's right first).
EYE_CORNERS = (33, 263)  # outer corners
IRIS_CENTRES = (468, 473)
FOREHEAD, CHIN = 10, 152
CHEEKS = (234, 454)
# Degrees by which the line from forehead to chin leans in a head that looks straight ahead: the mean over fitted heads.
FACE_PLANE_PITCH = 7.0


@dataclass(frozen=True)
class SearchConfig:
    """Where the detector looks. Chosen on group photos with faces from 40 px up to the whole frame."""

    long_side: int = 1600  # the photo is searched at this size at most,
    panorama_short_side: int = 640  # a panorama at this one,
    panorama_long_side: int = 4800  # but no longer than this
    least_side: int = 24  # pixels; nothing is sought in smaller pictures
    shrink: float = 0.6  # each ring of squares is this much smaller than the one before
    smallest_share: float = 0.16  # of the long side
    smallest_side: int = 160  # pixels
    overlap: float = 0.5
    border: float = 0.5  # of the frame, for faces cut by its edge
    border_grey: int = 128
    min_score: float = 0.45
    same_face: float = 0.35  # intersection over union above which two boxes are one face
    max_candidates: int = 60
    smallest_face: float = 22.0  # pixels; below this texture passes for faces
    small_face: float = 40.0  # pixels; below this the detector must be surer
    small_face_score: float = 0.75
    max_jitter: float = 0.02  # of the face's size: how far the mesh may move when its crop moves
    face_share: float = 0.4  # of the crop given to the mesh
    crop_side: int = 512
    refine_scales: tuple[float, ...] = (1.0, 0.94, 1.06, 0.97, 1.03)  # crops averaged for the face taken
    refine_turns: tuple[float, ...] = (0.0, 3.0, -3.0, -1.5, 1.5)  # degrees


@dataclass(frozen=True)
class Face:
    """A face confirmed by the mesh.

    Attributes:
        landmarks: [478, 3] float64 photo pixels; z towards the viewer is negative.
        score: of the detector, 0 to 1.
    """

    landmarks: np.ndarray
    score: float

    @property
    def box(self) -> np.ndarray:
        """[4] float64 (left, top, right, bottom), photo pixels."""
        points = self.landmarks[:, :2]
        return np.concatenate([points.min(axis=0), points.max(axis=0)])

    @property
    def interocular(self) -> float:
        """Distance between the pupils, photo pixels."""
        right, left = self.landmarks[list(IRIS_CENTRES), :2]
        return float(np.linalg.norm(left - right))

    @property
    def size(self) -> float:
        """Square root of the box's area, photo pixels."""
        left, top, right, bottom = self.box
        return math.sqrt(max(right - left, 0.0) * max(bottom - top, 0.0))


@dataclass(frozen=True)
class Pose:
    """How the head is turned, degrees.

    Attributes:
        yaw: positive when the nose points to the right edge of the picture.
        pitch: positive when the nose points down.
        roll: positive when the head leans clockwise in the picture.
    """

    yaw: float
    pitch: float
    roll: float


def find_faces(image: np.ndarray, config: SearchConfig = SearchConfig()) -> list[Face]:
    """Every face in `image` ([H, W, 3] uint8 sRGB), largest first."""
    height, width = image.shape[:2]
    long, short = max(height, width), min(height, width)
    if short < config.least_side:
        return []
    panorama = min(config.panorama_short_side / short, config.panorama_long_side / long)
    scale = min(1.0, max(config.long_side / long, panorama))
    small = image
    if scale < 1.0:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    factors = np.array([width / small.shape[1], height / small.shape[0]])
    faces: list[Face] = []
    for candidate in _candidates(small, config):
        box = candidate.box * np.tile(factors, 2)
        if any(_overlap(box, face.box) > config.same_face for face in faces):
            continue
        eyes = candidate.eyes * factors
        roll = math.degrees(math.atan2(eyes[1, 1] - eyes[0, 1], eyes[1, 0] - eyes[0, 0]))
        landmarks = _confirmed_landmarks(image, box, roll, config)
        if landmarks is None:
            continue
        face = Face(landmarks, candidate.score)
        if face.size < (config.smallest_face if face.score >= config.small_face_score else config.small_face):
            continue
        if not any(_overlap(face.box, other.box) > config.same_face for other in faces):
            faces.append(face)
    return sorted(faces, key=lambda face: (-face.size, face.box[0]))


def find_faces_any_way_up(image: np.ndarray, config: SearchConfig = SearchConfig()) -> tuple[list[Face], int]:
    """`find_faces`, with the picture turned by quarters until the largest face is upright.

    Returns:
        The faces, and how many quarter turns counter-clockwise (`numpy.rot90`) the picture needed.
    """
    for start in (0, 1, 3):
        faces = find_faces(np.ascontiguousarray(np.rot90(image, start)), config)
        if not faces:
            continue
        needed = round(head_pose(faces[0].landmarks).roll / 90.0) % 4
        if needed == 0:
            return faces, start
        turns = (start + needed) % 4
        upright = find_faces(np.ascontiguousarray(np.rot90(image, turns)), config)
        return (upright, turns) if upright else (faces, start)
    return [], 0


def refine_landmarks(image: np.ndarray, face: Face, config: SearchConfig = SearchConfig()) -> np.ndarray:
    """The mean mesh of several slightly different crops of `face`: [478, 3] float64 photo pixels.

    One crop's mesh jitters by about one per cent of the inter-ocular distance with the crop's place.
    """
    centre, side, roll = _placement(face.landmarks, config)
    meshes = []
    for scale, turn in zip(config.refine_scales, config.refine_turns, strict=True):
        mesh = landmarks_in_square(image, centre, side * scale, roll + turn, config.crop_side)
        if mesh is not None:
            meshes.append(mesh)
    return np.mean(meshes, axis=0) if meshes else face.landmarks


def landmarks_in_square(
    image: np.ndarray, centre: np.ndarray, side: float, roll: float, crop_side: int = 512
) -> np.ndarray | None:
    """The face mesh in the square of `image` around `centre`, turned upright by `roll` degrees.

    Args:
        image: [H, W, 3] uint8 sRGB.
        centre: [2] pixels.
        side: pixels of `image`.
        roll: degrees by which the face leans clockwise.
        crop_side: pixels of the crop that the mesh sees.

    Returns:
        [478, 3] float64 pixels of `image`, or None where the mesh finds no face.
    """
    to_image = _square_to_image(centre, side, roll, crop_side)
    mesh = mediapipe_models.face_landmarks(_sample_square(image, to_image, side, crop_side))
    if mesh is None:
        return None
    points = np.empty_like(mesh)
    points[:, :2] = mesh[:, :2] @ to_image[:, :2].T + to_image[:, 2]
    points[:, 2] = mesh[:, 2] * side / crop_side
    return points


def head_axes(landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors to the subject's left, up and out of the face, in the mesh's pixel axes (y down, z away).

    The up axis is upright when the head looks straight ahead: the line from chin to forehead leans a little.
    """
    right, left = landmarks[list(EYE_CORNERS)]
    across = _unit(left - right + landmarks[CHEEKS[1]] - landmarks[CHEEKS[0]])
    up = landmarks[FOREHEAD] - landmarks[CHIN]
    up = _unit(up - across * float(up @ across))
    out = np.cross(across, up)
    lean = math.radians(FACE_PLANE_PITCH)
    return across, up * math.cos(lean) - out * math.sin(lean), out * math.cos(lean) + up * math.sin(lean)


def head_pose(landmarks: np.ndarray) -> Pose:
    """Yaw, pitch and roll of the mesh ([478, 3] pixels)."""
    across, _, out = head_axes(landmarks)
    yaw = math.degrees(math.atan2(out[0], math.hypot(out[1], out[2])))
    pitch = math.degrees(math.atan2(out[1], -out[2]))
    return Pose(yaw, pitch, math.degrees(math.atan2(across[1], across[0])))


def _candidates(image: np.ndarray, config: SearchConfig) -> list[mediapipe_models.Detection]:
    """Detections over all windows, the surest first, one a face."""
    found: list[mediapipe_models.Detection] = []
    height, width = image.shape[:2]
    rim = round(max(height, width) * config.border)
    grey = (config.border_grey,) * 3
    framed = cv2.copyMakeBorder(image, rim, rim, rim, rim, cv2.BORDER_CONSTANT, value=grey)
    windows = [(0, 0, image), (-rim, -rim, framed)]
    windows += [(x, y, image[y : y + side, x : x + side]) for x, y, side in _squares(width, height, config)]
    for x, y, window in windows:
        shift = np.array([x, y], dtype=np.float64)
        for hit in mediapipe_models.detect_faces(window):
            if hit.score >= config.min_score:
                moved = mediapipe_models.Detection(hit.box + np.tile(shift, 2), hit.score, hit.eyes + shift)
                found.append(moved)
    found.sort(key=lambda hit: (-hit.score, *hit.box))
    kept: list[mediapipe_models.Detection] = []
    for hit in found:
        if all(_overlap(hit.box, other.box) < config.same_face for other in kept):
            kept.append(hit)
    return kept[: config.max_candidates]


def _squares(width: int, height: int, config: SearchConfig) -> list[tuple[int, int, int]]:
    """(left, top, side) of the overlapping squares of every size."""
    squares = []
    side = float(min(width, height))
    smallest = max(config.smallest_side, config.smallest_share * min(max(width, height), 2 * min(width, height)))
    while side >= smallest:
        across = _starts(width, round(side), config.overlap)
        down = _starts(height, round(side), config.overlap)
        squares += [(x, y, round(side)) for y in down for x in across]
        side *= config.shrink
    if width == height and squares:
        squares = squares[1:]  # the first is the frame itself
    return squares


def _starts(length: int, side: int, overlap: float) -> list[int]:
    count = 1 + math.ceil(max(length - side, 0) / (side * (1.0 - overlap)))
    return [round(start) for start in np.linspace(0, max(length - side, 0), count)]


def _confirmed_landmarks(image: np.ndarray, box: np.ndarray, roll: float, config: SearchConfig) -> np.ndarray | None:
    """The mesh of the detection `box`, looked at twice: by the detector's box, then by its own."""
    centre = (box[:2] + box[2:]) / 2
    extent = float(max(box[2:] - box[:2]))
    for share in (config.face_share, config.face_share * 0.75, config.face_share * 1.3):
        first = landmarks_in_square(image, centre, extent / share, roll, config.crop_side)
        if first is None or not _plausible(first, centre, extent):
            continue
        place, side, turn = _placement(first, config)
        second = landmarks_in_square(image, place, side, turn, config.crop_side)
        third = landmarks_in_square(image, place, side * 1.15, turn + 6.0, config.crop_side)
        if second is None or third is None or not _plausible(second, centre, extent):
            continue
        # On a thing that is no face the mesh does not settle.
        jitter = float(np.linalg.norm((second - third)[:, :2], axis=1).mean())
        if jitter < config.max_jitter * Face(second, 0.0).size:
            return second
    return None


def _placement(landmarks: np.ndarray, config: SearchConfig) -> tuple[np.ndarray, float, float]:
    """Centre, side and roll of the square in which this face is upright and of the wished size."""
    right, left = landmarks[list(EYE_CORNERS), :2]
    roll = math.degrees(math.atan2(left[1] - right[1], left[0] - right[0]))
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    return (low + high) / 2, float(max(high - low)) / config.face_share, roll


def _plausible(landmarks: np.ndarray, centre: np.ndarray, extent: float) -> bool:
    """Whether the mesh sits where the detector saw the face."""
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    ratio = float(max(high - low)) / extent
    return bool(0.6 < ratio < 2.2 and np.linalg.norm((low + high) / 2 - centre) < 0.5 * extent)


def _square_to_image(centre: np.ndarray, side: float, roll: float, crop_side: int) -> np.ndarray:
    """[2, 3] affine map from crop pixels to image pixels (pixel edges at whole numbers)."""
    scale = side / crop_side
    cosine, sine = math.cos(math.radians(roll)) * scale, math.sin(math.radians(roll)) * scale
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([turn, np.asarray(centre) - turn @ np.full(2, crop_side / 2)])


def _sample_square(image: np.ndarray, to_image: np.ndarray, side: float, crop_side: int) -> np.ndarray:
    """The crop that `to_image` describes, without aliasing, its outside filled from the nearest edge."""
    corners = np.array([[0, 0], [crop_side, 0], [0, crop_side], [crop_side, crop_side]], dtype=np.float64)
    corners = corners @ to_image[:, :2].T + to_image[:, 2]
    height, width = image.shape[:2]
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - 2, 0, (width - 1, height - 1))
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 2, low + 1, (width, height))
    part = image[low[1] : high[1], low[0] : high[0]]
    offset = low.astype(np.float64)
    shrink = side / crop_side
    factors = np.ones(2)
    if shrink > 1.0:
        size = np.maximum(1, np.round(np.array([part.shape[1], part.shape[0]]) / shrink)).astype(int)
        factors = np.array([part.shape[1], part.shape[0]]) / size
        part = cv2.resize(part, tuple(int(length) for length in size), interpolation=cv2.INTER_AREA)
    to_part = to_image.copy()
    to_part[:, 2] -= offset
    to_part /= factors[:, None]
    # cv2 counts from pixel centres.
    to_part[:, 2] += to_part[:, :2] @ np.full(2, 0.5) - 0.5
    return cv2.warpAffine(
        part,
        to_part,
        (crop_side, crop_side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two boxes (left, top, right, bottom)."""
    extent = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    shared = float(np.prod(np.maximum(extent, 0.0)))
    areas = [float(np.prod(np.maximum(box[2:] - box[:2], 0.0))) for box in (first, second)]
    return shared / max(sum(areas) - shared, 1e-9)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
