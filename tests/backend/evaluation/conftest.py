"""The face model of known shapes, where it is at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from portrait_head.evaluation.ict import KnownHeads, load_known_heads


@pytest.fixture(scope="session")
def face_model_folder() -> Path:
    shared = os.environ.get("PORTRAIT_HEAD_SHARED")
    if not shared:
        pytest.skip("PORTRAIT_HEAD_SHARED does not name the folder with data/ict-facekit")
    return Path(shared) / "data" / "ict-facekit"


@pytest.fixture(scope="session")
def heads(face_model_folder) -> KnownHeads:
    return load_known_heads(face_model_folder)
