"""Angles, words and scales of views."""

import pytest
import torch
from portrait_head.diffusion.captions import NEUTRAL_CAPTION, prompt_texts
from portrait_head.diffusion.prior import PriorConfig, identity_scale
from portrait_head.diffusion.views import ViewAngles, view_angles, view_word
from portrait_head.rendering.orbit import orbit_view


@pytest.mark.parametrize(("elevation", "azimuth"), [(0, 0), (30, 45), (-15, -170), (80, 10), (5, 90)])
def test_angles_are_those_that_the_camera_was_made_from(elevation, azimuth):
    view = orbit_view(elevation, azimuth, 0.6, 30.0, torch.tensor([0.0, 0.1, 0.05]), 64, 64)
    angles = view_angles(view.camera.to_pinhole().rotation)
    assert (angles.azimuth, angles.elevation) == pytest.approx((azimuth, elevation), abs=0.01)


@pytest.mark.parametrize(
    ("azimuth", "elevation", "word"),
    [(0, 0, "front"), (-40, 20, "front"), (60, 0, "side"), (-130, 0, "side"), (170, 0, "back"), (0, 70, "overhead")],
)
def test_views_have_words(azimuth, elevation, word):
    assert view_word(ViewAngles(azimuth, elevation)) == word


def test_identity_is_off_where_the_face_turns_away():
    config = PriorConfig(identity_scale=0.8)
    assert identity_scale(ViewAngles(69.0, 0.0), config) == identity_scale(ViewAngles(-69.0, 30.0), config) == 0.8
    assert identity_scale(ViewAngles(71.0, 0.0), config) == identity_scale(ViewAngles(180.0, 0.0), config) == 0.0


def test_prompts_say_whom_from_where_and_what_kind():
    texts = prompt_texts("a woman with a fringe.", "normal", negative="hat")
    assert texts.side == "a woman with a fringe, side view, black background, normal map"
    assert texts.plain == "a woman with a fringe, black background, normal map"
    assert texts.negative == "hat"
    assert prompt_texts("", "depth").back == f"{NEUTRAL_CAPTION}, back view, black background, depth map"
