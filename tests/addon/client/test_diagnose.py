from __future__ import annotations

from pathlib import Path

import pytest

from addon.client import diagnose

LOG = Path("/logs/backend.log")


@pytest.mark.parametrize(
    ("status", "tail", "kind", "words"),
    [
        (1, "/usr/bin/python3: No module named portrait_head", "backend_missing", "pip install"),
        (
            1,
            "ImportError: libGL.so.1: cannot open shared object file: No such file",
            "library_missing",
            "install libgl1",
        ),
        (1, "ImportError: libodd-2.so.7: cannot open shared object file", "library_missing", "package that holds it"),
        (1, "OSError: [Errno 28] No space left on device", "disk_full", "Free some space"),
        (-9, "", "backend_died", "memory"),
        (3, "first\nValueError: the last words", "backend_died", "ValueError: the last words"),
        (0, "", "backend_died", "it left no message"),
    ],
)
def test_the_last_words_become_a_sentence_and_a_remedy(status: int, tail: str, kind: str, words: str):
    error = diagnose.death(status, tail, LOG)
    assert error.kind == kind
    assert words in str(error)
    assert error.hint


def test_a_python_without_blender_is_told_what_to_install():
    error = diagnose.missing_blender(ModuleNotFoundError("No module named 'bpy'", name="bpy"))
    assert "[blender]" in error.hint
    library = ImportError("libXfixes.so.3: cannot open shared object file: No such file or directory")
    assert "libxfixes3" in diagnose.missing_blender(library).hint
