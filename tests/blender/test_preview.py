# SPDX-License-Identifier: GPL-3.0-or-later
"""The contact sheet shows what it says, and leaves the scene as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from addon.scene.asset import PhotoCamera, read_asset

pytest.importorskip("bpy", reason="needs the bpy wheel")

import bpy

from addon.scene import preview, sheet
from addon.scene.importer import import_head
from addon.scene.studio import BACKDROP

SIZE = 96
ORDER = ("photo", "pose", "front", "shape", "-90", "-30", "+30", "+90", "180", "jaw", "smile", "pucker")


@pytest.fixture(scope="module")
def tiles(asset_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """The twelve tiles [SIZE, SIZE, 3] of the synthetic head's sheet, labels cut off."""
    from scene_state import describe, make_busy_scene

    bpy.ops.wm.read_factory_settings(use_empty=True)
    make_busy_scene()
    head = import_head(asset_folder)
    pose = read_asset(asset_folder).photo_pose
    before = describe()
    folder = tmp_path_factory.mktemp("sheet")
    path = preview.contact_sheet(head, pose.crop, pose, folder / "preview.png", SIZE)
    assert describe() == before
    assert [each.name for each in folder.iterdir()] == ["preview.png"]
    picture = preview._read(path)[..., :3]
    assert picture.shape == (3 * SIZE, 4 * SIZE, 3)
    cut = SIZE - int(SIZE * 0.12)
    return {
        name: picture[row * SIZE : row * SIZE + cut, column * SIZE : (column + 1) * SIZE]
        for name, (row, column) in zip(ORDER, np.ndindex(3, 4), strict=True)
    }


def difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first - second).mean())


def test_the_photo_is_there_in_its_own_colours(tiles: dict[str, np.ndarray], asset_folder: Path) -> None:
    photo = sheet.fit(preview._read(asset_folder / "photo.png")[..., :3], SIZE, 0.5)
    assert difference(tiles["photo"], photo[: len(tiles["photo"])]) < 0.01


def test_the_backdrop_is_neutral_grey(tiles: dict[str, np.ndarray]) -> None:
    corner = tiles["front"][:8, :8]
    np.testing.assert_allclose(corner, preview._srgb(BACKDROP), atol=0.04)


def test_skin_keeps_the_hue_of_its_texture(tiles: dict[str, np.ndarray]) -> None:
    middle = SIZE // 2
    found = tiles["front"][middle : middle + 15, middle - 8 : middle + 8].reshape(-1, 3).mean(axis=0)
    texture = np.array([211, 156, 126]) / 255
    np.testing.assert_allclose(found / found.sum(), texture / texture.sum(), atol=0.04)
    assert 0.7 < found.mean() / texture.mean() < 1.2


def test_positive_yaw_turns_to_the_subject_s_left(tiles: dict[str, np.ndarray]) -> None:
    # The eyes are the only blue: turned to the subject's left they move to the viewer's right.
    def eyes(tile: np.ndarray) -> float:
        blue = np.maximum(tile[..., 2] - tile[..., 0], 0.02) - 0.02
        return float((blue * np.arange(SIZE)).sum() / blue.sum())

    assert eyes(tiles["-30"]) < SIZE / 2 - 4 < SIZE / 2 + 4 < eyes(tiles["+30"])


def test_every_expression_changes_the_face(tiles: dict[str, np.ndarray]) -> None:
    for first, second in (("jaw", "smile"), ("jaw", "pucker"), ("smile", "pucker"), ("front", "+30"), ("+90", "-90")):
        assert np.abs(tiles[first] - tiles[second]).max() > 0.04, (first, second)


def test_the_shape_has_no_colour(tiles: dict[str, np.ndarray]) -> None:
    assert np.ptp(tiles["shape"], axis=-1).max() < 0.05


@pytest.mark.parametrize(("width", "height"), [(200, 200), (300, 200), (180, 260)])
def test_the_photo_s_camera_sees_what_the_pinhole_saw(blender: ModuleType, width: int, height: int) -> None:
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Matrix, Vector

    angle = np.radians(20)
    rotation = np.array(Matrix.Rotation(0.1, 3, "Z") @ Matrix.Rotation(-0.2, 3, "X") @ Matrix.Rotation(angle, 3, "Y"))
    translation = np.array([0.03, -0.02, -0.9])
    focal, centre = 431.0, np.array([width * 0.47, height * 0.55])
    pinhole = PhotoCamera(rotation, translation, focal, centre, width, height)
    scene = blender.context.scene
    scene.render.resolution_x, scene.render.resolution_y = width, height
    camera = preview._photo_camera(pinhole, scene)
    blender.context.view_layer.update()
    for point in np.array([[0, 0, 0], [0.05, 0.1, 0.08], [-0.07, -0.1, 0.02]]):
        x, y, z = rotation @ point + translation
        pixel = centre + focal / -z * np.array([x, -y])
        seen = world_to_camera_view(scene, camera, Vector((point[0], -point[2], point[1])))
        assert (seen.x * width, (1 - seen.y) * height) == pytest.approx(tuple(pixel), abs=0.02)


def test_photo_and_head_are_cut_out_alike(asset_folder: Path) -> None:
    pinhole = PhotoCamera(np.eye(3), np.array([0.0, 0.05, -1.0]), 500.0, np.array([150.0, 100.0]), 300, 200)
    photo = np.random.default_rng(3).random((200, 300, 3)).astype(np.float32)
    pose = replace(read_asset(asset_folder).photo_pose, camera=pinhole)
    bounds = np.array([-0.08, -0.1, -0.12]), np.array([0.08, 0.1, 0.12])
    square, framed = preview._around_head(photo, pose, bounds, 0.25)
    assert framed.camera is not None
    side = framed.camera.width
    assert square.shape == (side, side, 3)
    left, top = pinhole.centre - framed.camera.centre
    assert top < 0 < left  # the head sticks out of this photo at the top
    for row, column in ((0, 100), (50, 150), (120, 200)):
        np.testing.assert_array_equal(square[int(row - top), int(column - left)], photo[row, column])
    np.testing.assert_array_equal(square[0], 0.25)
    # All of the head is inside, and fills most of it.
    chin = (np.array([0.0, -0.12, 0.0]) + pinhole.translation)[1]
    assert 0.9 * side < framed.camera.centre[1] - 500.0 * chin / 0.9 < side


def test_angles_alone_turn_the_head_as_said(asset_folder: Path) -> None:
    pose = replace(read_asset(asset_folder).photo_pose, camera=None, yaw=0.0, pitch=0.0, roll=0.0)
    front, up = np.array([0, 0, 1]), np.array([0, 1, 0])
    assert (np.array(preview._rotation(replace(pose, yaw=20.0))) @ front)[0] > 0.3  # to the viewer's right
    assert (np.array(preview._rotation(replace(pose, pitch=20.0))) @ front)[1] > 0.3  # up
    assert (np.array(preview._rotation(replace(pose, roll=20.0))) @ up)[0] > 0.3  # towards the left shoulder


def test_a_sheet_that_cannot_be_made_leaves_nothing(blender: ModuleType, asset_folder: Path, tmp_path: Path) -> None:
    from scene_state import describe

    head = import_head(asset_folder)
    pose = read_asset(asset_folder).photo_pose
    before = describe()
    with pytest.raises(preview.PreviewError, match=r"preview\.png could not be made"):
        preview.contact_sheet(head, tmp_path / "missing.png", pose, tmp_path / "preview.png", 16)
    assert describe() == before
    assert not list(tmp_path.iterdir())


def test_pictures_are_fitted_without_aliasing() -> None:
    stripes = np.tile(np.array([0.0, 1.0], dtype=np.float32)[None, :, None], (64, 100, 3))
    tile = sheet.fit(stripes, 32, 0.25)
    assert tile.shape == (32, 32, 3)
    np.testing.assert_allclose(tile[16, 2:-2], 0.5, atol=0.05)
    np.testing.assert_allclose(tile[0], 0.25)
