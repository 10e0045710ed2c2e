"""The public-domain sample portrait that scikit-image carries."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from portrait_head.errors import PortraitHeadError

SAMPLE = "sample"


def photo_path(photo: str) -> Path:
    """The file that a request's photo names; "sample" is the portrait of an astronaut (NASA, public domain).

    Raises:
        PortraitHeadError: missing_sample, where scikit-image has no such file.
    """
    if photo != SAMPLE:
        return Path(photo)
    package = importlib.util.find_spec("skimage")
    path = Path(package.origin).parent / "data" / "astronaut.png" if package and package.origin else None
    if path is None or not path.is_file():
        raise PortraitHeadError(
            "missing_sample", "The sample portrait is missing.", "Install it with: pip install scikit-image."
        )
    return path
