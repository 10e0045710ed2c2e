"""Likeness in texture: how far an independent face network finds two pictures of a face apart.

The network is dlib's 128-number embedding (ResNet, CC0), whose makers call two faces the same person below 0.6. It
looks at texture: an average head with the right photograph on it scores as well as the right shape, so shape is
measured elsewhere (`known_shapes`). Differences below 0.1 are noise.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from portrait_head.errors import PortraitHeadError

SAME_PERSON = 0.6
CHIP = 150  # side in pixels of the upright face that the network takes
_PADDING = 0.25
# Where dlib's face chip puts the corners of the eyes (outer and inner, first the eye on the right of the picture) and
# the base of the nose, as shares of the face without its padding.
_CHIP_POINTS = np.array(
    [
        (0.8595674, 0.2134982),
        (0.6460605, 0.2289674),
        (0.1205751, 0.2137275),
        (0.3340851, 0.2290642),
        (0.4901123, 0.6277975),
    ]
)
# The same points of MediaPipe's face mesh.
_MESH_POINTS = (263, 362, 33, 133, 2)
# Spread of the jitter: turn in degrees, scale, and shift as a share of the chip. dlib's own jitters are of this size.
_JITTER_TURN, _JITTER_SCALE, _JITTER_SHIFT = 2.0, 0.03, 0.02


def points_of_mesh(landmarks: np.ndarray) -> np.ndarray:
    """The five points [5, 2] that place a face, from MediaPipe's landmarks [468 or more, 2 or more] in pixels."""
    return np.asarray(landmarks, dtype=np.float64)[list(_MESH_POINTS), :2]


def points_in_box(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The five points [5, 2] by dlib's own predictor, for a face (left, top, right, bottom) in `image` [H, W, 3]."""
    rectangle = _dlib().rectangle(*(round(float(side)) for side in box))
    found = _predictor()(np.ascontiguousarray(image), rectangle)
    return np.array([(part.x, part.y) for part in found.parts()], dtype=np.float64) + 0.5


def embedding(image: np.ndarray, points: np.ndarray, jitters: int = 8, seed: int = 0) -> np.ndarray:
    """What the network makes of a face.

    Args:
        image: [H, W, 3] uint8 sRGB.
        points: [5, 2] pixels, of `points_of_mesh` or `points_in_box`.
        jitters: the mean is taken over this many slightly moved copies, every second one mirrored; 1 for the plain
            chip. One picture alone moves by 0.05 with a pixel's shift.
        seed: of the jitter.

    Returns:
        [128] float64.

    Raises:
        PortraitHeadError: `missing_package` without dlib and its models.
    """
    chips = face_chips(image, points, jitters, seed)
    described = _network().compute_face_descriptor(list(chips))
    return np.array(described).mean(axis=0)


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """Euclidean distance of two embeddings [128]; below `SAME_PERSON` the network takes them for one person."""
    return float(np.linalg.norm(first - second))


def face_chips(image: np.ndarray, points: np.ndarray, jitters: int = 1, seed: int = 0) -> np.ndarray:
    """Upright copies [jitters, CHIP, CHIP, 3] uint8 of a face, the first as it is; reaches past the border as black."""
    generator = np.random.default_rng(seed)
    target = (_CHIP_POINTS + _PADDING) / (1 + 2 * _PADDING) * CHIP
    # A similarity of the plane is one complex factor and one complex shift.
    source_plane, target_plane = points @ [1, 1j], target @ [1, 1j]
    centred = source_plane - source_plane.mean()
    factor = (np.conj(centred) @ (target_plane - target_plane.mean())) / (np.conj(centred) @ centred)
    # Area averaging first: a large face sampled at 150 px would alias.
    shrink = min(1.0, abs(factor) * 2)
    smaller = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA) if shrink < 1 else image
    chips = []
    for copy in range(jitters):
        turn, scale, across, down = generator.normal(size=4) * (copy > 0)
        moved = factor * np.exp(1j * np.radians(_JITTER_TURN) * turn) * (1 + _JITTER_SCALE * scale)
        shift = target_plane.mean() + CHIP * _JITTER_SHIFT * (across + 1j * down) - moved * source_plane.mean()
        # OpenCV counts pixel centres from 0, this project from 0.5.
        moved = moved / shrink
        shift = shift + moved * (0.5 + 0.5j) - (0.5 + 0.5j)
        matrix = np.array([[moved.real, -moved.imag, shift.real], [moved.imag, moved.real, shift.imag]])
        chip = cv2.warpAffine(smaller, matrix, (CHIP, CHIP), flags=cv2.INTER_LINEAR)
        chips.append(np.ascontiguousarray(chip[:, ::-1] if copy % 2 else chip))
    return np.stack(chips)


@cache
def _network() -> Any:
    return _dlib().face_recognition_model_v1(str(_model_file("dlib_face_recognition_resnet_model_v1.dat")))


@cache
def _predictor() -> Any:
    return _dlib().shape_predictor(str(_model_file("shape_predictor_5_face_landmarks.dat")))


def _dlib() -> Any:
    _require("dlib")
    return importlib.import_module("dlib")


def _model_file(name: str) -> Path:
    """A file of `face_recognition_models`, found without importing it (it needs a setuptools that is gone)."""
    return _require("face_recognition_models") / "models" / name


def _require(package: str) -> Path:
    """The folder of an installed package.

    Raises:
        PortraitHeadError: `missing_package`, naming it.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise PortraitHeadError(
            "missing_package",
            f"The likeness measure needs the package {package}, which is not installed.",
            'Install the development extra: pip install ".[dev]".',
        )
    return Path(spec.origin).parent
