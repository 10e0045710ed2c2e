"""The landmarks as the current camera sees them."""

import numpy as np
import pytest
import torch
from portrait_head.diffusion.face_lines import FACE_OVAL, FEATURES, LANDMARKS, PUPILS
from portrait_head.diffusion.landmark_image import landmark_image, visible_landmarks
from portrait_head.rendering.camera import PinholeCamera
from portrait_head.rendering.orbit import orbit_view

SIDE = 128
COLOURS = {line.name: line.colour for line in (FACE_OVAL, *FEATURES)}


def camera(azimuth: float, elevation: float = 0.0, side: int = SIDE) -> PinholeCamera:
    return orbit_view(elevation, azimuth, 0.6, 30.0, torch.zeros(3), side, side).camera.to_pinhole()


def mask_like_face() -> np.ndarray:
    """[478, 3]: the oval as a ring, each feature as a small ring where faces have it, the rest on the chin."""
    points = np.tile([0.0, -0.06, 0.07], (LANDMARKS, 1))
    places = {"left eye": (0.03, 0.02), "right eye": (-0.03, 0.02), "lips": (0.0, -0.04)}
    for line in FEATURES:
        name = line.name.split(",")[0]
        x, y = places.get(name, (0.03 if "left" in name else -0.03, 0.04))
        ring(points, line.path, (x, y, 0.09), 0.012)
    ring(points, FACE_OVAL.path, (0.0, 0.0, 0.05), 0.08)
    for index, _ in PUPILS:
        points[index] = (0.03 if index == 473 else -0.03, 0.02, 0.095)
    return points


def ring(points: np.ndarray, path: tuple[int, ...], centre: tuple[float, float, float], radius: float) -> None:
    angles = np.linspace(0, 2 * np.pi, len(path))
    for index, angle in zip(path, angles, strict=True):
        points[index] = np.add(centre, (radius * np.cos(angle), radius * np.sin(angle), 0.0))


def where(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Pixels (x, y) [N, 2] of a colour."""
    return np.argwhere((picture == colour).all(axis=-1))[:, ::-1]


def test_every_feature_is_drawn_in_its_colour_where_the_camera_sees_it():
    picture = landmark_image(mask_like_face(), camera(0), SIDE)
    assert picture.shape == (SIDE, SIDE, 3)
    assert picture.dtype == np.uint8
    assert set(map(tuple, picture.reshape(-1, 3))) == {(0, 0, 0), *COLOURS.values(), *(c for _, c in PUPILS)}
    # From the front the subject's left is on the right of the picture, and up is a smaller row.
    assert where(picture, COLOURS["left eye"])[:, 0].min() > SIDE / 2 > where(picture, COLOURS["right eye"])[:, 0].max()
    assert where(picture, COLOURS["left eye"])[:, 1].max() < where(picture, COLOURS["lips, outside"])[:, 1].min()


def test_lines_run_through_the_projected_landmarks():
    landmarks, view = mask_like_face(), camera(25, 10)
    picture = landmark_image(landmarks, view, SIDE)
    projected = view.project(landmarks[list(FACE_OVAL.path)])
    drawn = where(picture, FACE_OVAL.colour) + 0.5
    nearest = np.linalg.norm(projected[:, None] - drawn[None], axis=-1).min(axis=1)
    assert nearest.max() < 1.0  # pixels: a line one wide, rounded to whole pixels


def test_picture_changes_with_the_camera_and_scales_with_the_side():
    landmarks = mask_like_face()
    front = landmark_image(landmarks, camera(0), SIDE)
    assert (front != landmark_image(landmarks, camera(20), SIDE)).any()
    assert (front != landmark_image(landmarks, camera(0, 15), SIDE)).any()
    # A camera of another size gives the same picture at the same side.
    assert (front == landmark_image(landmarks, camera(0, side=2 * SIDE), SIDE)).all()


@pytest.mark.parametrize("azimuth", [100, 180, -135])
def test_from_behind_only_the_oval_is_drawn(azimuth):
    picture = landmark_image(mask_like_face(), camera(azimuth), SIDE)
    assert set(map(tuple, picture.reshape(-1, 3))) == {(0, 0, 0), FACE_OVAL.colour}


def test_what_the_head_hides_is_left_out():
    """A wall through the nose, all of it nearer than the right eye, hides that eye and leaves the left one."""
    landmarks, view = mask_like_face(), camera(60)
    distance = -view.to_camera(np.array([0.0, 0.0, 0.11]))[2]  # of the nose's tip: the left eye is nearer
    wall = np.full((SIDE, SIDE), distance)
    hidden = landmark_image(landmarks, view, SIDE, wall)
    free = landmark_image(landmarks, view, SIDE)
    for picture, right_eye in ((free, True), (hidden, False)):
        assert (len(where(picture, COLOURS["right eye"])) > 0) == right_eye
        assert (len(where(picture, PUPILS[0][1])) > 0) == right_eye
        assert len(where(picture, FACE_OVAL.colour)) > 50


def test_a_landmark_on_the_surface_is_seen_and_one_well_behind_it_is_not():
    view = camera(0)
    points = np.array([[0.0, 0.0, 0.1], [0.0, 0.0, 0.095], [0.0, 0.0, 0.05], [9.0, 0.0, 0.0]])
    surface = np.full((SIDE, SIDE), -view.to_camera(points[0])[2])
    assert visible_landmarks(points, view, surface, 0.015).tolist() == [True, True, False, True]
    assert visible_landmarks(points, view, np.zeros((SIDE, SIDE)), 0.015).all()


def test_a_camera_inside_the_head_draws_nothing_that_lies_behind_it():
    landmarks = np.tile([0.0, 0.0, 1.0], (LANDMARKS, 1))
    assert landmark_image(landmarks, camera(0), SIDE).max() == 0


def test_other_numbers_of_landmarks_are_refused():
    with pytest.raises(ValueError, match="468"):
        landmark_image(np.zeros((468, 3)), camera(0), SIDE)


def test_paths_are_mediapipes_connections():
    connections = pytest.importorskip("mediapipe.python.solutions.face_mesh_connections")
    paths = {}
    for line in (FACE_OVAL, *FEATURES):
        edges = {frozenset(edge) for edge in zip(line.path[:-1], line.path[1:], strict=True)}
        paths[line.name.split(",")[0]] = paths.get(line.name.split(",")[0], set()) | edges
    theirs = {
        "face oval": connections.FACEMESH_FACE_OVAL,
        "left eye": connections.FACEMESH_LEFT_EYE,
        "right eye": connections.FACEMESH_RIGHT_EYE,
        "left eyebrow": connections.FACEMESH_LEFT_EYEBROW,
        "right eyebrow": connections.FACEMESH_RIGHT_EYEBROW,
        "lips": connections.FACEMESH_LIPS,
    }
    assert paths == {name: {frozenset(edge) for edge in edges} for name, edges in theirs.items()}
