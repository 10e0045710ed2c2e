import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from portrait_head import HeadRequest, PortraitHeadError


def test_a_request_survives_its_own_json():
    request = HeadRequest(photos=("a.jpg", "ü b.png"), face=2, preset="high", seed=7, texture_size=1024, delight=0.25)

    assert HeadRequest.from_dict(json.loads(request.to_json())) == request


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("photos", []),
        ("photos", ["a"] * 6),
        ("photos", "a.jpg"),
        ("photos", [1]),
        ("face", 0),
        ("face", "1"),
        ("face", True),
        ("tier", "cloud"),
        ("preset", "ultra"),
        ("seed", -1),
        ("seed", 2**32),
        ("seed", 1.5),
        ("prompt", None),
        ("style", 3),
        ("initial_mesh", None),
        ("texture_size", 2000),
        ("texture_size", 2048.0),
        ("delight", 1.5),
        ("delight", "much"),
        ("hair", "long"),
        ("device", "tpu"),
        ("packs", "all"),
        ("references", "painted"),
        ("guidance", "none"),
        ("colour", "red"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_field_named(field, value):
    with pytest.raises(PortraitHeadError) as refused:
        HeadRequest.from_dict({"photos": ["a.jpg"], field: value})

    assert refused.value.kind == "bad_request"
    assert field in refused.value.message
    assert refused.value.hint


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_whatever_json_holds_is_a_request_or_refused(value):
    for values in (value, {"photos": value}, {"photos": ["a"], "seed": value}, {"photos": ["a"], "delight": value}):
        try:
            HeadRequest.from_dict(values)
        except PortraitHeadError as error:
            assert error.kind == "bad_request"
