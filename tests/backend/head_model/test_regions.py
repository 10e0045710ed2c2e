from __future__ import annotations

import numpy as np
import pytest
from portrait_head.head_model import HeadModel

NAMED = {
    "face", "forehead", "nose", "nostrils", "scalp", "neck", "rim", "lips", "lips_upper", "lips_lower", "mouth_loop",
    *(f"{name}_{side}" for name in ("brow", "ear", "lid_upper", "lid_lower", "eye_socket", "eye_loop")
      for side in ("left", "right")),
}  # fmt: skip


def test_every_region_is_there_and_lies_on_the_skin(model: HeadModel):
    assert set(model.regions) == NAMED
    for name, region in model.regions.items():
        assert region.dtype == np.int32 and len(region) > 10, name
        assert len(np.unique(region)) == len(region), name
        assert region.min() >= 0 and region.max() < model.part("skin").vertices[1], name


@pytest.mark.parametrize("name", sorted(name for name in NAMED if name.endswith("left")))
def test_left_and_right_mirror_each_other(model: HeadModel, name: str):
    right = model.regions[name.replace("left", "right")]
    assert set(model.mirror[model.regions[name]].tolist()) == set(right.tolist())
    assert (model.vertices[model.regions[name], 0] > 0).all()


@pytest.mark.parametrize("name", ["face", "scalp", "neck", "lips", "nose", "forehead", "rim"])
def test_regions_of_the_middle_are_symmetric(model: HeadModel, name: str):
    region = model.regions[name]
    assert set(model.mirror[region].tolist()) == set(region.tolist())


def test_face_scalp_neck_and_ears_share_nothing_and_cover_the_skin(model: HeadModel):
    names = ("face", "scalp", "neck", "ear_left", "ear_right", "eye_socket_left", "eye_socket_right")
    together = np.concatenate([model.regions[name] for name in names])
    assert len(np.unique(together)) == len(together) == model.part("skin").vertices[1]


def test_regions_lie_where_they_belong(model: HeadModel):
    height = {name: model.vertices[region, 1].mean() for name, region in model.regions.items()}
    in_order = ("rim", "neck", "lips_lower", "lips_upper", "nose", "lid_lower_left", "lid_upper_left", "brow_left",
                "forehead")  # fmt: skip
    assert [height[name] for name in in_order] == sorted(height[name] for name in in_order)
    assert model.vertices[model.regions["scalp"], 1].min() > -0.06, "hair grows down to the nape and no further"


def test_the_rim_is_one_closed_border(model: HeadModel):
    edges = np.sort(np.stack([model.quads, np.roll(model.quads, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    border = unique[(count == 1) & np.isin(unique, model.regions["rim"]).all(axis=1)]
    assert (np.bincount(border.ravel())[model.regions["rim"]] == 2).all()
