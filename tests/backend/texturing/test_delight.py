import numpy as np
import pytest
from portrait_head.geometry.surface import vertex_normals
from portrait_head.head_model import load_head_model
from portrait_head.rendering.lighting import COSINE_LOBE, sh_basis
from portrait_head.texturing.delight import (
    LUMINANCE,
    darker_than_mirror,
    one_sided,
    shading,
    uneven,
    without_creases,
    without_shine,
)
from portrait_head.texturing.skin import faces_of
from portrait_head.texturing.surface_fill import edge_laplacian

ALBEDO = np.array([0.5, 0.3, 0.22])


@pytest.fixture(scope="module")
def head():
    model = load_head_model()
    skin = faces_of(model, "skin")
    trust = np.zeros(len(model.vertices))
    trust[model.regions["face"]] = 1.0
    return vertex_normals(model.vertices, skin), trust, model.mirror, edge_laplacian(skin, len(trust))


def lit(normals: np.ndarray) -> np.ndarray:
    """Skin of one albedo under a warm light from the left and a cool one from above."""
    light = np.zeros((9, 3))
    light[0] = 2.2
    light[3] = 0.9, 0.8, 0.6
    light[1] = 0.2, 0.25, 0.35
    light[2] = 0.3
    return ALBEDO * ((sh_basis(normals) * COSINE_LOBE) @ light) / 2


def spread(colour: np.ndarray, used: np.ndarray) -> float:
    return float(np.log(colour[used] @ LUMINANCE).std())


def test_light_on_one_albedo_is_taken_out(head):
    normals, trust, _, _ = head
    used = np.flatnonzero(trust)
    colour = lit(normals)
    light = shading(normals, colour, trust)
    assert light is not None
    assert spread(colour, used) > 0.12
    assert spread(colour / light, used) < 0.03
    # Each channel on its own: no coloured shade remains.
    hue = (colour / light)[used]
    assert (hue / hue.mean(axis=1, keepdims=True)).std(axis=0).max() < 0.02


def test_beard_and_highlight_do_not_mislead_it(head):
    normals, trust, _, _ = head
    used = np.flatnonzero(trust)
    clean = lit(normals)
    dirty = clean.copy()
    rng = np.random.default_rng(0)
    dirty[rng.choice(used, len(used) // 6, replace=False)] *= 0.3
    dirty[rng.choice(used, len(used) // 20, replace=False)] *= 2.5
    light = shading(normals, dirty, trust)
    assert light is not None
    assert spread(clean / light, used) < 0.05


def test_too_little_skin_says_nothing(head):
    normals, trust, _, _ = head
    few = np.zeros_like(trust)
    few[:20] = 1
    assert shading(normals, lit(normals), few) is None


def test_a_shadow_on_one_side_is_found(head):
    _, trust, mirror, laplacian = head
    left = load_head_model().vertices[:, 0] > 0.01
    colour = np.where(left[:, None], ALBEDO * 0.6, ALBEDO)
    log_gain = one_sided(colour, trust, mirror, laplacian)
    used = np.flatnonzero((trust > 0) & (np.abs(load_head_model().vertices[:, 0]) > 0.03))
    evened = colour * np.exp(-log_gain)
    assert spread(evened, used) < 0.3 * spread(colour, used)
    deeper = darker_than_mirror(colour, trust, mirror, laplacian)
    np.testing.assert_allclose(np.median(deeper[used][left[used]]), -np.log(0.6), atol=0.05)
    assert np.median(deeper[used][~left[used]]) < 0


def test_a_symmetric_face_has_no_side(head):
    normals, trust, mirror, laplacian = head
    colour = lit(normals)
    colour = (colour + colour[mirror]) / 2
    assert np.abs(one_sided(colour, trust, mirror, laplacian)).max() < 1e-6


def test_unevenness_of_hue_goes_more_than_of_light(head):
    _, trust, _, laplacian = head
    used = np.flatnonzero(trust)
    half = load_head_model().vertices[:, 1] > 0.02
    orange, dark = np.array([1.15, 1.0, 0.7]), np.array([0.7, 0.7, 0.7])
    for factor, low, high in ((orange, 0.5, 0.9), (dark, 0.1, 0.45)):
        colour = np.where(half[:, None], ALBEDO * factor, ALBEDO)
        evened = colour * np.exp(-uneven(colour, trust, laplacian))
        before = np.log(colour[used]).std(axis=0).max()
        after = np.log(evened[used]).std(axis=0).max()
        assert low < 1 - after / before < high


def test_shine_is_pressed_and_gets_the_hue_of_skin():
    base = np.repeat(ALBEDO[None], 3, axis=0)
    texels = np.stack([ALBEDO, ALBEDO + 0.4, ALBEDO * 0.5])
    out = without_shine(texels, base, np.ones(3))
    np.testing.assert_allclose(out[0], texels[0], rtol=1e-5)
    np.testing.assert_allclose(out[2], texels[2], rtol=1e-5)
    assert out[1] @ LUMINANCE < 0.75 * (texels[1] @ LUMINANCE)
    assert out[1, 0] / out[1, 2] > texels[1, 0] / texels[1, 2]
    np.testing.assert_allclose(without_shine(texels, base, np.zeros(3)), texels, rtol=1e-5)


def test_folds_become_shallower_but_never_brighter_than_the_skin():
    base = np.repeat(ALBEDO[None], 4, axis=0)
    texels = ALBEDO * np.array([1.0, 0.8, 0.5, 1.2])[:, None]
    out = without_creases(texels, base, np.full(4, 0.6)) @ LUMINANCE
    before, skin = texels @ LUMINANCE, ALBEDO @ LUMINANCE
    assert before[1] < out[1] < skin
    assert before[2] < out[2] < skin
    np.testing.assert_allclose(out[[0, 3]], before[[0, 3]], rtol=1e-5)
