import json

import numpy as np
import pytest
from PIL import Image
from portrait_head.head_model import load_head_model
from portrait_head.head_model.onto_surface import shown_skin
from portrait_head.texturing.bake import BakeConfig, BaseMesh, DetailMaps, bake, bake_skin, write_displacement
from portrait_head.texturing.uv_raster import UvRaster, head_raster, rasterise

from tests.backend.geometry.sculpts import subdivided

Rasters = tuple[UvRaster, UvRaster, UvRaster]

SIDE = 0.1
SIZE = 256


def sheet(count: int) -> tuple[np.ndarray, np.ndarray]:
    """A flat square facing +Z: vertices [count^2, 3], quads."""
    x, y = np.meshgrid(np.linspace(0, SIDE, count), np.linspace(0, SIDE, count))
    corner = (np.arange(count - 1)[:, None] * count + np.arange(count - 1)).ravel()
    quads = np.stack([corner, corner + 1, corner + count + 1, corner + count], axis=1)
    return np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3), quads


def halved(quads: np.ndarray) -> np.ndarray:
    return quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)


def bumps(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Height [N] and its slopes [N, 2] of waves 2 cm long and a millimetre high."""
    k, a = 2 * np.pi / 0.02, 0.001
    x, y = points[:, 0], points[:, 1]
    height = a * np.sin(k * x) * np.cos(k * y)
    slopes = np.stack([a * k * np.cos(k * x) * np.cos(k * y), -a * k * np.sin(k * x) * np.sin(k * y)], axis=1)
    return height, slopes


def rasters(uvs: np.ndarray, quads: np.ndarray, count: int, sizes=(SIZE, SIZE // 2, 32)) -> Rasters:
    corners = uvs[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3, 2)
    fine, middle, coarse = (rasterise(corners, halved(quads), count, (size, size)) for size in sizes)
    return fine, middle, coarse


def baked(
    turn: np.ndarray, height: float = 0.0, wave: float = 1.0, trust: float = 1.0
) -> tuple[DetailMaps, np.ndarray]:
    """Waves over a flat sheet whose texture is turned by `turn` [2, 2]; and the points [S, S, 3] of the texels."""
    vertices, quads = sheet(9)
    uvs = (vertices[quads][..., :2] / SIDE - 0.5) @ turn.T + 0.5
    fine, faces = sheet(241)
    sculpt = fine + [0, 0, 1] * (height + wave * bumps(fine)[0])[:, None]
    base = BaseMesh(vertices, quads, uvs, halved(quads), np.full(len(vertices), trust))
    found = rasters(uvs, quads, len(vertices))
    maps = bake(base, (sculpt, halved(faces)), (sculpt, halved(faces)), found)
    points = found[0].spread(vertices)
    return maps, found[0].sparse_image(points)


def decoded(normal: np.ndarray) -> np.ndarray:
    vectors = normal / 127.5 - 1
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.mark.parametrize("degrees", [0, 90, 30])
def test_known_bumps_give_known_normals(degrees):
    angle = np.radians(degrees)
    scale = 1.0 if degrees % 90 == 0 else 0.7  # so that the turned square stays in the texture
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    maps, points = baked(turn)
    _, slopes = bumps(points.reshape(-1, 3))
    # In the frame of the texture: its u and v are the sheet's x and y, turned.
    local = np.concatenate([-slopes @ (turn / scale).T, np.ones((len(slopes), 1))], axis=1)
    expected = (local / np.linalg.norm(local, axis=1, keepdims=True)).reshape(points.shape)
    within = (points[..., :2] > 0.012).all(axis=-1) & (points[..., :2] < SIDE - 0.012).all(axis=-1)
    off = np.degrees(np.arccos(np.clip((decoded(maps.normal) * expected).sum(axis=-1), -1, 1)))[within]
    assert within.mean() > 0.25
    # Eight bits hold half a degree; the waves are 17 degrees steep.
    assert off.mean() < 1.0
    assert off.max() < 3.0


def test_displacement_is_the_height_in_metres():
    maps, points = baked(np.eye(2), height=0.002)
    metres = (maps.displacement / 65535 - maps.midlevel) * maps.scale
    within = (points[..., :2] > 0.012).all(axis=-1) & (points[..., :2] < SIDE - 0.012).all(axis=-1)
    expected = 0.002 + bumps(points.reshape(-1, 3))[0].reshape(within.shape)
    # Texels of the rays' grid are 0.8 mm apart.
    np.testing.assert_allclose(metres[within], expected[within], atol=6e-5)


def test_a_sculpt_within_the_head_counts_too():
    maps, _ = baked(np.eye(2), height=-0.003, wave=0.0)
    metres = (maps.displacement / 65535 - maps.midlevel) * maps.scale
    np.testing.assert_allclose(metres[SIZE // 4 : -SIZE // 4, SIZE // 4 : -SIZE // 4], -0.003, atol=1e-6)
    assert maps.met == 1.0


def test_flat_stays_flat():
    maps, _ = baked(np.eye(2), wave=0.0)
    assert (maps.normal == (128, 128, 255)).all()
    metres = (maps.displacement / 65535 - maps.midlevel) * maps.scale
    np.testing.assert_allclose(metres, 0, atol=1e-6)
    assert (maps.occlusion == 255).all()


@pytest.mark.parametrize("what", [{"height": 0.02}, {"trust": 0.0}])
def test_what_is_far_or_not_trusted_leaves_the_maps_flat(what):
    maps, _ = baked(np.eye(2), **what)
    assert (maps.normal == (128, 128, 255)).all()
    assert np.ptp(maps.displacement) == 0
    assert maps.met == 0.0


def test_the_other_side_of_a_thin_sheet_is_not_taken():
    vertices, quads = sheet(9)
    fine, faces = sheet(61)
    base = BaseMesh(vertices, quads, vertices[quads][..., :2] / SIDE, halved(quads), np.ones(len(vertices)))
    near = fine + [0, 0, 0.001], halved(faces)[:, ::-1]
    far = fine - [0, 0, 0.004], halved(faces)
    both = np.concatenate([near[0], far[0]]), np.concatenate([near[1], far[1] + len(fine)])
    # The nearer sheet faces away and hides nothing behind it on the other side.
    maps = bake(base, both, far, rasters(base.uvs, quads, len(vertices)))
    metres = (maps.displacement / 65535 - maps.midlevel) * maps.scale
    np.testing.assert_allclose(metres[SIZE // 4 : -SIZE // 4, SIZE // 4 : -SIZE // 4], -0.004, atol=1e-6)


def test_the_displacement_file_says_what_it_means(tmp_path):
    maps, _ = baked(np.eye(2))
    write_displacement(tmp_path / "displacement.png", maps)
    with Image.open(tmp_path / "displacement.png") as image:
        note = json.loads(image.text["displacement"])  # pyright: ignore[reportAttributeAccessIssue]
        np.testing.assert_array_equal(np.asarray(image).astype(np.uint16), maps.displacement)
    assert note == {"unit": "metre", "scale": maps.scale, "midlevel": maps.midlevel}


@pytest.fixture(scope="module")
def on_the_head() -> DetailMaps:
    """The head's own surface as the sculpt, with a cap of hair a centimetre over the scalp."""
    model = load_head_model()
    vertices = model.vertices.astype(np.float64)
    skin = subdivided(vertices, shown_skin(model))
    scalp = shown_skin(model)
    scalp = scalp[np.isin(scalp, model.regions["scalp"]).all(axis=1)]
    hair = vertices * 1.1
    hiding = np.concatenate([skin[0], hair]), np.concatenate([skin[1], scalp + len(skin[0])])
    trust = np.zeros(len(vertices))
    trust[slice(*model.part("skin").vertices)] = 1.0
    return bake_skin(vertices, trust, skin, hiding, 512, BakeConfig(sky_rays=24, ray_size=256, sky_size=128))


def at(maps: np.ndarray, region: str) -> np.ndarray:
    """Texels [N, ...] of a region of the head."""
    model = load_head_model()
    raster = head_raster("skin", 512)
    inside = np.zeros(len(model.vertices))
    inside[model.regions[region]] = 1
    return raster.flat(maps)[raster.spread(inside) > 0.9]


def test_a_head_baked_from_itself_is_nearly_flat(on_the_head):
    off = np.degrees(np.arccos(decoded(at(on_the_head.normal, "face"))[:, 2]))
    # Facets against smooth normals: what remains is how flat triangles differ from the surface they stand for.
    assert off.mean() < 3.0
    metres = (at(on_the_head.displacement, "face") / 65535 - on_the_head.midlevel) * on_the_head.scale
    assert np.abs(metres).max() < 1e-4
    assert on_the_head.met > 0.98


def test_nostrils_are_dark_and_the_forehead_is_bright(on_the_head):
    assert at(on_the_head.occlusion, "nose").max() > 200
    assert at(on_the_head.occlusion, "nostrils").mean() < 0.8 * at(on_the_head.occlusion, "nose").mean()
    assert at(on_the_head.occlusion, "mouth_loop").mean() < 60
    assert at(on_the_head.occlusion, "scalp").mean() < 0.4 * at(on_the_head.occlusion, "face").mean()


def test_every_texel_has_a_value_and_gutters_are_filled(on_the_head):
    raster = head_raster("skin", 512)
    outside = raster.sparse_image(np.zeros(len(raster.texels), np.uint8), 1) == 1
    assert outside.any()
    # Every normal points outwards, in gutters too.
    assert (on_the_head.normal[..., 2] > 128).all()
    for image in (on_the_head.normal, on_the_head.occlusion):
        assert image.dtype == np.uint8
    assert on_the_head.displacement.dtype == np.uint16
