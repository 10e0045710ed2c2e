"""A head painted with a known texture, photographed by ray casting and projected back."""

from dataclasses import dataclass

import numpy as np
import pytest
from portrait_head.head_model import load_head_model
from portrait_head.rendering.camera import PinholeCamera
from portrait_head.rendering.preview import Surface, orbit_camera, render, vertex_normals
from portrait_head.rendering.raycast import RayCaster
from portrait_head.texturing.noise import band_noise
from portrait_head.texturing.projection import Projected, depth_view, project
from portrait_head.texturing.skin import faces_of
from portrait_head.texturing.uv_raster import UvRaster, head_raster

SIZE = 512
PICTURE = 900


@dataclass(frozen=True)
class Trip:
    truth: np.ndarray
    photo: np.ndarray
    camera: PinholeCamera
    raster: UvRaster
    normals: np.ndarray
    projected: Projected
    cosine: np.ndarray
    visible: np.ndarray


def drawn_texture() -> np.ndarray:
    """Tones and marks that a shift of a texel would change, without frequencies that the picture cannot hold."""
    noise = np.stack([band_noise(SIZE, (14, 120), seed) for seed in range(3)], axis=-1)
    return np.clip(150 + 32 * noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module", params=[0, 30])
def trip(request) -> Trip:
    model = load_head_model()
    raster = head_raster("skin", SIZE)
    truth = drawn_texture()
    blockers = faces_of(model, "skin", "eyes", "mouth")
    part = model.part("skin")
    rows = slice(2 * part.faces[0], 2 * part.faces[1])
    uvs = model.uvs[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3, 2)
    rest = faces_of(model, "eyes", "mouth")
    grey = Surface(model.vertices, rest, np.zeros((len(rest), 3, 2)), np.full((4, 4, 3), 128, np.uint8))
    camera = orbit_camera(request.param, 5, PICTURE, np.array([0, 0.02, 0.05]), 0.13)
    skin = Surface(model.vertices, model.triangles()[rows], uvs[rows], truth)
    photo = render((skin, grey), camera, lit=False)
    normals = vertex_normals(model.vertices, faces_of(model, "skin"))
    seen = depth_view(model.vertices, blockers, camera)
    usable = np.ones((PICTURE, PICTURE, 1), np.float32)
    projected = project(photo, usable, camera, model.vertices, normals, seen, raster)
    points = raster.spread(model.vertices).astype(np.float64)
    towards = camera.position - points
    distance = np.linalg.norm(towards, axis=1)
    facing = raster.spread(normals)
    cosine = (facing * towards).sum(axis=1) / (distance * np.linalg.norm(facing, axis=1))
    hits = RayCaster(model.vertices, blockers).cast(camera.position, -towards)
    visible = hits.distance > distance - 0.003  # a grazing surface is this deep within a pixel
    return Trip(truth, photo, camera, raster, normals, projected, cosine, visible)


def test_the_texture_comes_back(trip):
    good = (trip.projected.shares[:, 0] > 0) & (trip.cosine > np.cos(np.radians(60)))
    assert good.sum() > 20_000
    wanted = trip.raster.flat(trip.truth)[good] / 255
    error = ((trip.projected.colour[good] - wanted) ** 2).mean()
    assert -10 * np.log10(error) > 32


def test_nothing_is_painted_that_the_camera_does_not_see(trip):
    written = trip.projected.shares[:, 0] > 0
    assert (~trip.visible & written).sum() == 0
    assert (trip.cosine[written] > 0.1).all()


def test_most_of_what_is_seen_squarely_is_painted(trip):
    model = load_head_model()
    pixels = trip.camera.project(trip.raster.spread(model.vertices).astype(np.float64))
    inside = ((pixels > 2) & (pixels < PICTURE - 2)).all(axis=1)
    square = trip.visible & (trip.cosine > 0.7) & inside
    assert (trip.projected.shares[square, 0] > 0.5).mean() > 0.9


def test_masked_pixels_are_not_used(trip):
    masks = np.ones((PICTURE, PICTURE, 2), np.float32)
    masks[:, PICTURE // 2 :, 0] = 0
    model = load_head_model()
    seen = depth_view(model.vertices, faces_of(model, "skin", "eyes", "mouth"), trip.camera)
    projected = project(trip.photo, masks, trip.camera, model.vertices, trip.normals, seen, trip.raster)
    pixels = trip.camera.project(trip.raster.spread(model.vertices).astype(np.float64))
    right = pixels[:, 0] > PICTURE / 2 + 1
    assert projected.shares[right, 0].max() == 0
    assert projected.shares[right, 1].max() == 1
