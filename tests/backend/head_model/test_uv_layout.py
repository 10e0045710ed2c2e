from __future__ import annotations

import numpy as np
import pytest
from portrait_head.head_model import HeadModel
from portrait_head.head_model.uv_layout import EYE_CAP, GUTTER, eye_radius


def _triangle_areas(uvs: np.ndarray) -> np.ndarray:
    """[F, 2] signed areas of the two halves of each quad."""
    areas = []
    for corners in ([0, 1, 2], [0, 2, 3]):
        a, b, c = (uvs[:, corner].astype(np.float64) for corner in corners)
        areas.append(((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2)
    return np.stack(areas, axis=1)


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


def test_the_face_has_more_room_than_anything_else(model: HeadModel):
    rows = slice(*model.part("skin").faces)
    areas = _triangle_areas(model.uvs[rows]).sum(axis=1)
    shares = {}
    for name in ("face", "scalp", "neck", "ear_left"):
        shares[name] = areas[np.isin(model.quads[rows], model.regions[name]).all(axis=1)].sum() / areas.sum()
    assert shares["face"] > 0.4
    assert shares["face"] > 1.5 * max(shares["scalp"], shares["neck"])
    lids = [
        model.uvs[rows][np.isin(model.quads[rows], model.regions[f"lid_lower_{side}"]).all(axis=1)]
        for side in ("left", "right")
    ]
    between = lids[0].reshape(-1, 2).mean(axis=0) - lids[1].reshape(-1, 2).mean(axis=0)
    assert between[0] * 2048 > 350, "texels between the eyes"


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
