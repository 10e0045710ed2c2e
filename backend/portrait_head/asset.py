"""The head asset: the folder that leaves the pipeline and that Blender builds the head from.

`asset.json` says what there is, `arrays.npz` holds the geometry, PNG files beside them the textures. Units are metres,
+Y is up, +Z is the front, the origin is the head joint. Triangles have -1 as their fourth corner.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from portrait_head.head_model.arkit import ARKIT_NAMES
from portrait_head.head_model.model import Part
from portrait_head.rendering.camera import PinholeCamera
from portrait_head.storage import write_arrays

FORMAT = 2
PNG_COMPRESSION = 3  # of 9: a 2048 texture in a third of a second, 10 % larger than at 9


@dataclass(frozen=True)
class AssetMesh:
    """One mesh of the head.

    Attributes:
        name: "head" or "hair", or, of the free-topology head, "sculpt" or "sculpt_hair".
        vertices: [V, 3] float32 metres.
        faces: [F, 4] int32, counter-clockwise from outside; -1 fills a triangle's row.
        uvs: [F, 4, 2] float32 for each corner, origin bottom left.
        material: [F] int32 into the asset's materials.
        joints: [V, 4] int32 into the rig's bones.
        weights: [V, 4] float32, summing to 1.
        shape_keys: [52 or 0, V, 3] float32 metres.
        parts: its parts, in order.
    """

    name: str
    vertices: np.ndarray
    faces: np.ndarray
    uvs: np.ndarray
    material: np.ndarray
    joints: np.ndarray
    weights: np.ndarray
    shape_keys: np.ndarray
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Material:
    """How a surface looks. Images have row 0 on top and sizes of their own; numbers are 0 to 1.

    Attributes:
        name: skin, eyes, mouth, lashes or hair.
        base_color: [H, W, 3 or 4] uint8, sRGB.
        alpha: "opaque", "mask" or "blend".
        roughness: where there is no `orm`.
        specular: 0.5 is a reflection of 4 % (index of refraction 1.5).
        subsurface: weight of the light that scatters below the surface.
        normal: [H, W, 3] uint8, tangent space (MikkTSpace), green along growing v; None for a smooth surface.
        orm: [H, W, 3] uint8: ambient occlusion, roughness, metalness; None where `roughness` is enough.
    """

    name: str
    base_color: np.ndarray
    alpha: str
    roughness: float
    specular: float
    subsurface: float
    normal: np.ndarray | None = None
    orm: np.ndarray | None = None


@dataclass(frozen=True)
class Displacement:
    """How far a material's surface departs from the mesh along its normals; for who subdivides it.

    Attributes:
        material: whose UVs it lies in.
        image: [H, W] uint16, row 0 on top: metres = (image / 65535 - midlevel) * scale.
        scale: metres.
        midlevel: 0 to 1.
    """

    material: str
    image: np.ndarray
    scale: float
    midlevel: float


MAPS = {"base_color": ("", "sRGB"), "normal": ("_normal", "Non-Color"), "orm": ("_orm", "Non-Color")}
"""The images of a material: how their files' names end, and the colour space, as Blender calls it."""


@dataclass(frozen=True)
class RigBone:
    """A bone from `head` to `tail`, [3] metres."""

    name: str
    parent: str | None
    head: tuple[float, ...]
    tail: tuple[float, ...]


@dataclass(frozen=True)
class PhotoPose:
    """How the person looked in the photo: the picture, ARKit weights by name, the head's turn in degrees, the camera.

    Positive yaw turns the face to the subject's left, positive pitch looks up, positive roll tilts to the subject's
    left shoulder.
    """

    picture: np.ndarray
    expression: dict[str, float]
    yaw: float
    pitch: float
    roll: float
    camera: PinholeCamera


@dataclass(frozen=True)
class HeadAsset:
    """Everything that a scene needs of one head."""

    name: str
    meshes: tuple[AssetMesh, ...]
    materials: tuple[Material, ...]
    bones: tuple[RigBone, ...]
    photo_pose: PhotoPose
    generator: str
    photo: str
    licences: tuple[str, ...]
    displacement: Displacement | None = None


def write_asset(folder: Path, asset: HeadAsset) -> None:
    """Write `asset` into the existing `folder`."""
    arrays = {}
    for mesh in asset.meshes:
        for array in ("vertices", "faces", "uvs", "material", "joints", "weights", "shape_keys"):
            if array != "shape_keys" or len(mesh.shape_keys):
                arrays[f"{mesh.name}/{array}"] = getattr(mesh, array)
    write_arrays(folder / "arrays.npz", arrays)
    for material in asset.materials:
        for field, (ending, _) in MAPS.items():
            image = getattr(material, field)
            if image is not None:
                _write_png(folder / f"{material.name}{ending}.png", image)
    displacement = asset.displacement
    if displacement is not None:
        _write_png(folder / _displacement_file(displacement.material), displacement.image)
    _write_png(folder / "photo.png", asset.photo_pose.picture)
    pose = asset.photo_pose
    description = {
        "format": FORMAT,
        "name": asset.name,
        "generator": asset.generator,
        "units": "metres",
        "up": "+Y",
        "front": "+Z",
        "shape_keys": ARKIT_NAMES,
        "materials": [
            {
                "name": material.name,
                "maps": {
                    field: {"file": f"{material.name}{ending}.png", "color_space": space}
                    for field, (ending, space) in MAPS.items()
                    if getattr(material, field) is not None
                },
                "alpha": material.alpha,
                "roughness": material.roughness,
                "specular": material.specular,
                "subsurface": material.subsurface,
            }
            for material in asset.materials
        ],
        "meshes": [{"name": mesh.name, "parts": [asdict(part) for part in mesh.parts]} for mesh in asset.meshes],
        "rig": {"bones": [asdict(bone) for bone in asset.bones]},
        "photo_pose": {
            "picture": "photo.png",
            "expression": pose.expression,
            "yaw": pose.yaw,
            "pitch": pose.pitch,
            "roll": pose.roll,
            "camera": {
                "rotation": pose.camera.rotation.tolist(),
                "translation": pose.camera.translation.tolist(),
                "focal": pose.camera.focal,
                "centre": pose.camera.centre.tolist(),
                "width": pose.camera.width,
                "height": pose.camera.height,
            },
        },
        "displacement": displacement
        and {
            "file": _displacement_file(displacement.material),
            "material": displacement.material,
            "scale": displacement.scale,
            "midlevel": displacement.midlevel,
        },
        "provenance": {"photo": asset.photo, "licences": asset.licences},
        "lods": [],
    }
    (folder / "asset.json").write_text(json.dumps(description, indent=1), encoding="utf-8")


def read_asset(folder: Path, kind: type[HeadAsset] = HeadAsset) -> HeadAsset:
    """Read what `write_asset` wrote."""
    description: dict[str, Any] = json.loads((folder / "asset.json").read_text(encoding="utf-8"))
    with np.load(folder / "arrays.npz", allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    meshes = []
    for mesh in description["meshes"]:
        own = {name.split("/")[1]: array for name, array in arrays.items() if name.split("/")[0] == mesh["name"]}
        own.setdefault("shape_keys", np.zeros((0, len(own["vertices"]), 3), np.float32))
        parts = tuple(Part(p["name"], p["material"], tuple(p["vertices"]), tuple(p["faces"])) for p in mesh["parts"])
        meshes.append(AssetMesh(name=mesh["name"], parts=parts, **own))
    materials = tuple(_read_material(folder, material) for material in description["materials"])
    bones = tuple(
        RigBone(b["name"], b["parent"], tuple(b["head"]), tuple(b["tail"])) for b in description["rig"]["bones"]
    )
    camera: dict[str, Any] = {
        name: np.array(value) if isinstance(value, list) else value
        for name, value in description["photo_pose"]["camera"].items()
    }
    pose = PhotoPose(
        **{
            **description["photo_pose"],
            "picture": _read_png(folder / "photo.png"),
            "camera": PinholeCamera(**camera),
        }
    )
    displacement = description["displacement"]
    if displacement is not None:
        image = _read_png(folder / displacement.pop("file")).astype(np.uint16)
        displacement = Displacement(image=image, **displacement)
    return kind(
        name=description["name"],
        meshes=tuple(meshes),
        materials=materials,
        bones=bones,
        photo_pose=pose,
        generator=description["generator"],
        photo=description["provenance"]["photo"],
        licences=tuple(description["provenance"]["licences"]),
        displacement=displacement,
    )


def _displacement_file(material: str) -> str:
    return f"{material}_displacement.png"


def _read_material(folder: Path, described: dict[str, Any]) -> Material:
    images: dict[str, Any] = {field: _read_png(folder / one["file"]) for field, one in described["maps"].items()}
    return Material(**{name: value for name, value in described.items() if name != "maps"}, **images)


def _write_png(path: Path, image: np.ndarray) -> None:
    Image.fromarray(image).save(path, compress_level=PNG_COMPRESSION)


def _read_png(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)
