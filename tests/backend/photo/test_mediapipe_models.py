"""MediaPipe where it cannot be loaded."""

import sys

import pytest
from portrait_head.errors import PortraitHeadError
from portrait_head.photo import mediapipe_models


@pytest.mark.parametrize(
    ("reason", "kind", "way_out"),
    [
        ("libGL.so.1: cannot open shared object file: No such file or directory", "missing_library", "libgl1"),
        ("DLL load failed while importing _framework_bindings", "missing_mediapipe", "mediapipe==0.10.21"),
    ],
)
def test_what_is_missing_is_named_with_what_brings_it(tmp_path, monkeypatch, reason, kind, way_out):
    (tmp_path / "mediapipe.py").write_text(f"raise ImportError({reason!r})")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mediapipe", raising=False)
    with pytest.raises(PortraitHeadError) as caught:
        mediapipe_models._solutions.__wrapped__()  # past the cache of what was loaded before

    assert caught.value.kind == kind and way_out in caught.value.hint
