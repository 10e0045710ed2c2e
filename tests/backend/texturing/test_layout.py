"""The one UV layout of every head: room between its charts, room for the face, and no colour across its borders."""

import cv2
import numpy as np
import pytest
from portrait_head.head_model import load_head_model
from portrait_head.texturing.uv_raster import head_raster
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from tests.backend.texturing.painted_heads import true_texture
from tests.backend.texturing.seams import across, faces, seams

SIZE = 2048
GUTTER = 8  # texels


def charts(material: str) -> np.ndarray:
    """Which chart covers each texel [SIZE, SIZE]: from 0, -1 for none.

    Faces that share a UV belong to one chart; charts that lie on each other, as those of the two eyes do, are one.
    """
    rows, model = faces(material), load_head_model()
    corners = np.rint(model.uvs[rows].reshape(-1, 2) * 1e5).astype(np.int64)
    number = np.unique(corners, axis=0, return_inverse=True)[1].reshape(-1, 4)
    edges = csr_matrix((np.ones(number.size), (number.reshape(-1), np.roll(number, 1, axis=1).reshape(-1))))
    size = int(number.max()) + 1
    edges.resize((size, size))
    chart = connected_components(edges, directed=False)[1][number[:, 0]]
    middles = np.array([model.uvs[rows[chart == own]].mean(axis=(0, 1)) for own in range(chart.max() + 1)])
    together = np.linalg.norm(middles[:, None] - middles[None], axis=-1) < 0.05
    chart = together.argmax(axis=1)[chart]
    drawn = np.full((SIZE, SIZE), -1, np.int32)
    for row, own in zip(rows, chart, strict=True):
        corner = np.stack([model.uvs[row][:, 0], 1 - model.uvs[row][:, 1]], axis=1) * SIZE
        cv2.fillPoly(drawn, [np.rint((corner - 0.5) * 256).astype(np.int32)], (int(own),), shift=8)
    return drawn


@pytest.mark.parametrize("material", ["skin", "eyes", "mouth", "lashes"])
def test_charts_keep_apart(material):
    drawn = charts(material)
    names = np.unique(drawn[drawn >= 0])
    for name in names:
        away = cv2.distanceTransform((drawn != name).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        others = (drawn >= 0) & (drawn != name)
        assert not others.any() or away[others].min() >= GUTTER


def test_half_of_the_used_texels_show_the_face():
    raster = head_raster("skin", 512)
    model = load_head_model()
    inside = np.zeros(len(model.vertices))
    for region in ("face", "lips", "nose", "forehead"):
        inside[model.regions[region]] = 1
    assert (raster.spread(inside) > 0.5).mean() >= 0.5


def test_gutters_repeat_the_nearest_colour():
    raster = head_raster("skin", 512)
    image = raster.image(np.arange(len(raster.texels), dtype=np.int32))
    own = raster.sparse_image(np.ones(len(raster.texels), np.float32)) > 0
    rows, columns = np.nonzero(~own & (cv2.dilate(own.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0))
    texel = raster.texels[image[rows, columns]]
    assert np.abs(rows - texel // 512).max() <= 1
    assert np.abs(columns - texel % 512).max() <= 1


def test_a_drawn_surface_has_no_step_across_seams():
    raster = head_raster("skin", 1024)
    truth = true_texture(raster)
    steps = across(truth, seams("skin"))
    inside = np.abs(np.diff(truth, axis=1)).mean(axis=-1)[:, :-1]
    own = raster.sparse_image(np.ones(len(raster.texels), np.float32))
    beside = own[:, 1:-1] * own[:, :-2] > 0
    # The two sides are read up to a texel apart in each direction, a texel at the back being several times as large.
    assert np.mean(steps) < 2 * inside[beside].mean()
