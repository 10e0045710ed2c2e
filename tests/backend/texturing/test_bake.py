import numpy as np
import pytest
from portrait_head.head_model import load_head_model
from portrait_head.head_model.onto_surface import shown_skin
from portrait_head.texturing.bake import MIDLEVEL, BakeConfig, BaseMesh, SculptDetail, bake, sixteen_bits
from portrait_head.texturing.material_maps import encoded
from portrait_head.texturing.tangents import tangent_frames
from portrait_head.texturing.uv_raster import UvRaster, head_raster, rasterise

from tests.backend.geometry.sculpts import subdivided

SIDE = 0.1
SIZE = 256
SHARP = BakeConfig(smooth=0.0, cage=0.008, fade=0.006)
Sheet = tuple[np.ndarray, np.ndarray]


def sheet(count: int) -> Sheet:
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


def rasters(uvs: np.ndarray, quads: np.ndarray, count: int, sizes=(SIZE, SIZE // 2)) -> tuple[UvRaster, UvRaster]:
    corners = uvs[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3, 2)
    fine, coarse = (rasterise(corners, halved(quads), count, (size, size)) for size in sizes)
    return fine, coarse


def baked_sheet(
    turn: np.ndarray, sculpt: Sheet, trust: float = 1.0, config: BakeConfig = SHARP
) -> tuple[SculptDetail, UvRaster, UvRaster, np.ndarray]:
    """The detail of a sculpt over a flat sheet whose texture is turned by `turn` [2, 2], and the sheet's vertices."""
    vertices, quads = sheet(9)
    uvs = (vertices[quads][..., :2] / SIDE - 0.5) @ turn.T + 0.5
    base = BaseMesh(vertices, tangent_frames(vertices, quads, uvs), np.full(len(vertices), trust))
    fine, coarse = rasters(uvs, quads, len(vertices))
    return bake(base, sculpt, fine, coarse, config), fine, coarse, vertices


def waves(height: float = 0.0, wave: float = 1.0) -> Sheet:
    fine, faces = sheet(241)
    return fine + [0, 0, 1] * (height + wave * bumps(fine)[0])[:, None], halved(faces)


def inner(points: np.ndarray) -> np.ndarray:
    """Places away from the border, where the sculpt ends."""
    return (points[:, :2] > 0.012).all(axis=1) & (points[:, :2] < SIDE - 0.012).all(axis=1)


@pytest.mark.parametrize("degrees", [0, 90, 30])
def test_known_bumps_give_known_normals(degrees):
    angle = np.radians(degrees)
    scale = 1.0 if degrees % 90 == 0 else 0.7  # so that the turned square stays in the texture
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    detail, fine, _, vertices = baked_sheet(turn, waves())
    points = fine.spread(vertices)
    _, slopes = bumps(points)
    # In the frame of the texture: its u and v are the sheet's x and y, turned.
    expected = np.concatenate([-slopes @ (turn / scale).T, np.ones((len(slopes), 1))], axis=1)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(np.linalg.norm(detail.normal, axis=1), 1, atol=1e-5)
    off = np.degrees(np.arccos(np.clip((detail.normal * expected).sum(axis=1), -1, 1)))[inner(points)]
    # Rays are 0.8 mm apart; the waves are 17 degrees steep.
    assert off.mean() < 0.7
    assert off.max() < 3.0


def test_what_is_shorter_than_the_blur_is_gone_and_what_is_longer_stays():
    fine, faces = sheet(241)
    steepness = {}
    for wavelength in (0.003, 0.04):
        k = 2 * np.pi / wavelength
        sculpt = fine + [0, 0, 0.3 / k] * np.sin(k * fine[:, :1])
        detail, raster, _, vertices = baked_sheet(np.eye(2), (sculpt, halved(faces)), config=BakeConfig())
        steepness[wavelength] = np.abs(detail.normal[inner(raster.spread(vertices)), 0]).max()
    assert steepness[0.003] < 0.02
    assert steepness[0.04] > 0.2


def test_distance_is_the_height_in_metres():
    detail, _, coarse, vertices = baked_sheet(np.eye(2), waves(0.002))
    points = coarse.spread(vertices)
    expected = 0.002 + bumps(points)[0]
    np.testing.assert_allclose(detail.distance[inner(points)], expected[inner(points)], atol=6e-5)


def test_a_sculpt_within_the_head_counts_too():
    detail, _, coarse, vertices = baked_sheet(np.eye(2), waves(-0.003, 0.0))
    np.testing.assert_allclose(detail.distance[inner(coarse.spread(vertices))], -0.003, atol=1e-6)
    assert detail.met == 1.0


def test_flat_stays_flat():
    detail, *_ = baked_sheet(np.eye(2), waves(0.0, 0.0))
    np.testing.assert_array_equal(detail.normal, np.broadcast_to([0, 0, 1], detail.normal.shape))
    assert (encoded(detail.normal, 0) == (128, 128, 255)).all()
    np.testing.assert_allclose(detail.distance, 0, atol=1e-6)


@pytest.mark.parametrize("what", ["far", "not trusted", "nothing"])
def test_what_is_far_or_not_trusted_leaves_the_head_as_it_is(what):
    height, trust = (0.02, 1.0) if what == "far" else (0.0, 0.0)
    vertices, triangles = waves(height)
    triangles = triangles[:0] if what == "nothing" else triangles
    detail, *_ = baked_sheet(np.eye(2), (vertices, triangles), 1.0 if what == "nothing" else trust)
    assert (encoded(detail.normal, 0) == (128, 128, 255)).all()
    assert not detail.distance.any()
    assert detail.met == 0.0


def test_the_other_side_of_a_thin_sheet_is_not_taken():
    fine, faces = sheet(61)
    near, far = fine + [0, 0, 0.001], fine - [0, 0, 0.004]
    # The nearer sheet faces away and hides nothing behind it on the other side.
    both = np.concatenate([near, far]), np.concatenate([halved(faces)[:, ::-1], halved(faces) + len(fine)])
    detail, _, coarse, vertices = baked_sheet(np.eye(2), both)
    np.testing.assert_allclose(detail.distance[inner(coarse.spread(vertices))], -0.004, atol=1e-6)


def test_a_head_baked_from_itself_is_nearly_flat():
    model = load_head_model()
    vertices = model.vertices.astype(np.float64)
    trust = np.zeros(len(vertices))
    trust[model.regions["face"]] = 1.0
    base = BaseMesh(vertices, tangent_frames(vertices, model.quads, model.uvs), trust)
    raster = head_raster("skin", 256)
    detail = bake(base, subdivided(vertices, shown_skin(model)), raster, raster)
    inside = np.zeros(len(vertices))
    inside[model.regions["face"]] = 1
    off = np.degrees(np.arccos(np.clip(detail.normal[raster.spread(inside) > 0.9, 2], -1, 1)))
    # Facets against smooth normals: what remains is how flat triangles differ from the surface they stand for.
    assert off.mean() < 2.0
    assert np.abs(detail.distance).max() < 2e-4
    assert detail.met > 0.97


def test_sixteen_bits_hold_heights_to_the_tenth_of_a_micrometre():
    metres = np.linspace(-0.008, 0.00799, 64).reshape(8, 8)
    value = sixteen_bits(metres).astype(np.float64)
    # Half a step of sixteen bits over 16 mm.
    np.testing.assert_allclose((value / 65535 - MIDLEVEL) * BakeConfig().range, metres, atol=1.3e-7)
    assert sixteen_bits(np.zeros((1, 1)))[0, 0] == 32768
    assert sixteen_bits(np.array([[-1.0, 1.0]])).tolist() == [[0, 65535]]
