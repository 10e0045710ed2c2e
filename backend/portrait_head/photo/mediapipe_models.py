"""MediaPipe's bundled models behind four plain functions; the only module that imports MediaPipe.

Nothing is downloaded: the 0.10.21 wheel carries the full-range face detector, the face mesh with irises, the
selfie segmentation and the hands. The graphs are built once and stay warm.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from portrait_head import system_libraries
from portrait_head.errors import PortraitHeadError

LANDMARK_COUNT = 478


@dataclass(frozen=True)
class Detection:
    """One hit of the face detector.

    Attributes:
        box: [4] float64 (left, top, right, bottom), pixels.
        score: 0 to 1.
        eyes: [2, 2] float64 pixels, the subject's right eye first.
    """

    box: np.ndarray
    score: float
    eyes: np.ndarray


def detect_faces(image: np.ndarray) -> list[Detection]:
    """Faces that the full-range detector sees in `image` ([H, W, 3] uint8 sRGB) taken as one square."""
    height, width = image.shape[:2]
    found = _detector().process(np.ascontiguousarray(image)).detections or []
    size = np.array([width, height], dtype=np.float64)
    detections = []
    for item in found:
        relative = item.location_data.relative_bounding_box
        corner = np.array([relative.xmin, relative.ymin]) * size
        extent = np.array([relative.width, relative.height]) * size
        eyes = np.array([[point.x, point.y] for point in item.location_data.relative_keypoints[:2]]) * size
        detections.append(Detection(np.concatenate([corner, corner + extent]), float(item.score[0]), eyes))
    return detections


def face_landmarks(image: np.ndarray) -> np.ndarray | None:
    """The face mesh of the clearest face in `image` ([H, W, 3] uint8 sRGB), or None.

    Returns:
        [478, 3] float64 pixels; z towards the viewer is negative.
    """
    height, width = image.shape[:2]
    mesh = _mesh()
    with _quiet():  # the mesh's second model speaks up at the first face, not at the first picture
        found = mesh.process(np.ascontiguousarray(image)).multi_face_landmarks
    if not found:
        return None
    points = np.array([[point.x, point.y, point.z] for point in found[0].landmark])
    return points * np.array([width, height, width])


def segment_person(image: np.ndarray) -> np.ndarray:
    """How surely each pixel of `image` ([H, W, 3] uint8 sRGB) is a person: [H, W] float32, 0 to 1."""
    return np.asarray(_segmenter().process(np.ascontiguousarray(image)).segmentation_mask, dtype=np.float32)


def hand_landmarks(image: np.ndarray) -> list[np.ndarray]:
    """The joints of up to two hands in `image` ([H, W, 3] uint8 sRGB): [21, 2] float64 pixels each."""
    size = np.array([image.shape[1], image.shape[0]], dtype=np.float64)
    hands = _hands()
    with _quiet():  # as with the mesh, the second model speaks up at the first hand
        found = hands.process(np.ascontiguousarray(image)).multi_hand_landmarks or []
    return [np.array([[point.x, point.y] for point in hand.landmark]) * size for hand in found]


@functools.cache
def _solutions() -> Any:
    # MediaPipe's C++ log is of no use to a user and would fill the worker's log.
    os.environ.setdefault("GLOG_minloglevel", "3")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _quiet():
            import mediapipe
    except ImportError as error:
        raise system_libraries.explain(error) or PortraitHeadError(
            "missing_mediapipe",
            f"MediaPipe cannot be loaded: {error}.",
            'Install it with: pip install "mediapipe==0.10.21".',
        ) from error
    return mediapipe.solutions


@functools.cache
def _detector() -> Any:
    return _started(lambda: _solutions().face_detection.FaceDetection(min_detection_confidence=0.3, model_selection=1))


@functools.cache
def _mesh() -> Any:
    return _started(
        lambda: _solutions().face_mesh.FaceMesh(
            static_image_mode=True, max_num_faces=1, refine_landmarks=True, min_detection_confidence=0.2
        )
    )


@functools.cache
def _hands() -> Any:
    return _started(
        lambda: _solutions().hands.Hands(static_image_mode=True, max_num_hands=2, min_detection_confidence=0.5)
    )


@functools.cache
def _segmenter() -> Any:
    return _started(lambda: _solutions().selfie_segmentation.SelfieSegmentation(model_selection=0))


def _started(make: Callable[[], Any]) -> Any:
    """The solution after its first picture: its models are loaded then."""
    with _quiet():
        solution = make()
        solution.process(np.zeros((64, 64, 3), np.uint8))
    return solution


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Send the C++ libraries' notices nowhere for a moment.

    Only standard error, where they write: standard output belongs to the worker's protocol and to other threads.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)
