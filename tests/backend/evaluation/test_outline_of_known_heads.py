"""The person's outline in photographs of heads whose silhouette is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from portrait_head.evaluation.hard_pairs import draw_people, photograph, true_view
from portrait_head.evaluation.sculpted_shapes import _in_window
from portrait_head.progress import Progress
from portrait_head.request import HeadRequest
from portrait_head.stages import portrait

CHIN = 152


@pytest.mark.parametrize("shot", [0, 1], ids=["plain", "hard"])
def test_the_persons_mask_is_the_silhouette(heads, shot: int, tmp_path: Path) -> None:
    person = draw_people(heads, 5, seed=0)[4]  # dark hair before a plain grey
    Image.fromarray(photograph(heads, person, person.shots[shot])).save(tmp_path / "head.png")
    seen = portrait.run(HeadRequest(photos=(str(tmp_path / "head.png"),)), Progress())
    _, depth = _in_window(true_view(heads, person, person.shots[shot]), seen)
    above = np.arange(len(depth))[:, None] < seen.landmarks[CHIN, 1]
    true, found = np.isfinite(depth) & above, (seen.person > 0.5) & above
    assert (true & found).sum() / (true | found).sum() > 0.985  # 2 mm of margin are worth .04
