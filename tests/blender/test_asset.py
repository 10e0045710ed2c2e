# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a head asset: what is whole is read, what is not is refused in a sentence. Needs no Blender."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from addon.scene.arkit import ARKIT_NAMES
from addon.scene.asset import AssetError, read_asset


def test_a_whole_asset_is_read(asset_folder: Path) -> None:
    asset = read_asset(asset_folder)
    assert asset.name == "Sample"
    assert [material.name for material in asset.materials] == ["skin", "eyes", "lashes", "hair"]
    assert [set(material.maps) for material in asset.materials] == [
        {"base_color", "normal", "orm"},
        {"base_color", "normal", "orm"},
        {"base_color"},
        {"base_color"},
    ]
    assert asset.head.shape_keys is not None
    assert asset.head.shape_keys.shape == (52, len(asset.head.vertices), 3)
    assert asset.hair is not None
    assert asset.hair.shape_keys is None
    assert [bone.parent for bone in asset.bones] == [None, "root", "neck", "head", "head", "head"]
    assert asset.photo_pose.crop == asset_folder / "photo.png"


def test_the_names_are_those_of_the_backend() -> None:
    arkit = pytest.importorskip("portrait_head.head_model.arkit", reason="needs the backend's packages")
    assert arkit.ARKIT_NAMES == ARKIT_NAMES


def described(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        description = json.loads((folder / "asset.json").read_text())
        change(description)
        (folder / "asset.json").write_text(json.dumps(description))

    return apply


def array(name: str, change: Callable[[np.ndarray], np.ndarray | None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        with np.load(folder / "arrays.npz") as archive:
            arrays = {key: archive[key].copy() for key in archive.files}
        changed = change(arrays.pop(name))
        if changed is not None:
            arrays[name] = changed
        np.savez(folder / "arrays.npz", **arrays)

    return apply


def with_value(index: Any, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        values[index] = value
        return values

    return change


def truncate(name: str, keep: float) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * keep)])

    return apply


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "no asset.json": (lambda folder: (folder / "asset.json").unlink(), "asset.json cannot be read"),
    "no folder": (shutil.rmtree, "asset.json cannot be read"),
    "json cut": (truncate("asset.json", 0.5), "is damaged"),
    "json is a list": (lambda folder: (folder / "asset.json").write_text("[]"), "does not describe"),
    "json is bytes": (lambda folder: (folder / "asset.json").write_bytes(b"\xff\xfe\x00"), "is damaged"),
    "format": (described(lambda d: d.update(format=1)), "format 1"),
    "no format": (described(lambda d: d.pop("format")), "format None"),
    "no rig": (described(lambda d: d.pop("rig")), "incomplete"),
    "no pose": (described(lambda d: d.pop("photo_pose")), "incomplete"),
    "pose is text": (described(lambda d: d["photo_pose"].update(yaw="left")), "incomplete"),
    "no camera": (
        described(
            lambda d: d["photo_pose"].update(
                camera={
                    "rotation": [[1, 0, 0]] * 3,
                    "translation": [0, 0, -1],
                    "centre": [1, 1],
                    "focal": 9,
                    "width": 2,
                    "height": 2,
                }
            )
        ),
        "is no camera",
    ),
    "half a camera": (described(lambda d: d["photo_pose"].update(camera={"focal": 9})), "incomplete"),
    "unknown key in pose": (described(lambda d: d["photo_pose"]["expression"].update(grin=1)), "grin"),
    "centimetres": (described(lambda d: d.update(units="cm")), "'cm'"),
    "key order": (described(lambda d: d["shape_keys"].reverse()), "52 ARKit names"),
    "no keys": (described(lambda d: d["shape_keys"].clear()), "52 ARKit names"),
    "two heads": (described(lambda d: d["meshes"].append({"name": "body", "parts": []})), "lacks body/vertices"),
    "no meshes": (described(lambda d: d["meshes"].clear()), "not head and hair"),
    "part outside": (described(lambda d: d["meshes"][0]["parts"][0].update(faces=[0, 10**6])), "outside mesh head"),
    "alpha": (described(lambda d: d["materials"][0].update(alpha="maybe")), "'maybe'"),
    "roughness": (described(lambda d: d["materials"][0].update(roughness=2)), "roughness of skin"),
    "roughness text": (described(lambda d: d["materials"][0].update(roughness="0.5")), "roughness of skin"),
    "texture elsewhere": (
        described(lambda d: d["materials"][0]["maps"]["base_color"].update(file="../skin.png")),
        "does not lie in",
    ),
    "no base colour": (described(lambda d: d["materials"][0]["maps"].pop("base_color")), "maps of skin"),
    "a map of another kind": (described(lambda d: d["materials"][1]["maps"].update(gloss={})), "maps of eyes"),
    "a normal map in sRGB": (
        described(lambda d: d["materials"][0]["maps"]["normal"].update(color_space="sRGB")),
        "not 'Non-Color'",
    ),
    "no normal map": (lambda folder: (folder / "eyes_normal.png").unlink(), "eyes_normal.png cannot be read"),
    "bone order": (described(lambda d: d["rig"]["bones"].reverse()), "comes before"),
    "bone twice": (described(lambda d: d["rig"]["bones"].append(d["rig"]["bones"][0])), "two of one name"),
    "bone without length": (
        described(lambda d: d["rig"]["bones"][0].update(tail=d["rig"]["bones"][0]["head"])),
        "has no length",
    ),
    "no arrays": (lambda folder: (folder / "arrays.npz").unlink(), "cannot be read"),
    "arrays cut": (truncate("arrays.npz", 0.6), "is damaged"),
    "arrays empty": (truncate("arrays.npz", 0.0), "is damaged"),
    "no vertices": (array("head/vertices", lambda a: None), "lacks head/vertices"),
    "short weights": (array("head/weights", lambda a: a[:-1]), "head/weights"),
    "three weights": (array("head/weights", lambda a: a[:, :3]), "head/weights"),
    "fifty-one keys": (array("head/shape_keys", lambda a: a[:-1]), "head/shape_keys"),
    "faces are floats": (array("head/faces", lambda a: a.astype(np.float32)), "head/faces"),
    "no faces": (array("hair/faces", lambda a: a[:0]), "has no faces"),
    "nan": (array("head/vertices", with_value((5, 1), np.nan)), "not finite"),
    "infinite key": (array("head/shape_keys", with_value((3, 5, 1), np.inf)), "not finite"),
    "nan uv": (array("head/uvs", with_value((0, 0, 0), np.nan)), "not finite"),
    "vertex out of range": (array("head/faces", with_value((7, 0), 10**6)), "1000000"),
    "triangle in the wrong column": (array("head/faces", with_value((60, 0), -1)), "head/faces"),
    "one vertex twice": (array("head/faces", lambda a: np.where(np.arange(4) == 1, a[:, :1], a)), "one vertex twice"),
    "bone out of range": (array("head/joints", with_value((0, 0), 6)), "head/joints"),
    "material out of range": (array("head/material", with_value(0, 4)), "head/material"),
    "weights sum": (array("head/weights", lambda a: a * 0.9), "do not sum to 1"),
    "negative weight": (array("head/weights", with_value(0, (1.5, -0.5, 0, 0))), "do not sum to 1"),  # type: ignore[arg-type]
    "inches": (array("head/vertices", lambda a: a * 39.37), "not in metres"),
    "no texture": (lambda folder: (folder / "skin.png").unlink(), "skin.png cannot be read"),
    "texture cut": (truncate("skin.png", 0.7), "not a whole PNG"),
    "texture empty": (truncate("eyes.png", 0.0), "not a whole PNG"),
    "photo is a text": (lambda folder: (folder / "photo.png").write_text("no picture at all"), "not a whole PNG"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_asset_is_refused_in_a_sentence(asset_folder: Path, tmp_path: Path, fault: str) -> None:
    folder = tmp_path / "asset"
    shutil.copytree(asset_folder, folder)
    damage, expected = BROKEN[fault]
    damage(folder)
    with pytest.raises(AssetError) as refused:
        read_asset(folder)
    sentence = str(refused.value)
    assert expected in sentence
    assert any(advice in sentence for advice in ("Generate the head", "generate the head", "Install the add-on"))


def test_pickled_arrays_are_never_loaded(asset_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "asset"
    shutil.copytree(asset_folder, folder)
    with np.load(folder / "arrays.npz") as archive:
        arrays = dict(archive)
    arrays["head/vertices"] = np.array([{"not": "numbers"}], dtype=object)
    np.savez(folder / "arrays.npz", **arrays)
    with pytest.raises(AssetError, match="damaged"):
        read_asset(folder)
