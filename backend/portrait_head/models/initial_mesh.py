"""A head that another program made, as the surface that sculpting begins with.

Two things are taken:

- a mesh (PLY, OBJ, GLB, STL) of a head, with or without shoulders, in any unit, upright along any axis;
- a folder that PanoHead left behind in the layout of ID-Sculpt's preprocessing: `init_mesh.ply`; `laion.txt`, a line
  x y z for each of MediaPipe's 478 landmarks in the mesh's frame; `cam_params.json`, for each view a camera-to-world
  matrix [4, 4] (x right, y down, z into the picture) and intrinsics [3, 3] in units of the picture's width, one after
  the other; and pictures `rgb/`, `normal/` (normals in the mesh's frame, red, green and blue for x, y and z from -1 to
  1) and `mask/`, named `000.png` and on. Only the mesh must be there.

What comes out is in head space: metres, +Y up, +Z out of the face, the origin at the head joint of the fitted head.
Landmarks bring it there exactly; without them its surface is laid onto the fitted head.

Nothing here ships or downloads PanoHead. Its weights and what is made with them may not be used commercially
(CC BY-NC-SA 4.0 and NVIDIA's terms for EG3D); for a mesh of your own its maker's terms hold. Both are said in
`InitialMesh.warnings`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from portrait_head.errors import PortraitHeadError
from portrait_head.geometry.similarity import Similarity, fit_similarity, lay_onto
from portrait_head.models.disk import sha256_of
from portrait_head.rendering.camera import PinholeCamera

MESH, LANDMARKS, CAMERAS = "init_mesh.ply", "laion.txt", "cam_params.json"
PANOHEAD_WARNING = (
    "The initial mesh comes from PanoHead, whose licence (CC BY-NC-SA 4.0, with NVIDIA's terms) does not allow "
    "commercial use of the result."
)
MESH_WARNING = "The initial mesh {name} is yours: make sure that its maker's licence allows what you do with the head."
OPENCV_TO_CAMERA = np.diag([1.0, -1.0, -1.0])  # y down, z into the picture to y up, z to the viewer


@dataclass(frozen=True)
class InitialMeshConfig:
    """What is accepted.

    Attributes:
        largest_gap: metres within which 85 % of the fitted face must lie. Tried on 24 other people with 1.5 to 5.5 cm
            of hair, up to 15 degrees off an axis: 21 came within 3.6 mm and were right to 3 degrees, 3 stayed above
            5.2 mm and were wrong.
        landmark_gap: metres within which half of the landmarks must lie.
        samples: points that stand for the mesh while it is laid.
    """

    largest_gap: float = 0.0045
    landmark_gap: float = 0.010
    samples: int = 30000


@dataclass(frozen=True)
class FittedHead:
    """What the mesh is brought to.

    Attributes:
        skin: [N, 3] metres, points all over head and neck.
        face: [M, 3] metres, points of the face alone.
        landmarks: [478, 3] metres, MediaPipe's.
    """

    skin: np.ndarray
    face: np.ndarray
    landmarks: np.ndarray


@dataclass(frozen=True)
class ReferenceView:
    """One rendered view of the head, a target for sculpting.

    Attributes:
        camera: in head space.
        rgb: [H, W, 3] uint8 sRGB.
        normals: [H, W, 3] float32 unit, in the space of this camera (x right, y up, z to the viewer); zero outside.
        mask: [H, W] bool.
    """

    camera: PinholeCamera
    rgb: np.ndarray
    normals: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class InitialMesh:
    """A head in head space.

    Attributes:
        vertices: [V, 3] float32 metres.
        triangles: [T, 3] int32, counter-clockwise seen from outside.
        views: rendered views that came along, in order.
        gap: metres between the mesh and the fitted face or its landmarks.
        warnings: sentences for the user, the licence first.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    views: tuple[ReferenceView, ...]
    gap: float
    warnings: tuple[str, ...]


def load_initial_mesh(path: Path, head: FittedHead, config: InitialMeshConfig = InitialMeshConfig()) -> InitialMesh:
    """Read a mesh file or a PanoHead folder and bring it into the space of the fitted head.

    Raises:
        PortraitHeadError: `mesh_missing`, `mesh_unreadable`, or `mesh_unfit` if it does not look like a head.
    """
    folder = path if path.is_dir() else None
    file = _mesh_file(path)
    vertices, triangles = read_mesh(file)
    landmarks = _read_landmarks(folder / LANDMARKS) if folder else None
    if landmarks is not None:
        similarity, gap = _by_landmarks(landmarks, head, config, path)
    else:
        similarity, gap = _by_surface(vertices, triangles, head, config, path)
    views = _read_views(folder, similarity) if folder else ()
    warning = PANOHEAD_WARNING if folder else MESH_WARNING.format(name=file.name)
    laid = similarity(vertices).astype(np.float32)
    return InitialMesh(laid, triangles.astype(np.int32), views, gap, (warning,))


def mesh_version(path: Path) -> str:
    """Changes with what `load_initial_mesh` would read of the shape. Raises PortraitHeadError `mesh_missing`."""
    landmarks = path / LANDMARKS
    return sha256_of(_mesh_file(path)) + (sha256_of(landmarks) if landmarks.is_file() else "")


def _mesh_file(path: Path) -> Path:
    file = path / MESH if path.is_dir() else path
    if not file.is_file():
        raise PortraitHeadError(
            "mesh_missing", f"There is no mesh {file}.", f"Give a mesh file, or a PanoHead folder with {MESH}."
        )
    return file


def read_mesh(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The largest connected piece of a mesh file, facing outwards: vertices [V, 3] float64, triangles [T, 3] int64.

    Raises:
        PortraitHeadError: `mesh_unreadable`, `missing_package`.
    """
    try:
        import trimesh
    except ImportError as error:
        raise PortraitHeadError(
            "missing_package", "Reading meshes needs the package trimesh.", "Install it with: pip install trimesh"
        ) from error
    try:
        loaded: Any = trimesh.load(path, force="mesh")  # vertices at the same place are joined
        vertices, triangles = np.asarray(loaded.vertices, np.float64), np.asarray(loaded.faces, np.int64)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OSError, NotImplementedError) as error:
        raise _unreadable(path, f"{type(error).__name__}: {error}") from error
    if len(triangles) < 4 or triangles.ndim != 2:
        raise _unreadable(path, "it has no faces")
    if not np.isfinite(vertices).all():
        raise _unreadable(path, "some of its vertices are not finite")
    vertices, triangles = _largest_piece(vertices, triangles)
    corners = vertices[triangles] - vertices.mean(axis=0)
    if np.linalg.det(corners).sum() < 0:  # six times the volume
        triangles = triangles[:, ::-1]
    return vertices, triangles


def _largest_piece(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without what floats around, as marching cubes in a density field leaves it."""
    count = len(vertices)
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]]])
    links = coo_matrix((np.ones(len(edges), bool), edges.T), shape=(count, count))
    _, piece = connected_components(links, directed=False)
    owner = piece[triangles[:, 0]]
    kept = triangles[owner == np.bincount(owner).argmax()]
    used, renamed = np.unique(kept, return_inverse=True)
    return vertices[used], renamed.reshape(-1, 3)


def _by_landmarks(
    landmarks: np.ndarray, head: FittedHead, config: InitialMeshConfig, path: Path
) -> tuple[Similarity, float]:
    similarity = fit_similarity(landmarks, head.landmarks)
    gap = float(np.median(np.linalg.norm(similarity(landmarks) - head.landmarks, axis=1)))
    if gap > config.landmark_gap:
        raise _unfit(path, f"its landmarks lie {gap * 1000:.0f} mm from those of the fitted head")
    return similarity, gap


def _by_surface(
    vertices: np.ndarray, triangles: np.ndarray, head: FittedHead, config: InitialMeshConfig, path: Path
) -> tuple[Similarity, float]:
    points, normals = _samples(vertices, triangles, config.samples)
    similarity, gap = lay_onto(points, normals, head.skin, head.face)
    if gap > config.largest_gap:
        raise _unfit(path, f"its surface stays {gap * 1000:.0f} mm from the fitted face")
    return similarity, gap


def _samples(vertices: np.ndarray, triangles: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points [count, 3] evenly over a mesh, and its unit normals there; the same for the same mesh."""
    corners = vertices[triangles]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(across, axis=1)
    # Equal steps of area instead of chance; where in the triangle follows a low-discrepancy sequence.
    steps = (np.arange(count) + 0.5) / count
    chosen = np.searchsorted(np.cumsum(area) / area.sum(), steps).clip(max=len(triangles) - 1)
    u, v = (np.arange(count) * 0.7548776662466927) % 1, (np.arange(count) * 0.5698402909980532) % 1  # Roberts' R2
    fold = u + v > 1
    u, v = np.where(fold, 1 - u, u), np.where(fold, 1 - v, v)
    picked = corners[chosen]
    points = picked[:, 0] + u[:, None] * (picked[:, 1] - picked[:, 0]) + v[:, None] * (picked[:, 2] - picked[:, 0])
    return points, across[chosen] / np.maximum(area[chosen], 1e-300)[:, None]


def _read_landmarks(path: Path) -> np.ndarray | None:
    if not path.is_file():
        return None
    try:
        points = np.loadtxt(path, ndmin=2)
    except ValueError as error:
        raise _unreadable(path, str(error)) from error
    if points.shape != (478, 3) or not np.isfinite(points).all():
        raise _unreadable(path, f"it holds {list(points.shape)} numbers instead of [478, 3]")
    return points


def _read_views(folder: Path, similarity: Similarity) -> tuple[ReferenceView, ...]:
    path = folder / CAMERAS
    if not path.is_file():
        return ()
    try:
        labels = {int(index): np.asarray(values, np.float64) for index, values in json.loads(path.read_text()).items()}
        cameras = {index: values.reshape(25) for index, values in labels.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise _unreadable(path, "it must hold 25 numbers for each view") from error
    return tuple(_read_view(folder, index, cameras[index], similarity) for index in sorted(cameras))


def _read_view(folder: Path, index: int, label: np.ndarray, similarity: Similarity) -> ReferenceView:
    mask = _read_picture(folder / "mask" / f"{index:03d}.png")
    height, width = mask.shape[:2]
    rgb, drawn = (
        cv2.resize(_read_picture(folder / kind / f"{index:03d}.png"), (width, height), interpolation=cv2.INTER_AREA)
        for kind in ("rgb", "normal")
    )
    to_world, intrinsics = label[:16].reshape(4, 4), label[16:].reshape(3, 3)
    # World to camera space of the same view; then head space instead of the mesh's.
    turn = OPENCV_TO_CAMERA @ to_world[:3, :3].T
    rotation: np.ndarray = turn @ similarity.rotation.T
    translation = np.negative(rotation @ similarity(to_world[:3, 3]))
    size = np.array([width, height], np.float64)
    camera = PinholeCamera(
        rotation, translation, float(intrinsics[0, 0] * width), intrinsics[:2, 2] * size, width, height
    )
    inside = mask[..., 0] > 127
    normals = (np.asarray(drawn, np.float32) / 127.5 - 1.0) @ turn.T.astype(np.float32)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    normals = np.where(inside[..., None] & (length > 0), normals / np.maximum(length, 1e-6), 0.0)
    return ReferenceView(camera, rgb, normals.astype(np.float32), inside)


def _read_picture(path: Path) -> np.ndarray:
    """[H, W, 3] uint8, red first."""
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) if path.is_file() else None
    if image is None:
        raise _unreadable(path, "it is no picture" if path.is_file() else "it is not there")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _unreadable(path: Path, why: str) -> PortraitHeadError:
    return PortraitHeadError(
        "mesh_unreadable",
        f"{path} cannot be used: {why}.",
        "Export the head again as PLY, OBJ or GLB; for PanoHead run its preprocessing to the end.",
    )


def _unfit(path: Path, why: str) -> PortraitHeadError:
    return PortraitHeadError(
        "mesh_unfit",
        f"{path.name} does not look like this head: {why}.",
        "Give a mesh of one head, turned so that it stands and looks along axes, or go on without an initial mesh.",
    )
