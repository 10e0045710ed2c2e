from dataclasses import replace

import cv2
import numpy as np
import pytest
from portrait_head.head_model import load_head_model
from portrait_head.head_model.arkit import ARKIT_NAMES
from portrait_head.photo.obstructions import obstructions
from portrait_head.photo.skin_tone import in_white_light
from portrait_head.progress import Progress
from portrait_head.rendering.lighting import linear_to_bytes, linear_to_srgb, srgb_to_linear
from portrait_head.request import HeadRequest
from portrait_head.stages import fit, guide, portrait, sculpt, texture
from portrait_head.texturing.eyes import iris_colour
from portrait_head.texturing.photo_regions import PhotoView, photo_masks
from portrait_head.texturing.scalp import hair_tone
from portrait_head.texturing.uv_raster import UvRaster, head_raster

from tests.backend.photo.spectacles import Spectacles, wearing
from tests.backend.texturing.seams import across, seams

SIZE = 1024
REQUEST = HeadRequest(photos=("sample",), texture_size=SIZE)

Upstream = tuple[portrait.Portrait, fit.Fit, sculpt.Sculpt]


@pytest.fixture(scope="module")
def upstream() -> Upstream:
    seen = portrait.run(REQUEST, Progress())
    fitted = fit.run(REQUEST, seen, Progress())
    guided = guide.run(REQUEST, seen, fitted, Progress())
    return seen, fitted, sculpt.run(REQUEST, seen, fitted, guided, Progress())


@pytest.fixture(scope="module")
def sample(upstream: Upstream) -> texture.Texture:
    return texture.run(REQUEST, *upstream, Progress())


@pytest.fixture(scope="module")
def skin() -> UvRaster:
    return head_raster("skin", SIZE)


def region(raster: UvRaster, *names: str) -> np.ndarray:
    model = load_head_model()
    inside = np.zeros(len(model.vertices), np.float32)
    for name in names:
        inside[model.regions[name]] = 1
    return raster.spread(inside) > 0.95


def test_every_image_has_its_size_and_kind(upstream: Upstream, sample):
    assert sample.skin.shape == (SIZE, SIZE, 3)
    assert sample.confidence.shape == (SIZE, SIZE)
    for image, channels in ((sample.eyes, 3), (sample.mouth, 3), (sample.lashes, 4)):
        assert image.shape[2] == channels
    for image in (sample.skin, sample.confidence, sample.eyes, sample.mouth, sample.lashes, sample.hair):
        assert image.dtype == np.uint8
    assert sample.hair_uvs.shape == (len(upstream[2].hair_triangles), 3, 2)
    assert sample.hair_uvs.dtype == np.float32


def test_the_face_is_given_back(sample):
    assert sample.ssim >= 0.85


def test_two_runs_give_the_same_bytes(upstream: Upstream, sample):
    again = texture.run(REQUEST, *upstream, Progress())
    for name in ("skin", "confidence", "eyes", "mouth", "lashes", "hair", "hair_uvs"):
        np.testing.assert_array_equal(getattr(again, name), getattr(sample, name), err_msg=name)


def test_lips_hold_no_teeth(sample, skin):
    lips = skin.flat(sample.skin)[region(skin, "lips")].astype(int)
    # Enamel is about as green as red; lips never are.
    assert (lips[:, 0] - lips[:, 1] > 8).mean() > 0.99
    assert np.percentile(lips.mean(axis=1), 99) < 225


def test_the_neck_has_the_tone_of_the_face(sample, skin):
    colour = skin.flat(sample.skin).astype(float)
    seen = skin.flat(sample.confidence) > 200
    face = np.median(colour[region(skin, "face") & seen], axis=0)
    neck = colour[region(skin, "neck")]
    # The sample wears a black collar and an orange suit: neither may reach the neck.
    assert np.abs(np.median(neck, axis=0) - face).max() < 25
    assert np.abs(np.percentile(neck, 1, axis=0) - face).max() < 60
    assert neck.mean(axis=1).std() > 1  # nor is it a flat fill


def test_the_photo_is_not_trusted_where_it_saw_nothing(sample, skin):
    trust = skin.flat(sample.confidence)
    points = skin.spread(load_head_model().vertices)
    assert trust[points[:, 2] < -0.02].max() == 0
    assert trust[region(skin, "eye_socket_left", "eye_socket_right")].max() == 0
    cheeks = region(skin, "face") & (np.abs(points[:, 0]) < 0.04) & (points[:, 1] > 0) & (points[:, 1] < 0.015)
    assert np.median(trust[cheeks]) > 200


def test_no_step_of_colour_runs_along_uv_seams(sample, skin):
    picture = sample.skin.astype(np.float32) / 255
    own = skin.sparse_image(np.ones(len(skin.texels), np.float32))
    beside = (own[:, 1:] * own[:, :-1]) > 0
    inside = np.abs(np.diff(picture, axis=1)).mean(axis=-1)[beside]
    # Hair stands along the seam at the back, so its strands' contrast counts as inside too.
    assert across(picture, seams("skin")).mean() <= np.percentile(inside, 90)


def test_half_a_face_in_hard_shadow_gives_an_even_one(upstream: Upstream, skin):
    seen, fitted, sculpted = upstream
    nose = seen.landmarks[[10, 1, 152], 0].mean()
    lit = 1 - 0.75 / (1 + np.exp(-(np.arange(seen.image.shape[1]) - nose)))
    picture = linear_to_srgb(srgb_to_linear(seen.image.astype(np.float32) / 255) * lit[:, None].astype(np.float32))
    shaded = replace(seen, image=np.rint(picture * 255).astype(np.uint8))
    found = texture.run(REQUEST, shaded, fitted, sculpted, Progress())
    x = skin.spread(load_head_model().vertices)[:, 0]
    face = region(skin, "face")
    light = srgb_to_linear(skin.flat(found.skin).astype(np.float32) / 255).mean(axis=1)
    sides = [np.median(light[face & (side * x > 0.01)]) for side in (1, -1)]
    # A quarter of the light comes back to within a quarter of it.
    assert 0.75 < sides[0] / sides[1] < 1.33
    assert min(sides) > 0.15


def test_without_delighting_the_photo_stays(upstream: Upstream, sample, skin):
    kept = texture.run(replace(REQUEST, delight=0.0), *upstream, Progress())
    assert abs(kept.ssim - sample.ssim) < 0.03
    difference = np.abs(kept.skin.astype(int) - sample.skin)
    assert skin.flat(difference)[skin.flat(sample.confidence) > 200].mean() > 1


@pytest.mark.parametrize("light", [(0.5, 0.8, 1.4), (1.5, 0.9, 0.4), (0.75, 1.15, 0.75)])
def test_the_colour_of_light_is_taken_from_eyes_and_hair_as_from_skin(upstream: Upstream, light):
    """What the textures are made from: the irises' colour, the hair's from dark to light, plain skin."""
    seen = upstream[0]
    coloured = linear_to_bytes(srgb_to_linear(seen.image.astype(np.float32) / 255) * np.array(light, np.float32))
    parts = (seen.person, seen.hair, seen.skin, seen.occluder)
    view = PhotoView(seen.image, seen.valid, seen.landmarks, *parts)
    masks = photo_masks(replace(view, image=coloured))
    plain = masks.plain > 0.5
    assert in_white_light(seen.image, plain) is seen.image

    def colours(image: np.ndarray) -> np.ndarray:
        iris = linear_to_srgb(iris_colour(image, seen.landmarks, 1.0)[0])
        hair = hair_tone(image, masks.hair).at(np.array([0.1, 0.5, 0.9]))
        skin = np.median(image[plain], axis=0).astype(np.float32) / 255
        return cv2.cvtColor(np.stack([iris, *hair, skin])[None].astype(np.float32), cv2.COLOR_RGB2Lab)[0, :, 1:]

    true, lit, found = colours(seen.image), colours(coloured), colours(in_white_light(coloured, plain))
    off = np.linalg.norm(found - true, axis=1)
    # Skin may have many colours, so this is no measurement: something of the cast stays.
    assert (off < 6).all()
    assert (off[1:] < 0.4 * np.linalg.norm(lit - true, axis=1)[1:]).all()


def test_a_head_photographed_in_blue_light_is_not_blue(upstream: Upstream, sample):
    seen, fitted, sculpted = upstream
    light = np.array([0.5, 0.8, 1.4], np.float32)
    blue = linear_to_bytes(srgb_to_linear(seen.image.astype(np.float32) / 255) * light)
    found = texture.run(REQUEST, replace(seen, image=blue), fitted, sculpted, Progress())
    for image, true in ((found.skin, sample.skin), (found.hair, sample.hair)):
        here, there = (
            cv2.cvtColor(part[..., :3].astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[true.sum(axis=-1) > 0, 1:]
            for part in (image, true)
        )
        assert np.linalg.norm(np.median(here, axis=0) - np.median(there, axis=0)) < 6  # 24 in that light


def test_a_quick_preset_is_small(upstream: Upstream):
    request = replace(REQUEST, preset="quick", texture_size=2048)
    assert texture.run(request, *upstream, Progress()).skin.shape == (1024, 1024, 3)


def test_a_head_without_hair_has_a_blank_hair_image(upstream: Upstream):
    seen, fitted, _ = upstream
    guided = guide.run(REQUEST, seen, fitted, Progress())
    bare = sculpt.run(replace(REQUEST, hair="none"), seen, fitted, guided, Progress())
    found = texture.run(REQUEST, seen, fitted, bare, Progress())
    assert found.hair.shape == (1, 1, 4)
    assert found.hair_uvs.shape == (0, 3, 2)
    scalp = skin_of(found, "scalp")
    assert np.abs(np.median(scalp, axis=0) - np.median(skin_of(found, "face"), axis=0)).max() < 30


def skin_of(result: texture.Texture, name: str) -> np.ndarray:
    raster = head_raster("skin", SIZE)
    return raster.flat(result.skin)[region(raster, name)].astype(float)


def test_a_grey_photo_gives_a_grey_head_and_says_so(upstream: Upstream):
    seen, fitted, sculpted = upstream
    grey = np.repeat(seen.image.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    found = texture.run(REQUEST, replace(seen, image=grey), fitted, sculpted, Progress())
    for image in (found.skin, found.eyes, found.mouth, found.hair):
        assert np.ptp(image[..., :3].astype(int), axis=-1).max() <= 2
    assert any("no colour" in warning for warning in found.warnings)


def test_no_skin_at_all_still_gives_a_head(upstream: Upstream):
    seen, fitted, sculpted = upstream
    nothing = np.zeros_like(seen.skin)
    found = texture.run(REQUEST, replace(seen, skin=nothing, person=nothing), fitted, sculpted, Progress())
    assert any("Too little bare skin" in warning for warning in found.warnings)
    face = skin_of(found, "face")
    assert 60 < np.median(face) < 230


def test_closed_eyes_and_smiles_are_named(upstream: Upstream):
    seen, fitted, sculpted = upstream
    expression = np.zeros(52, np.float32)
    expression[[ARKIT_NAMES.index(f"eyeBlink{side}") for side in ("Left", "Right")]] = 0.9
    closed = texture.run(REQUEST, seen, replace(fitted, expression=expression), sculpted, Progress())
    assert any("closed" in warning for warning in closed.warnings)
    expression = np.zeros(52, np.float32)
    expression[[ARKIT_NAMES.index(f"mouthSmile{side}") for side in ("Left", "Right")]] = 0.9
    smiling = texture.run(REQUEST, seen, replace(fitted, expression=expression), sculpted, Progress())
    assert any("smiles" in warning for warning in smiling.warnings)


def test_the_skin_behind_the_frame_of_glasses_looks_as_without_them(upstream: Upstream, sample, skin):
    seen, fitted, sculpted = upstream
    picture, frame = wearing(seen.image, seen.landmarks, Spectacles((40, 30, 30), 0.045, 0.4, (0.41, 0.28)))
    occluder = obstructions(picture, seen.landmarks).mask
    found = texture.run(REQUEST, replace(seen, image=picture, occluder=occluder), fitted, sculpted, Progress())
    pixels = fitted.camera.project(skin.spread(sculpted.refine(fitted).posed).astype(np.float64)).astype(int)
    behind = frame[tuple(np.clip(pixels[:, ::-1], 0, len(frame) - 1).T)] & (skin.flat(sample.confidence) > 150)
    behind &= region(skin, "face")
    assert behind.sum() > 3000
    off = np.abs(skin.flat(found.skin).astype(int) - skin.flat(sample.skin)).max(axis=1)
    assert off[behind].mean() < 20  # of the 130 and more that a dark frame is off
    assert np.percentile(off[behind], 95) < 70  # where it crossed a brow
    assert off[(skin.flat(sample.confidence) > 150) & ~behind].mean() < 5
