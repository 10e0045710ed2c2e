"""What a failed import means for the user."""

import sys

import pytest
from portrait_head.errors import PortraitHeadError
from portrait_head.models.loading import libraries
from portrait_head.models.packages import missing


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (ModuleNotFoundError("No module named 'peft'", name="peft"), "missing_package", "peft is not installed"),
        (
            ImportError("cannot import name 'hub' from 'peft'"),
            "missing_package",
            "cannot be loaded: cannot import name",
        ),
        (ImportError("libgomp.so.1: cannot open shared object file: No such file"), "missing_library", "libgomp.so.1"),
    ],
)
def test_the_error_says_which_it_is(error, kind, said):
    found = missing("peft", error)

    assert found.kind == kind and said in found.message and found.hint


def test_a_package_that_does_not_fit_its_neighbours_is_not_called_absent(tmp_path, monkeypatch):
    (tmp_path / "diffusers.py").write_text("raise ImportError('cannot import name x')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "diffusers", raising=False)
    with pytest.raises(PortraitHeadError, match="diffusers cannot be loaded: cannot import name x"):
        libraries()
