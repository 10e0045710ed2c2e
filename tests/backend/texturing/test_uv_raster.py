import numpy as np
import pytest
from portrait_head.head_model import load_head_model
from portrait_head.texturing.uv_raster import UvRaster, head_raster, rasterise

SIZE = 256


@pytest.fixture(scope="module")
def skin() -> UvRaster:
    return head_raster("skin", SIZE)


def texel_uvs(raster: UvRaster) -> np.ndarray:
    rows, columns = raster.shape
    return np.stack([(raster.texels % columns + 0.5) / columns, 1 - (raster.texels // columns + 0.5) / rows], axis=1)


def test_every_texel_lies_in_its_triangle(skin):
    model = load_head_model()
    corners = model.uvs[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3, 2)[skin.triangle]
    barycentric = skin.weights.data.reshape(-1, 3)
    assert barycentric.min() >= -1e-4
    np.testing.assert_allclose(barycentric.sum(axis=1), 1, atol=1e-5)
    there = (corners * barycentric[..., None]).sum(axis=1)
    # Half a texel is 2e-3 here; what remains is the ray caster's single precision.
    np.testing.assert_allclose(there, texel_uvs(skin), atol=2e-5)


def test_no_texel_of_the_layout_is_missed(skin):
    covered = skin.sparse_image(np.ones(len(skin.texels), np.float32))
    inner = (
        (covered == 0)[1:-1, 1:-1]
        & (covered[:-2, 1:-1] > 0) & (covered[2:, 1:-1] > 0) & (covered[1:-1, :-2] > 0) & (covered[1:-1, 2:] > 0)
    )  # fmt: skip
    model = load_head_model()
    part = model.part("skin")
    corners = model.uvs[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3, 2)[2 * part.faces[0] : 2 * part.faces[1]].astype(float)
    for row, column in np.argwhere(inner) + 1:
        at = np.array([(column + 0.5) / SIZE, 1 - (row + 0.5) / SIZE])
        first, second, third = (corners[:, corner] - at for corner in range(3))
        turns = [np.cross(a, b) for a, b in ((first, second), (second, third), (third, first))]
        assert not ((np.array(turns) > 0).all(axis=0) | (np.array(turns) < 0).all(axis=0)).any()


def test_the_skin_layout_mirrors_onto_itself(skin):
    covered = skin.sparse_image(np.ones(len(skin.texels), np.float32))
    assert np.abs(covered - covered[:, ::-1]).mean() < 0.003


def test_linear_values_are_carried_exactly(skin):
    values = load_head_model().vertices
    points = skin.spread(values)
    barycentric = skin.weights.data.reshape(-1, 3, 1)
    direct = (values[skin.weights.indices.reshape(-1, 3)] * barycentric).sum(axis=1)
    np.testing.assert_allclose(points, direct, atol=1e-6)


def test_the_image_has_no_hole_and_keeps_texels(skin):
    values = np.random.default_rng(0).random((len(skin.texels), 3), np.float32) + 1
    image = skin.image(values)
    assert image.min() >= 1
    np.testing.assert_array_equal(skin.flat(image), values)


def test_the_highest_of_two_layers_wins():
    square = np.array([[0, 0], [1, 0], [1, 1]], np.float32)
    uvs = np.stack([square, square])
    triangles = np.array([[0, 1, 2], [3, 4, 5]])
    for top in (0, 1):
        height = np.zeros((2, 3))
        height[top] = 0.5
        assert (rasterise(uvs, triangles, 6, (32, 64), height).triangle == top).all()


def test_a_triangle_without_area_owns_nothing():
    uvs = np.array([[[0, 0], [0.5, 0.5], [1, 1]], [[0, 0], [1, 0], [1, 1]]], np.float32)
    raster = rasterise(uvs, np.array([[0, 1, 2], [3, 4, 5]]), 6, (16, 16))
    assert len(raster.texels) > 0
    assert set(raster.triangle.tolist()) == {1}
