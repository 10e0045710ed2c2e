from __future__ import annotations

import numpy as np
import pytest
from portrait_head.head_model import HeadModel
from portrait_head.head_model.uv_layout import EYE_CAP, GUTTER, eye_radius
from scipy.ndimage import distance_transform_edt


def _triangle_areas(uvs: np.ndarray) -> np.ndarray:
    """[F, 2] signed areas of the two halves of each quad."""
    areas = []
    for corners in ([0, 1, 2], [0, 2, 3]):
        a, b, c = (uvs[:, corner].astype(np.float64) for corner in corners)
        areas.append(((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2)
    return np.stack(areas, axis=1)


def _halves(model: HeadModel) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of the skin [T, 3] and their UVs [T, 3, 2]."""
    rows = slice(*model.part("skin").faces)
    order = [0, 1, 2, 0, 2, 3]
    return model.quads[rows][:, order].reshape(-1, 3), model.uvs[rows][:, order].reshape(-1, 3, 2).astype(np.float64)


def _of(model: HeadModel, region: str) -> np.ndarray:
    return np.isin(_halves(model)[0], model.regions[region]).all(axis=1)


def _shares(model: HeadModel) -> dict[str, float]:
    """What share of the skin's area in the map each region has, by the quads that lie in it whole."""
    rows = slice(*model.part("skin").faces)
    areas = _triangle_areas(model.uvs[rows]).sum(axis=1)
    quads = model.quads[rows]
    names = ("face", "scalp", "neck")
    return {name: areas[np.isin(quads, model.regions[name]).all(axis=1)].sum() / areas.sum() for name in names}


def _texels(model: HeadModel, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Texels a millimetre, longest over shortest side of a round patch in the map, and area, of each triangle [T]."""
    triangles, uvs = _halves(model)
    corners = model.vertices[triangles].astype(np.float64)
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    along = one / np.linalg.norm(one, axis=1, keepdims=True)
    normal = np.cross(one, other)
    across = np.cross(normal / np.linalg.norm(normal, axis=1, keepdims=True), along)
    flat = np.stack([np.stack([(e * a).sum(axis=1) for e in (one, other)], axis=1) for a in (along, across)], axis=1)
    jacobian = (uvs[:, 1:] - uvs[:, :1]).transpose(0, 2, 1) @ np.linalg.inv(flat)
    values = np.linalg.svd(jacobian, compute_uv=False)
    area = np.linalg.norm(normal, axis=1) / 2
    return np.sqrt(values.prod(axis=1)) * size / 1000, values[:, 0] / values[:, 1], area


def _quantiles(values: np.ndarray, weights: np.ndarray, at: tuple[float, ...]) -> list[float]:
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    return [float(values[order][np.searchsorted(share, one)]) for one in at]


def _gap(one: np.ndarray, other: np.ndarray) -> float:
    """Texels between the nearest of two masks."""
    away = np.asarray(distance_transform_edt(~one))
    return float(away[other].min())


def _covered(uvs: np.ndarray, size: int) -> np.ndarray:
    """[size, size] how many of the quads [F, 4, 2] cover each texel's centre."""
    count = np.zeros((size, size), dtype=np.int32)
    for quad in uvs.astype(np.float64) * size:
        for corners in (quad[[0, 1, 2]], quad[[0, 2, 3]]):
            low = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
            high = np.minimum(np.ceil(corners.max(axis=0)).astype(int), size)
            x, y = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
            inside = np.ones(x.shape, dtype=bool)
            for one, other in zip(corners, np.roll(corners, -1, axis=0), strict=True):
                inside &= (other[0] - one[0]) * (y - one[1]) - (other[1] - one[1]) * (x - one[0]) > 0
            count[low[1] : high[1], low[0] : high[0]] += inside
    return count


@pytest.mark.parametrize(
    "part", ["skin", "mouth", "eye_left", "eye_right", "teeth_upper", "teeth_lower", "tongue", "lashes"]
)
def test_nothing_is_flipped_or_flat(model: HeadModel, part: str):
    assert (_triangle_areas(model.uvs[slice(*model.part(part).faces)]) > 0).all()


def test_every_material_stays_in_its_square_with_a_gutter(model: HeadModel):
    assert model.uvs.min() >= GUTTER - 1e-6 and model.uvs.max() <= 1 - GUTTER + 1e-6


@pytest.mark.parametrize(
    "parts", [("skin",), ("mouth", "teeth_upper", "teeth_lower", "tongue"), ("lashes",), ("eye_left",)]
)
def test_no_texel_is_used_twice(model: HeadModel, parts: tuple[str, ...]):
    faces = np.concatenate([np.arange(*model.part(part).faces) for part in parts])
    assert _covered(model.uvs[faces], 1024).max() == 1


def test_the_skin_is_exactly_mirror_symmetric(model: HeadModel):
    faces = range(*model.part("skin").faces)
    opposite = {tuple(sorted(model.quads[face].tolist())): face for face in faces}
    for face in faces:
        mirrored = model.mirror[model.quads[face]].tolist()
        other = opposite[tuple(sorted(mirrored))]
        there = model.uvs[other][[model.quads[other].tolist().index(vertex) for vertex in mirrored]]
        np.testing.assert_array_equal(model.uvs[face, :, 0], np.float32(1) - there[:, 0])
        np.testing.assert_array_equal(model.uvs[face, :, 1], there[:, 1])


def test_half_of_the_skin_map_is_the_faces(model: HeadModel):
    shares = _shares(model)
    assert shares["face"] >= 0.5
    assert shares["face"] > 2 * max(shares["scalp"], shares["neck"])


def test_texels_on_the_face_are_even_and_nearly_square_and_elsewhere_no_finer(model: HeadModel):
    density, stretch, area = _texels(model, 2048)
    by_region = {name: _of(model, name) for name in ("face", "scalp", "neck", "ear_left", "ear_right")}
    face = by_region["face"]
    low, middle, high = _quantiles(density[face], area[face], (0.02, 0.5, 0.98))
    assert middle > 7.0, "texels a millimetre"
    assert low > 0.8 * middle and high < 1.2 * middle
    assert _quantiles(stretch[face], area[face], (0.95,))[0] < 1.5, "length over width of a round patch"
    others = {name: _quantiles(density[rows], area[rows], (0.5,))[0] for name, rows in by_region.items()}
    assert others["scalp"] < others["neck"] < others["face"]
    assert others["scalp"] < others["ear_left"] < others["face"]
    for name in ("scalp", "neck", "ear_left"):
        assert stretch[by_region[name]].max() < 30


def test_islands_of_the_skin_lie_eight_texels_apart_at_2k(model: HeadModel):
    """Hidden skin round the eyes, lips and the rest: texels of one are not next to another's in the first mips."""
    rows = slice(*model.part("skin").faces)
    size = 1024
    hidden = np.isin(model.quads[rows], [*model.regions["eye_socket_left"], *model.regions["eye_socket_right"]])
    hidden = hidden.any(axis=1)
    sockets = _covered(model.uvs[rows][hidden], size) > 0
    visible = _covered(model.uvs[rows][~hidden], size) > 0
    assert _gap(visible, sockets) > 8 * size / 2048
    half = np.arange(size) < size // 2
    assert _gap(sockets & half, sockets & ~half) > 8 * size / 2048
    assert GUTTER * 2048 >= 8


def test_the_cut_runs_down_the_back(model: HeadModel):
    rows = slice(*model.part("skin").faces)
    hidden = [*model.regions["eye_loop_left"], *model.regions["eye_loop_right"]]
    corners = np.concatenate(
        [model.quads[rows].reshape(-1, 1), np.round(model.uvs[rows].reshape(-1, 2) * 1e6)], axis=1
    ).astype(np.int64)
    found, count = np.unique(np.unique(corners, axis=0)[:, 0], return_counts=True)
    cut = model.vertices[np.setdiff1d(found[count > 1], hidden)]
    np.testing.assert_allclose(cut[:, 0], 0.0, atol=1e-6)
    on_top = cut[:, 1] > 0.13
    assert cut[~on_top, 2].max() < -0.05 and cut[:, 2].max() < 0.02


def test_both_eyeballs_have_the_pupil_in_the_middle(model: HeadModel):
    for side in ("left", "right"):
        part = model.part(f"eye_{side}")
        ball = model.vertices[slice(*part.vertices)]
        corners = model.vertices[model.quads[slice(*part.faces)]]
        direction = corners - (ball.min(axis=0) + ball.max(axis=0)) / 2
        angle = np.arccos(direction[..., 2] / np.linalg.norm(direction, axis=-1))
        uvs = model.uvs[slice(*part.faces)]
        seen = angle.max(axis=1) < EYE_CAP
        radius = np.linalg.norm(uvs[seen] - 0.5, axis=-1)
        np.testing.assert_allclose(radius, eye_radius(angle[seen]), atol=1e-4)
        right_of_pupil = uvs[seen][..., 0] > 0.5
        assert (right_of_pupil == (direction[seen][..., 0] > 0)).mean() > 0.99


def test_lashes_grow_upwards_in_their_strips(model: HeadModel):
    rows = slice(*model.part("lashes").faces)
    upright = []
    for corners, uvs in zip(model.vertices[model.quads[rows]], model.uvs[rows], strict=True):
        upwards = np.argsort(uvs[:, 1], kind="stable")
        upright.append(corners[upwards[:2], 2].mean() < corners[upwards[2:], 2].mean())
        strip = int(uvs[:, 1].mean() * 4)
        assert (corners[:, 0].mean() > 0) == (strip in (1, 3)), "left strips lie above right ones"
    assert np.mean(upright) > 0.9, "roots lie behind the tips, but for hairs that grow sideways at the corners"
