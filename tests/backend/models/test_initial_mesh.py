"""Heads of other programs, brought into head space."""

import json

import cv2
import numpy as np
import pytest
from portrait_head.errors import PortraitHeadError
from portrait_head.geometry.similarity import Similarity, fit_similarity
from portrait_head.head_model import load_head_model, load_identity_prior, load_landmark_table
from portrait_head.models.initial_mesh import FittedHead, load_initial_mesh, read_mesh
from portrait_head.rendering.raycast import RayCaster
from scipy.spatial.transform import Rotation

trimesh = pytest.importorskip("trimesh")

PANOHEAD_FRAME = Similarity(2.1, Rotation.from_rotvec([0.05, -0.1, 0.02]).as_matrix(), np.array([0.03, -0.1, 0.05]))


@pytest.fixture(scope="module")
def model():
    return load_head_model()


@pytest.fixture(scope="module")
def triangles(model):
    """Of the skin alone."""
    found = model.triangles()
    return found[(found < model.part("skin").vertices[1]).all(axis=1)]


@pytest.fixture(scope="module")
def head(model) -> FittedHead:
    skin = model.vertices[: model.part("skin").vertices[1]].astype(np.float64)
    face = model.regions["face"]
    landmarks = load_landmark_table().positions(model.vertices.astype(np.float64))
    return FittedHead(skin, skin[face[face < len(skin)]], landmarks)


def somebody(model, seed: int) -> np.ndarray:
    """All vertices of another person's head, metres."""
    prior = load_identity_prior()
    modes = np.random.default_rng(seed).normal(size=len(prior.modes)) @ prior.modes
    return model.identified(prior.mean + modes).astype(np.float64)


def refused(path, head) -> PortraitHeadError:
    with pytest.raises(PortraitHeadError) as failure:
        load_initial_mesh(path, head)
    return failure.value


def test_a_scan_in_centimetres_with_z_up_and_shoulders_lands_on_the_fitted_head(model, head, triangles, tmp_path):
    person = somebody(model, 3)[: len(head.skin)]
    shoulders = trimesh.creation.box((0.42, 0.25, 0.2))
    shoulders = shoulders.subdivide().subdivide().subdivide()
    both = trimesh.util.concatenate(
        [
            trimesh.Trimesh(person, triangles, process=False),
            shoulders.apply_translation([0, person[:, 1].min() - 0.1, 0]),
        ]
    )
    # One connected piece, as a scan is.
    bridge = [[0, 1, len(person)], [1, len(person), len(person) + 1]]
    both = trimesh.Trimesh(both.vertices, np.concatenate([both.faces, bridge]), process=False)
    z_up = Similarity(100.0, Rotation.from_euler("x", 90, degrees=True).as_matrix(), np.array([10.0, 4.0, 160.0]))
    both.vertices = z_up(both.vertices)
    both.export(tmp_path / "scan.ply")

    found = load_initial_mesh(tmp_path / "scan.ply", head)

    face = model.regions["face"][: len(head.face)]
    best = fit_similarity(person[face], head.face)(person[face])  # what is reachable without bending
    assert np.linalg.norm(found.vertices[face] - best, axis=1).mean() < 0.003  # of a head 0.25 m high
    assert found.vertices.dtype == np.float32 and found.triangles.dtype == np.int32
    assert "scan.ply" in found.warnings[0] and "licence" in found.warnings[0]
    assert found.views == ()


def test_what_floats_around_is_left_out_and_the_surface_faces_outwards(model, triangles, head, tmp_path):
    person = trimesh.Trimesh(head.skin, triangles[:, ::-1], process=False)
    speck = trimesh.creation.icosphere(radius=0.01).apply_translation([0.5, 0.5, 0.5])
    trimesh.util.concatenate([person, speck]).export(tmp_path / "head.obj")

    vertices, found = read_mesh(tmp_path / "head.obj")

    assert vertices[:, 0].max() < 0.3
    assert np.linalg.det(vertices[found] - vertices.mean(axis=0)).sum() > 0


def write_panohead(folder, model, head, triangles, size: int = 96) -> np.ndarray:
    """What PanoHead's preprocessing leaves of the fitted head itself; the mesh's vertices in its own frame."""
    folder.mkdir()
    for kind in ("rgb", "normal", "mask"):
        (folder / kind).mkdir()
    frame = PANOHEAD_FRAME
    vertices = frame(head.skin)
    mesh = trimesh.Trimesh(vertices, triangles, process=False)
    mesh.export(folder / "init_mesh.ply")
    np.savetxt(folder / "laion.txt", frame(head.landmarks), fmt="%f %f %f")
    focal, cameras = 3.19, {}  # in picture widths
    for index, azimuth in enumerate((0.0, 70.0, 180.0)):
        turn = Rotation.from_euler("y", azimuth, degrees=True).as_matrix()
        to_world = np.eye(4)
        to_world[:3, :3] = turn @ np.diag([1.0, -1.0, -1.0])  # x right, y down, z into the picture
        to_world[:3, 3] = vertices.mean(axis=0) + turn @ [0, 0, 2.7]
        intrinsics = [[focal, 0, 0.5], [0, focal, 0.5], [0, 0, 1]]
        cameras[index] = [[*to_world.ravel(), *np.ravel(intrinsics)]]
        rows, columns = np.mgrid[:size, :size] + 0.5
        local = np.stack([(columns / size - 0.5) / focal, (rows / size - 0.5) / focal, np.ones_like(rows)], axis=-1)
        hits = RayCaster(vertices, triangles).cast(to_world[:3, 3], local @ to_world[:3, :3].T)
        normals = np.where(hits.hit[..., None], mesh.face_normals[np.maximum(hits.triangle, 0)], 1.0)
        drawn = np.round((normals + 1) / 2 * 255).astype(np.uint8)
        cv2.imwrite(str(folder / "normal" / f"{index:03d}.png"), drawn[..., ::-1])
        cv2.imwrite(str(folder / "mask" / f"{index:03d}.png"), hits.hit.astype(np.uint8) * 255)
        cv2.imwrite(str(folder / "rgb" / f"{index:03d}.png"), np.full((size, size, 3), (0, 0, 200), np.uint8))
    (folder / "cam_params.json").write_text(json.dumps(cameras))
    return vertices


def test_a_panohead_folder_gives_mesh_cameras_and_normals_in_head_space(model, head, triangles, tmp_path):
    write_panohead(tmp_path / "id_1", model, head, triangles)

    found = load_initial_mesh(tmp_path / "id_1", head)

    assert np.abs(found.vertices - head.skin).max() < 1e-4  # landmarks are written with six digits
    assert "PanoHead" in found.warnings[0] and "commercial" in found.warnings[0]
    assert [view.mask.shape for view in found.views] == [(96, 96)] * 3
    caster = RayCaster(found.vertices, found.triangles)
    faces = found.vertices[found.triangles].astype(np.float64)
    outward = np.cross(faces[:, 1] - faces[:, 0], faces[:, 2] - faces[:, 0])
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    for view in found.views:
        rows, columns = np.mgrid[:96, :96] + 0.5
        hits = caster.cast(view.camera.position, view.camera.rays(np.stack([columns, rows], axis=-1)))
        assert (hits.hit == view.mask).mean() > 0.995  # the same picture, but for pixels on the outline
        both = hits.hit & view.mask
        wanted = outward[hits.triangle[both]] @ view.camera.rotation.T
        cosines = (wanted * view.normals[both]).sum(axis=1)
        assert np.median(cosines) > 0.9999 and (cosines > 0.99).mean() > 0.97  # edges of triangles move a little
        assert view.normals[both][:, 2].mean() > 0.5  # towards the viewer
        assert not view.normals[~view.mask].any()
        assert tuple(view.rgb[0, 0]) == (200, 0, 0)


def test_a_folder_without_landmarks_is_laid_by_its_surface(model, head, triangles, tmp_path):
    write_panohead(tmp_path / "id_1", model, head, triangles)
    (tmp_path / "id_1" / "laion.txt").unlink()
    (tmp_path / "id_1" / "cam_params.json").unlink()

    found = load_initial_mesh(tmp_path / "id_1", head)

    assert np.linalg.norm(found.vertices - head.skin, axis=1).mean() < 0.002


@pytest.mark.parametrize(
    ("name", "contents", "kind"),
    [
        ("init_mesh.ply", b"ply\nformat ascii 1.0\nelement vertex 0\nend_header\n", "mesh_unreadable"),
        ("init_mesh.ply", b"no mesh at all", "mesh_unreadable"),
        ("laion.txt", b"1 2 3\n4 5 6\n", "mesh_unreadable"),
        ("laion.txt", b"one two three\n", "mesh_unreadable"),
        ("cam_params.json", b'{"0": [1, 2]}', "mesh_unreadable"),
        ("cam_params.json", b"[", "mesh_unreadable"),
        ("normal/001.png", b"no picture", "mesh_unreadable"),
        ("init_mesh.ply", None, "mesh_missing"),
        ("rgb/002.png", None, "mesh_unreadable"),
    ],
)
def test_a_damaged_folder_is_named_with_the_file(model, head, triangles, tmp_path, name, contents, kind):
    folder = tmp_path / "id_1"
    write_panohead(folder, model, head, triangles, size=24)
    if contents is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(contents)

    error = refused(folder, head)

    assert error.kind == kind and name.split("/")[-1] in error.message


def test_what_is_no_head_is_refused(head, tmp_path):
    trimesh.creation.box((1, 0.1, 3)).subdivide().subdivide().export(tmp_path / "plank.stl")

    error = refused(tmp_path / "plank.stl", head)

    assert error.kind == "mesh_unfit" and "mm from the fitted face" in error.message


def test_landmarks_of_another_order_are_refused(model, head, triangles, tmp_path):
    write_panohead(tmp_path / "id_1", model, head, triangles, size=24)
    np.savetxt(tmp_path / "id_1" / "laion.txt", PANOHEAD_FRAME(head.landmarks[::-1]), fmt="%f %f %f")

    assert refused(tmp_path / "id_1", head).kind == "mesh_unfit"
