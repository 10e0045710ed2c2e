"""The asset folder: what goes in comes out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from portrait_head.asset import (
    AssetMesh,
    Displacement,
    HeadAsset,
    Material,
    PhotoPose,
    RigBone,
    read_asset,
    write_asset,
)
from portrait_head.head_model.model import Part
from portrait_head.rendering.camera import PinholeCamera


def asset(displacement: Displacement | None) -> HeadAsset:
    """One triangle with one material."""
    mesh = AssetMesh(
        name="head",
        vertices=np.eye(3, dtype=np.float32),
        faces=np.array([[0, 1, 2, -1]], np.int32),
        uvs=np.zeros((1, 4, 2), np.float32),
        material=np.zeros(1, np.int32),
        joints=np.zeros((3, 4), np.int32),
        weights=np.full((3, 4), 0.25, np.float32),
        shape_keys=np.zeros((52, 3, 3), np.float32),
        parts=(Part("skin", "skin", (0, 3), (0, 1)),),
    )
    camera = PinholeCamera(np.eye(3), np.array([0.0, 0.0, -1.0]), 100.0, np.array([4.0, 4.0]), 8, 8)
    picture = np.full((8, 8, 3), 7, np.uint8)
    return HeadAsset(
        name="one",
        meshes=(mesh,),
        materials=(Material("skin", picture, "opaque", 0.5, 0.5, 0.0),),
        bones=(RigBone("root", None, (0.0, 0.0, 0.0), (0.0, 1.0, 0.0)),),
        photo_pose=PhotoPose(picture, {"jawOpen": 0.5}, 1.0, 2.0, 3.0, camera),
        generator="test",
        photo="one.jpg",
        licences=("none",),
        displacement=displacement,
    )


def test_a_displacement_keeps_its_sixteen_bits_and_says_what_they_mean(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 65536, (16, 16)).astype(np.uint16)
    write_asset(tmp_path, asset(Displacement("skin", image, 0.016, 0.5)))
    found = read_asset(tmp_path).displacement
    assert found is not None
    np.testing.assert_array_equal(found.image, image)
    assert (found.material, found.scale, found.midlevel) == ("skin", 0.016, 0.5)
    described = json.loads((tmp_path / "asset.json").read_text())["displacement"]
    with Image.open(tmp_path / described["file"]) as picture:
        assert picture.mode == "I;16"  # what Blender reads as 16 bits


def test_an_asset_without_displacement_has_no_file_of_it(tmp_path: Path) -> None:
    write_asset(tmp_path, asset(None))
    assert read_asset(tmp_path).displacement is None
    assert not list(tmp_path.glob("*displacement*"))
