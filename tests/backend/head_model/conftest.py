from __future__ import annotations

import numpy as np
import pytest

from portrait_head.head_model import HeadModel, load_head_model
from portrait_head.head_model.expressions import FaceParts, find_face_parts


@pytest.fixture(scope="session")
def model() -> HeadModel:
    return load_head_model()


@pytest.fixture(scope="session")
def face(model: HeadModel) -> FaceParts:
    return find_face_parts(model.vertices, model.quads, model.parts, model.regions, model.expressions)


@pytest.fixture(scope="session")
def template(model: HeadModel) -> np.ndarray:
    return model.vertices.astype(np.float64)
