from pathlib import Path

import pytest
from portrait_head import HeadRequest, generate


@pytest.fixture(scope="session")
def sample_job(tmp_path_factory) -> Path:
    """The finished job folder of the sample portrait."""
    folder = tmp_path_factory.mktemp("sample") / "job"
    generate(HeadRequest(photos=("sample",)), folder)
    return folder
