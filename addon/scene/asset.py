# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a head asset: the folder that the backend's last stage writes. Needs numpy only, never bpy.

Everything that is wrong with a folder is found here, so that the importer can trust what it is given and a bad asset
never leaves half a head in the artist's scene.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .arkit import ARKIT_NAMES
from .png import is_whole_png
from .steps import Steps, finish

FORMAT = 2
SCULPT = ("sculpt", "sculpt_hair")
"""The meshes of the free-topology head, which an asset may have beside the others."""
KEYED = ("head", "sculpt")
HEAD_HEIGHT = (0.15, 0.7)
"""Metres. From a head cut below the chin to a bust; outside it the asset was not written in metres."""
ALPHA_MODES = ("opaque", "mask", "blend")
COLOR_SPACES = {"base_color": "sRGB", "normal": "Non-Color", "orm": "Non-Color"}
"""The maps that a material can have, and how Blender has to read each."""
REGENERATE = "Generate the head again."


class AssetError(ValueError):
    """A folder that is no head asset: one sentence on what is wrong, one on what to do."""


@dataclass(frozen=True)
class Material:
    """A material as engines know it.

    Attributes:
        name: skin, eyes, mouth, lashes or hair.
        maps: its PNG files by what they show: base_color; normal (tangent space, OpenGL); orm (red ambient occlusion,
            green roughness, blue metalness). Only the first is always there.
        alpha: opaque; mask (each texel is there or not); blend (translucent).
        roughness: 0..1, where there is no orm.
        subsurface: 0..1, weight of light scattering below the surface.
        specular: 0..1, where 0.5 is 4 % reflection (index of refraction 1.5).
    """

    name: str
    maps: Mapping[str, Path]
    alpha: str
    roughness: float
    subsurface: float
    specular: float


@dataclass(frozen=True)
class Bone:
    """A bone of the rig; `head` and `tail` in metres, backend axes."""

    name: str
    parent: str | None
    head: tuple[float, float, float]
    tail: tuple[float, float, float]


@dataclass(frozen=True)
class MeshArrays:
    """One mesh in backend axes: metres, +Y up, +Z out of the face, +X to the subject's left.

    Attributes:
        name: head or hair; of the free-topology head sculpt or sculpt_hair.
        vertices: [V, 3] float32.
        faces: [F, 4] int32, counter-clockwise from outside; a triangle has -1 in its last column.
        uvs: [F, 4, 2] float32, one a corner, origin bottom left.
        material: [F] int32, index into the asset's materials.
        joints: [V, 4] int32, index into the asset's bones.
        weights: [V, 4] float32, each row sums to 1.
        shape_keys: [52, V, 3] float32 displacements at weight 1, or None for a mesh without.
    """

    name: str
    vertices: np.ndarray
    faces: np.ndarray
    uvs: np.ndarray
    material: np.ndarray
    joints: np.ndarray
    weights: np.ndarray
    shape_keys: np.ndarray | None


@dataclass(frozen=True)
class PhotoCamera:
    """The pinhole camera of a picture.

    Attributes:
        rotation: [3, 3] from head space to camera space (x right, y up, z to the viewer).
        translation: [3] metres, camera space.
        focal: focal length in pixels.
        centre: [2] principal point in pixels, from the top left corner.
        width: of the picture in pixels.
        height: of the picture in pixels.
    """

    rotation: np.ndarray
    translation: np.ndarray
    focal: float
    centre: np.ndarray
    width: int
    height: int

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels [..., 2] of points [..., 3] in backend axes."""
        local = points @ self.rotation.T + self.translation
        return self.centre + self.focal * local[..., :2] / -local[..., 2:] * [1.0, -1.0]


@dataclass(frozen=True)
class PhotoPose:
    """How the subject looked in the photo.

    Attributes:
        expression: weight 0..1 of every ARKit key that was not at rest.
        yaw: degrees, positive to the subject's left.
        pitch: degrees, positive up.
        roll: degrees, positive towards the subject's left shoulder.
        crop: the picture of the photo that the pose belongs to.
        camera: the camera of that picture where it is known.
    """

    expression: dict[str, float]
    yaw: float
    pitch: float
    roll: float
    crop: Path
    camera: PhotoCamera | None


@dataclass(frozen=True)
class HeadAsset:
    """A head asset that has passed every check."""

    folder: Path
    name: str
    generator: str
    materials: tuple[Material, ...]
    head: MeshArrays
    hair: MeshArrays | None
    sculpt: tuple[MeshArrays, ...]
    bones: tuple[Bone, ...]
    provenance: dict
    photo_pose: PhotoPose


def read_asset(folder: Path) -> HeadAsset:
    """Reads and checks the head asset in `folder`. Raises `AssetError`."""
    return finish(read_steps(folder))


def read_steps(folder: Path) -> Steps[HeadAsset]:
    """The same, a picture or a few arrays a step."""
    folder = Path(folder)
    description = _read_description(folder / "asset.json")
    if description.get("format") != FORMAT:
        raise AssetError(
            f"{folder} is a head asset of format {description.get('format')!r}, this add-on reads format {FORMAT}. "
            "Install the add-on and the backend of the same release."
        )
    try:
        return (yield from _asset(folder, description))
    except AssetError:
        raise
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise AssetError(
            f"asset.json in {folder} is incomplete ({type(error).__name__}: {error}). {REGENERATE}"
        ) from error


def _asset(folder: Path, description: dict) -> Steps[HeadAsset]:
    for key, wanted in (("units", "metres"), ("up", "+Y"), ("front", "+Z")):
        if description[key] != wanted:
            raise AssetError(f"The head asset in {folder} has {key} {description[key]!r}, not {wanted!r}. {REGENERATE}")
    if tuple(description["shape_keys"]) != ARKIT_NAMES:
        raise AssetError(f"The shape keys of {folder} are not the 52 ARKit names in their order. {REGENERATE}")
    materials = []
    for entry in description["materials"]:
        materials.append((yield from _material(folder, entry)))
    bones = _bones(folder, description["rig"]["bones"])
    arrays = yield from _read_arrays(folder / "arrays.npz")
    meshes = {}
    for entry in description["meshes"]:
        keys = len(ARKIT_NAMES) if entry["name"] in KEYED else 0
        meshes[entry["name"]] = _mesh(folder, arrays, entry, len(materials), len(bones), keys)
        yield
    if "head" not in meshes or set(meshes) - {"head", "hair", *SCULPT}:
        raise AssetError(f"The meshes of {folder} are {sorted(meshes)}, not head and hair. {REGENERATE}")
    height = float(np.ptp(meshes["head"].vertices[:, 1]))
    if not HEAD_HEIGHT[0] <= height <= HEAD_HEIGHT[1]:
        raise AssetError(f"The head in {folder} is {height:.3g} m tall, so it is not in metres. {REGENERATE}")
    return HeadAsset(
        folder=folder,
        name=str(description["name"]) or "Head",
        generator=str(description["generator"]),
        materials=tuple(materials),
        head=meshes["head"],
        hair=meshes.get("hair"),
        sculpt=tuple(meshes[name] for name in SCULPT if name in meshes),
        bones=bones,
        provenance=dict(description["provenance"]),
        photo_pose=_photo_pose(folder, description["photo_pose"]),
    )


def _read_description(path: Path) -> dict:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AssetError(
            f"{path} cannot be read ({error.strerror}). Choose the folder that has asset.json, or generate the head."
        ) from error
    except ValueError as error:
        raise AssetError(f"{path} is damaged ({error}). {REGENERATE}") from error
    if not isinstance(description, dict):
        raise AssetError(f"{path} does not describe a head asset. {REGENERATE}")
    return description


def _read_arrays(path: Path) -> Steps[dict[str, np.ndarray]]:
    arrays = {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            for name in archive.files:
                arrays[name] = archive[name]
                yield
    except OSError as error:
        raise AssetError(f"{path} cannot be read ({error}). {REGENERATE}") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise AssetError(f"{path} is damaged ({error}). {REGENERATE}") from error
    return arrays


def _texture(folder: Path, name: str) -> Path:
    path = folder / name
    if path.parent != folder or not name:
        raise AssetError(f"Texture {name!r} does not lie in {folder}. {REGENERATE}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AssetError(f"Texture {path} cannot be read ({error.strerror}). {REGENERATE}") from error
    # A damaged picture would load in Blender as a black one without any error.
    if not is_whole_png(data):
        raise AssetError(f"Texture {path} is not a whole PNG picture. {REGENERATE}")
    return path


def _unit(folder: Path, owner: str, key: str, value: float) -> float:
    if not (isinstance(value, int | float) and 0.0 <= value <= 1.0):
        raise AssetError(f"{key} of {owner} in {folder} is {value!r}, not a number from 0 to 1. {REGENERATE}")
    return float(value)


def _material(folder: Path, entry: dict) -> Steps[Material]:
    name = str(entry["name"])
    if entry["alpha"] not in ALPHA_MODES:
        raise AssetError(f"alpha of {name} in {folder} is {entry['alpha']!r}, not one of {ALPHA_MODES}. {REGENERATE}")
    return Material(
        name,
        (yield from _maps(folder, name, entry["maps"])),
        entry["alpha"],
        *(_unit(folder, name, key, entry[key]) for key in ("roughness", "subsurface", "specular")),
    )


def _maps(folder: Path, owner: str, entries: dict) -> Steps[dict[str, Path]]:
    if "base_color" not in entries or set(entries) - set(COLOR_SPACES):
        raise AssetError(
            f"The maps of {owner} in {folder} are {sorted(entries)}, not base_color and some of "
            f"{sorted(set(COLOR_SPACES) - {'base_color'})}. {REGENERATE}"
        )
    for kind, entry in entries.items():
        if entry["color_space"] != COLOR_SPACES[kind]:
            raise AssetError(
                f"The {kind} map of {owner} in {folder} is said to be {entry['color_space']!r}, "
                f"not {COLOR_SPACES[kind]!r}. {REGENERATE}"
            )
    paths = {}
    for kind, entry in entries.items():
        paths[kind] = _texture(folder, entry["file"])
        yield
    return paths


def _bones(folder: Path, entries: list[dict]) -> tuple[Bone, ...]:
    bones = []
    for entry in entries:
        ends = np.array([entry["head"], entry["tail"]], dtype=np.float64)
        known = {bone.name for bone in bones}
        if entry["parent"] is not None and entry["parent"] not in known:
            raise AssetError(f"Bone {entry['name']} in {folder} comes before {entry['parent']}. {REGENERATE}")
        if ends.shape != (2, 3) or not np.isfinite(ends).all() or np.ptp(ends, axis=0).max() < 1e-4:
            raise AssetError(f"Bone {entry['name']} in {folder} has no length. {REGENERATE}")
        bones.append(Bone(entry["name"], entry["parent"], tuple(ends[0].tolist()), tuple(ends[1].tolist())))
    if not bones or len({bone.name for bone in bones}) != len(bones):
        raise AssetError(f"The rig in {folder} has no bones, or two of one name. {REGENERATE}")
    return tuple(bones)


def _mesh(
    folder: Path, arrays: dict[str, np.ndarray], entry: dict, materials: int, bones: int, keys: int
) -> MeshArrays:
    name = entry["name"]

    def array(field: str, shape: tuple[int | None, ...], kind: str) -> np.ndarray:
        found = arrays.get(f"{name}/{field}")
        if found is None:
            raise AssetError(f"arrays.npz in {folder} lacks {name}/{field}. {REGENERATE}")
        same = len(found.shape) == len(shape)
        same = same and all(want is None or have == want for have, want in zip(found.shape, shape, strict=True))
        if not same or found.dtype.kind != kind:
            raise AssetError(
                f"{name}/{field} in {folder} is {found.dtype} {list(found.shape)}, which does not fit. {REGENERATE}"
            )
        if kind == "f" and not np.isfinite(found).all():
            raise AssetError(f"{name}/{field} in {folder} holds numbers that are not finite. {REGENERATE}")
        return found.astype(np.float32 if kind == "f" else np.int32)

    def within(field: str, values: np.ndarray, low: int, high: int) -> np.ndarray:
        if values.size and (values.min() < low or values.max() >= high):
            raise AssetError(
                f"{name}/{field} in {folder} has index {int(values.min())} or {int(values.max())} outside "
                f"{low}..{high - 1}. {REGENERATE}"
            )
        return values

    vertices = array("vertices", (None, 3), "f")
    count = len(vertices)
    faces = array("faces", (None, 4), "i")
    if not len(faces):
        raise AssetError(f"Mesh {name} in {folder} has no faces. {REGENERATE}")
    within("faces", faces[:, :3], 0, count)
    within("faces", faces[:, 3], -1, count)
    corners = np.sort(faces, axis=1)
    if (corners[:, 1:] == corners[:, :-1]).any():
        raise AssetError(f"Mesh {name} in {folder} has a face that uses one vertex twice. {REGENERATE}")
    weights = array("weights", (count, 4), "f")
    if (weights < 0).any() or np.abs(weights.sum(axis=1) - 1.0).max() > 1e-3:
        raise AssetError(f"{name}/weights in {folder} do not sum to 1 at every vertex. {REGENERATE}")
    for part in entry["parts"]:
        for field, total in (("vertices", count), ("faces", len(faces))):
            start, stop = part[field]
            if not 0 <= start <= stop <= total:
                raise AssetError(f"Part {part['name']} in {folder} has {field} outside mesh {name}. {REGENERATE}")
    return MeshArrays(
        name=name,
        vertices=vertices,
        faces=faces,
        uvs=array("uvs", (len(faces), 4, 2), "f"),
        material=within("material", array("material", (len(faces),), "i"), 0, materials),
        joints=within("joints", array("joints", (count, 4), "i"), 0, bones),
        weights=weights,
        shape_keys=array("shape_keys", (keys, count, 3), "f") if keys else None,
    )


def _photo_pose(folder: Path, entry: dict) -> PhotoPose:
    unknown = set(entry["expression"]) - set(ARKIT_NAMES)
    if unknown:
        raise AssetError(f"photo_pose in {folder} names unknown keys {sorted(unknown)}. {REGENERATE}")
    return PhotoPose(
        expression={name: float(weight) for name, weight in entry["expression"].items()},
        yaw=float(entry["yaw"]),
        pitch=float(entry["pitch"]),
        roll=float(entry["roll"]),
        crop=_texture(folder, entry["picture"]),
        camera=_camera(folder, entry["camera"]) if entry.get("camera") else None,
    )


def _camera(folder: Path, entry: dict) -> PhotoCamera:
    rotation, translation, centre = (
        np.array(entry[key], dtype=np.float64) for key in ("rotation", "translation", "centre")
    )
    camera = PhotoCamera(
        rotation, translation, float(entry["focal"]), centre, int(entry["width"]), int(entry["height"])
    )
    turns = rotation.shape == (3, 3) and np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3)
    if not turns or translation.shape != (3,) or centre.shape != (2,) or min(camera.width, camera.height) < 1:
        raise AssetError(f"The camera of photo_pose in {folder} is no camera. {REGENERATE}")
    return camera
