"""Reference maps drawn by toy models of the real classes."""

import dataclasses

import numpy as np
import pytest
import torch
from portrait_head.diffusion.memory_plan import PLANS
from portrait_head.diffusion.references import (
    ReferenceConfig,
    ReferenceFolders,
    ReferenceMaps,
    ReferencePhoto,
    canny_picture,
    generate_references,
)

from tests.backend.diffusion.toy_packs import SIDE, subject

CONFIG = ReferenceConfig(side=SIDE, steps=2, normal_identity_scale=1.0, least_inverse_depth=0.0)


def photo(seed: int = 0) -> ReferencePhoto:
    """A bright disc with a dark bar on grey, twice the size of the maps."""
    row, column = np.mgrid[: 2 * SIDE, : 2 * SIDE] - SIDE + 0.5
    disc = np.hypot(row, column) < 0.8 * SIDE
    picture = np.where(disc, 220, 120).astype(np.uint8)
    picture[SIDE - 4 : SIDE + 4, SIDE - 12 : SIDE + 12] = 10
    return ReferencePhoto(np.repeat(picture[..., None], 3, axis=2), disc.astype(np.float32), subject(seed).identity)


def draw(packs, which: ReferencePhoto, **more) -> ReferenceMaps:
    device = torch.device("cpu")
    return generate_references(which, ReferenceFolders(packs, packs), device, PLANS[0], torch.float32, CONFIG, **more)


@pytest.fixture(scope="module")
def maps(packs) -> ReferenceMaps:
    return draw(packs, photo())


def test_maps_are_in_the_projects_conventions(maps):
    assert maps.normals.shape == (SIDE, SIDE, 3)
    assert maps.normals.dtype == maps.depth.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(maps.normals[maps.mask], axis=1), 1.0, atol=1e-5)
    assert not maps.normals[~maps.mask].any()
    assert maps.mask[SIDE // 2, SIDE // 2]
    assert not maps.mask[0, 0]
    assert (maps.depth[maps.depth_mask].min(), maps.depth[maps.depth_mask].max()) == pytest.approx((0, 1), abs=1e-5)
    assert not maps.depth[~maps.depth_mask].any()
    assert (maps.depth_mask <= maps.mask).all()


def test_same_seed_same_maps_and_another_seed_others(packs, maps):
    again, other = draw(packs, photo()), draw(packs, photo(), seed=1)
    # Threads add up in no fixed order.
    assert np.abs(again.normals - maps.normals).max() < 1e-3
    assert np.abs(again.depth - maps.depth).max() < 1e-3
    assert (other.normals != maps.normals).any()


def test_identity_and_edges_both_matter(packs, maps):
    assert (draw(packs, photo(seed=1)).normals != maps.normals).any()
    bare = dataclasses.replace(photo(), picture=np.full((2 * SIDE, 2 * SIDE, 3), 220, np.uint8))
    assert (draw(packs, bare).normals != maps.normals).any()
    without = draw(dataclasses.replace(packs, face_id=None), photo())
    assert (without.normals != maps.normals).any()


def test_edges_are_those_of_the_head_before_black():
    whole = photo()
    mask = whole.mask[::2, ::2]
    edges = canny_picture(whole.picture, mask, CONFIG)
    assert edges.shape == (1, 3, SIDE, SIDE)
    assert set(edges.unique().tolist()) == {0.0, 1.0}
    inside = edges[0, 0, SIDE // 2 - 4 : SIDE // 2 + 4, SIDE // 2 - 9 : SIDE // 2 + 9]
    assert inside.any()  # the bar
    assert not edges[0, 0, :2].any()  # the grey behind has no edge with the frame
    empty = canny_picture(whole.picture, np.zeros_like(mask), CONFIG)
    assert not empty.any()


def test_a_picture_that_is_not_square_is_refused(packs):
    tall = dataclasses.replace(photo(), picture=np.zeros((10, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="8 x 10"):
        draw(packs, tall)
