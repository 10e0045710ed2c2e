"""A head painted with a known texture, photographed by the rasteriser and projected back."""

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import torch
from portrait_head.geometry.surface import vertex_normals
from portrait_head.head_model import load_head_model
from portrait_head.rendering.camera import PinholeCamera
from portrait_head.rendering.preview import orbit_camera
from portrait_head.rendering.rasteriser import make_rasteriser
from portrait_head.rendering.raycast import RayCaster
from portrait_head.rendering.tensor_camera import TensorCamera
from portrait_head.texturing.noise import band_noise
from portrait_head.texturing.projection import Projected, depth_view, project
from portrait_head.texturing.sampling import sample_texture
from portrait_head.texturing.skin import faces_of
from portrait_head.texturing.uv_raster import UvRaster, head_raster

SIZE = 1024
PICTURE = 1200
GREY = 0.5  # eyes, teeth and background: what must not land on the skin


@dataclass(frozen=True)
class Trip:
    truth: np.ndarray
    photo: np.ndarray
    camera: PinholeCamera
    raster: UvRaster
    projected: Projected
    cosine: np.ndarray
    visible: np.ndarray


def drawn_texture(shortest: float) -> np.ndarray:
    """Smooth tones and a fine pattern of about one wavelength, in texels: [SIZE, SIZE, 3] sRGB, 0 to 1."""
    smooth = np.stack([band_noise(SIZE, (120, 600), seed) for seed in range(3)], axis=-1)
    fine = np.stack([band_noise(SIZE, (shortest, 1.4 * shortest), seed) for seed in range(3, 6)], axis=-1)
    return np.clip(0.5 + 0.09 * smooth + 0.06 * fine, 0, 1).astype(np.float32)


def photographed(truth: np.ndarray, camera: PinholeCamera) -> np.ndarray:
    """The head at rest wearing the texture, four samples a pixel: [H, W, 3] uint8."""
    model = load_head_model()
    skin = faces_of(model, "skin")
    triangles = np.concatenate([skin, faces_of(model, "eyes", "mouth")])
    fine = camera.scaled(2)
    fragments = make_rasteriser("cpu").rasterise(
        torch.tensor(model.vertices, dtype=torch.float32),
        torch.tensor(triangles, dtype=torch.int32),
        TensorCamera.from_pinhole(fine, torch.device("cpu")),
    )
    ids = fragments.triangle_ids.numpy()
    on_skin = (ids >= 0) & (ids < len(skin))
    uvs = corner_uvs()[ids[on_skin]]
    at = (uvs * fragments.barycentrics.numpy()[on_skin][..., None]).sum(axis=1)
    picture = np.full((fine.height, fine.width, 3), GREY, np.float32)
    picture[on_skin] = sample_texture(truth, at)
    small = cv2.resize(picture, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    return np.rint(small * 255).astype(np.uint8)


def corner_uvs() -> np.ndarray:
    part = load_head_model().part("skin")
    uvs = load_head_model().uvs[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3, 2)
    return uvs[2 * part.faces[0] : 2 * part.faces[1]].astype(np.float32)


def projected_back(photo: np.ndarray, camera: PinholeCamera, raster: UvRaster, masks: np.ndarray) -> Projected:
    model = load_head_model()
    normals = vertex_normals(model.vertices, faces_of(model, "skin"))
    seen = depth_view(model.vertices, faces_of(model, "skin", "eyes", "mouth"), camera)
    return project(photo, masks, camera, model.vertices, normals, seen, raster)


def from_the_side(yaw: float, size: int = PICTURE) -> PinholeCamera:
    return orbit_camera(yaw, 5, size, np.array([0, 0.02, 0.05]), 0.13)


def everywhere(camera: PinholeCamera) -> np.ndarray:
    return np.ones((camera.height, camera.width, 1), np.float32)


def seen_by_rays(camera: PinholeCamera, raster: UvRaster) -> tuple[np.ndarray, np.ndarray]:
    """Cosine [N] between view and surface, and whether [N] a ray from the camera reaches the texel's own point."""
    model = load_head_model()
    points = raster.spread(model.vertices).astype(np.float64)
    towards = camera.position - points
    distance = np.linalg.norm(towards, axis=1)
    facing = raster.spread(vertex_normals(model.vertices, faces_of(model, "skin")))
    cosine = (facing * towards).sum(axis=1) / (distance * np.linalg.norm(facing, axis=1))
    hits = RayCaster(model.vertices, faces_of(model, "skin", "eyes", "mouth")).cast(camera.position, -towards)
    return cosine, hits.distance > distance - 0.0005


def psnr(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(-10 * np.log10(((found - wanted) ** 2).mean()))


@pytest.fixture(scope="module", params=[0, 35])
def trip(request) -> Trip:
    raster, truth, camera = head_raster("skin", SIZE), drawn_texture(12), from_the_side(request.param)
    photo = photographed(truth, camera)
    projected = projected_back(photo, camera, raster, everywhere(camera))
    return Trip(truth, photo, camera, raster, projected, *seen_by_rays(camera, raster))


def test_the_texture_comes_back(trip):
    good = (trip.projected.shares[:, 0] > 0) & (trip.cosine > np.cos(np.radians(60)))
    assert good.sum() > 150_000
    assert psnr(trip.projected.colour[good], trip.raster.flat(trip.truth)[good]) >= 35


def test_nothing_is_painted_that_the_camera_does_not_see(trip):
    written = trip.projected.shares[:, 0] > 0
    assert (~trip.visible & written).sum() == 0
    assert (trip.cosine[written] > 0.1).all()
    assert (trip.projected.colour[~written] == 0).all()


def test_most_of_what_is_seen_squarely_is_painted(trip):
    pixels = trip.camera.project(trip.raster.spread(load_head_model().vertices).astype(np.float64))
    inside = ((pixels > 2) & (pixels < PICTURE - 2)).all(axis=1)
    square = trip.visible & (trip.cosine > 0.7) & inside
    assert (trip.projected.shares[square, 0] > 0.5).mean() > 0.9


def test_masked_pixels_are_not_used(trip):
    masks = np.ones((PICTURE, PICTURE, 2), np.float32)
    masks[:, PICTURE // 2 :, 0] = 0
    small = head_raster("skin", 256)
    projected = projected_back(trip.photo, trip.camera, small, masks)
    pixels = trip.camera.project(small.spread(load_head_model().vertices).astype(np.float64))
    right = pixels[:, 0] > PICTURE / 2 + 1
    assert projected.shares[right, 0].max() == 0
    assert projected.shares[right, 1].max() == 1


def test_texels_larger_than_pixels_hold_the_mean_of_what_they_cover():
    # A pattern that the photo shows but a texture of a quarter of the size cannot: it must vanish, not alias.
    camera, coarse = from_the_side(0), head_raster("skin", SIZE // 4)
    truth = drawn_texture(5)
    photo = photographed(truth, camera)
    projected = projected_back(photo, camera, coarse, everywhere(camera))
    cosine, _ = seen_by_rays(camera, coarse)
    good = (projected.shares[:, 0] > 0) & (cosine > np.cos(np.radians(60)))
    wanted = cv2.resize(truth, (SIZE // 4, SIZE // 4), interpolation=cv2.INTER_AREA)
    assert psnr(projected.colour[good], coarse.flat(wanted)[good]) >= 35


def test_texels_smaller_than_pixels_are_interpolated_smoothly():
    camera = from_the_side(0, PICTURE // 3)
    truth = drawn_texture(60)
    raster = head_raster("skin", SIZE)
    projected = projected_back(photographed(truth, camera), camera, raster, everywhere(camera))
    cosine, _ = seen_by_rays(camera, raster)
    good = (projected.shares[:, 0] > 0.5) & (cosine > np.cos(np.radians(60)))
    assert psnr(projected.colour[good], raster.flat(truth)[good]) >= 35


def test_the_photo_can_be_read_beside_a_texel():
    model, raster, camera = load_head_model(), head_raster("skin", 256), from_the_side(0, 400)
    photo = np.zeros((400, 400, 3), np.uint8)
    photo[:] = np.linspace(0, 255, 400)[None, :, None]  # brightness tells the column
    normals = vertex_normals(model.vertices, faces_of(model, "skin"))
    seen = depth_view(model.vertices, faces_of(model, "skin", "eyes", "mouth"), camera)
    where = (photo, everywhere(camera), camera, model.vertices, normals, seen, raster)
    plain, beside = project(*where), project(*where, model.vertices + np.array([0.005, 0, 0], np.float32))
    both = (plain.shares[:, 0] > 0.9) & (beside.shares[:, 0] > 0.9)
    moved = np.median((beside.colour - plain.colour)[both, 0]) * 399
    depth = 1.2 - 0.05  # metres from the camera to about the middle of the face
    assert moved == pytest.approx(0.005 * camera.focal / depth, rel=0.1)
