"""Normals, occlusion and roughness as files hold them."""

import numpy as np
import pytest
from portrait_head.geometry.surface import vertex_normals
from portrait_head.head_model import load_head_model
from portrait_head.texturing.ambient import AmbientConfig, Surroundings, texel_ambient, vertex_ambient
from portrait_head.texturing.material_maps import Carved, HeadMaps, encoded, hair_maps, head_maps, packed
from portrait_head.texturing.relief import ReliefConfig, skin_height, slopes
from portrait_head.texturing.skin import faces_of
from portrait_head.texturing.uv_raster import head_raster

SIZE = 256
NO_HAIR = np.zeros((0, 3)), np.zeros((0, 3), np.int32)


def decoded(image: np.ndarray) -> np.ndarray:
    return image / 127.5 - 1


def surroundings(hair: tuple[np.ndarray, np.ndarray] = NO_HAIR) -> Surroundings:
    model = load_head_model()
    vertices = model.vertices.astype(np.float64)
    return Surroundings(vertices, vertices, model.quads, faces_of(model, "skin", "eyes", "mouth"), hair)


@pytest.fixture(scope="module")
def made() -> HeadMaps:
    """Maps of the head model as its own sculpt, seen by a photo without any detail."""
    model = load_head_model()
    around = surroundings()
    carved = Carved(around.vertices, faces_of(model, "skin"), np.full(len(around.vertices), -1.0))
    plain = np.full((SIZE, SIZE, 3), 150, np.uint8)
    return head_maps(model, around, carved, plain, np.full((SIZE, SIZE), 255, np.uint8), seed=1)


def at(image: np.ndarray, region: str, material: str = "skin") -> np.ndarray:
    """Texels [N, ...] of a region of the head."""
    model = load_head_model()
    raster = head_raster(material, image.shape[0])
    inside = np.zeros(len(model.vertices))
    inside[model.regions[region]] = 1
    return raster.flat(image)[raster.spread(inside) > 0.9]


def test_normals_are_unit_and_point_out(made):
    for maps in (made.skin, made.eyes):
        assert maps.normal is not None
        length = np.linalg.norm(decoded(maps.normal), axis=-1)
        # Dither moves two of three channels by up to a step and a half of 1 / 127.5.
        np.testing.assert_allclose(length, 1, atol=0.02)
        assert (maps.normal[..., 2] > 128).all()


def test_a_head_on_itself_is_flat_where_nothing_is_finer(made):
    assert (at(made.skin.normal, "scalp") == (128, 128, 255)).all()
    assert np.median(np.abs(at(made.skin.normal, "forehead")[:, :2].astype(int) - 128)) <= 3


def test_dither_keeps_the_mean_that_eight_bits_cannot_hold():
    tilt = 0.0105  # a third of a step from what eight bits hold
    local = np.tile([tilt, 0.0, np.sqrt(1 - tilt**2)], (200_000, 1)).astype(np.float32)
    mean = decoded(encoded(local, 3)[:, 0].astype(float)).mean()
    assert mean == pytest.approx(tilt, abs=5e-5)
    assert abs(np.rint((tilt + 1) * 127.5) / 127.5 - 1 - tilt) > 1e-3, "without it the mean is off"
    np.testing.assert_array_equal(encoded(local, 3), encoded(local, 3))


def test_the_packed_map_is_occlusion_roughness_and_no_metal(made):
    image = packed(np.array([[1.0, 0.0]]), np.array([[0.5, 2.0]]))
    np.testing.assert_array_equal(image, [[[255, 128, 0], [0, 255, 0]]])
    for maps in (made.skin, made.eyes, made.mouth):
        assert not maps.orm[..., 2].any()


def test_the_t_zone_shines_more_than_cheeks_and_lips_most(made):
    rough = {name: np.median(at(made.skin.orm, name)[:, 1]) for name in ("nose", "forehead", "lips", "scalp", "neck")}
    assert rough["lips"] < rough["nose"] < rough["forehead"] < rough["neck"] < rough["scalp"]


def test_no_border_of_roughness_is_a_step(made):
    raster = head_raster("skin", made.skin.orm.shape[0])
    inside = raster.sparse_image(np.ones(len(raster.texels), bool), outside=False)
    rough = made.skin.orm[..., 1].astype(int)
    beside = np.abs(np.diff(rough, axis=1))[inside[:, 1:] & inside[:, :-1]]
    # A texel is 3 mm here; lips and skin are 46 apart.
    assert np.percentile(beside, 99) < 16


def test_the_cornea_is_a_mirror_and_the_sclera_is_not(made):
    model = load_head_model()
    raster = head_raster("eyes", made.eyes.orm.shape[0])
    rough = raster.flat(made.eyes.orm)[:, 1]
    part = model.part("eye_left")
    ball = model.vertices[slice(*part.vertices)]
    mine = np.isin(raster.triangle // 2, np.arange(*part.faces))
    out = raster.spread(model.vertices)[mine] - (ball.min(axis=0) + ball.max(axis=0)) / 2
    facing = out[:, 2] / np.linalg.norm(out, axis=1)
    assert (rough[mine][facing > np.cos(np.radians(18))] < 12).all()
    assert (rough[mine][facing < np.cos(np.radians(32))] > 30).all()
    # At the cornea's edge the normal leans outwards; in its middle it looks straight on.
    assert made.eyes.normal is not None
    tilt = np.degrees(np.arccos(np.clip(decoded(raster.flat(made.eyes.normal)[mine][:, 2].astype(float)), -1, 1)))
    ring = (facing < np.cos(np.radians(14))) & (facing > np.cos(np.radians(18)))
    assert np.median(tilt[ring]) > 5
    assert np.median(tilt[facing > np.cos(np.radians(3))]) < 5


def test_nostrils_and_the_line_of_the_mouth_are_dark_and_the_forehead_is_not(made):
    sky = {name: at(made.skin.orm, name)[:, 0].astype(float).mean() for name in ("forehead", "nostrils", "mouth_loop")}
    assert sky["forehead"] > 240
    assert sky["nostrils"] < 0.8 * sky["forehead"]
    assert sky["mouth_loop"] < 0.4 * sky["forehead"]


def plane(width: float, walls: float) -> Surroundings:
    """A square facing +Z; with `walls` of that height (metres) standing close to both sides of its middle line."""
    x, y = np.meshgrid(np.linspace(-width, width, 21), np.linspace(-width, width, 21))
    corner = (np.arange(20)[:, None] * 21 + np.arange(20)).ravel()
    quads = np.stack([corner, corner + 1, corner + 22, corner + 21], axis=1)
    floor = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
    vertices, faces = [floor], [quads]
    if walls:
        for side in (-0.002, 0.002):
            ends = [[side, -width, 0], [side, width, 0], [side, width, walls], [side, -width, walls]]
            faces.append(np.arange(4)[None] + sum(map(len, vertices)))
            vertices.append(np.array(ends))
    every, all_quads = np.concatenate(vertices), np.concatenate(faces)
    return Surroundings(every, every, all_quads, all_quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3), NO_HAIR)


def test_an_open_plane_sees_all_of_the_sky():
    np.testing.assert_array_equal(vertex_ambient(plane(0.05, 0.0)).rest, 1.0)


def test_a_crevice_is_as_dark_as_its_walls_say():
    around = plane(0.05, 0.01)
    middle = int(np.flatnonzero((np.abs(around.vertices) < 1e-9).all(axis=1))[0])
    found = vertex_ambient(around, AmbientConfig(vertex_rays=512)).rest[middle]
    # Between two long walls a cosine-weighted floor sees sin(atan(half width / height)).
    assert found == pytest.approx(np.sin(np.arctan(0.002 / 0.0095)), abs=0.03)


def test_what_opens_is_eased_by_half():
    closed = plane(0.05, 0.01)
    opened = Surroundings(closed.vertices, plane(0.05, 1e-6).vertices, closed.quads, closed.hiding, NO_HAIR)
    known = vertex_ambient(opened)
    middle = int(np.flatnonzero((np.abs(closed.vertices) < 1e-9).all(axis=1))[0])
    assert known.eased[middle] == pytest.approx((known.rest[middle] + 1) / 2, abs=0.02)


def test_hair_hides_half_of_what_it_covers():
    model = load_head_model()
    around = surroundings()
    scalp = faces_of(model, "skin")
    scalp = scalp[np.isin(scalp, model.regions["scalp"]).all(axis=1)]
    covered = surroundings((around.vertices * 1.1, scalp))
    raster = head_raster("skin", 128)
    known = vertex_ambient(around)
    bare, under = (texel_ambient(each, known, raster) for each in (around, covered))
    assert np.median(at(under, "scalp") / at(bare, "scalp")) == pytest.approx(0.5, abs=0.05)
    assert np.median(at(under, "nose") / at(bare, "nose")) == pytest.approx(1, abs=0.01)


def test_dark_dots_are_hollows_of_pore_depth_and_broad_shade_is_none():
    image = np.full((128, 128, 3), 170, np.uint8)
    image[60:64, 60:64] = 140
    image[:, 100:] = 120
    height = skin_height(image, metres=0.0002)
    assert -2e-5 < height[61, 61] < -3e-6
    assert np.abs(height[:30, :60]).max() < 1e-8
    assert np.abs(height).max() <= ReliefConfig().depth * ReliefConfig().limit


def test_slopes_rise_along_u_and_v():
    rows, columns = np.mgrid[:16, :16].astype(np.float32)
    rise = slopes(0.5 * columns - 0.25 * rows)
    np.testing.assert_allclose(rise[2:-2, 2:-2], np.broadcast_to([0.5, 0.25], (12, 12, 2)), atol=1e-6)


def test_hair_shines_strand_by_strand():
    strands = np.full((64, 64, 4), 255, np.uint8)
    strands[..., :3] = np.where(np.arange(64) % 8 < 4, 60, 30)[None, :, None]
    maps = hair_maps(strands, 0)
    assert maps.normal is not None
    tilt = decoded(maps.normal.astype(float))
    assert np.abs(tilt[8:-8, 8:-8, 0]).max() > 0.2, "across strands"
    assert np.abs(tilt[8:-8, 8:-8, 1]).max() < 0.02, "not along them"
    rough = maps.orm[16, 4:-4, 1].astype(int)
    assert np.ptp(rough) > 10
    assert maps.orm[..., 0].min() < 235


def test_a_head_on_itself_is_not_displaced_and_one_under_its_sculpt_is(made):
    assert np.abs(at(made.displacement, "face")).max() < 1e-5
    model, around = load_head_model(), surroundings()
    skin = faces_of(model, "skin")
    out = around.vertices + 0.002 * vertex_normals(around.vertices, skin)
    plain = np.full((SIZE, SIZE, 3), 150, np.uint8)
    carved = Carved(out, skin, np.full(len(out), -1.0))
    found = head_maps(model, around, carved, plain, np.zeros((SIZE, SIZE), np.uint8), seed=1).displacement
    assert np.median(at(found, "forehead")) == pytest.approx(0.002, abs=2e-4)
    assert np.abs(at(found, "scalp")).max() < 1e-4  # there the form is the outline's
