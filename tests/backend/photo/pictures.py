"""Pictures that the tests of the photo folder share."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from portrait_head.photo.decode import load_photo
from portrait_head.photo.sample import photo_path


def astronaut() -> np.ndarray:
    """The sample portrait, [512, 512, 3] uint8."""
    return load_photo(photo_path("sample")).image


def group_photo() -> Path:
    """Insightface's bundled picture of six people; skips where the package is not installed."""
    package = importlib.util.find_spec("insightface")
    if package is None or package.origin is None:
        pytest.skip("insightface, which carries the group photo t1.jpg, is not installed")
    return Path(package.origin).parent / "data" / "images" / "t1.jpg"


def gradient(width: int = 48, height: int = 36) -> np.ndarray:
    """A picture in which every corner has another colour, [H, W, 3] uint8."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack(
        [columns * 255 // (width - 1), rows * 255 // (height - 1), 255 - columns * 255 // (width - 1)], axis=-1
    ).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of `image` as a file of `kind`."""
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()
