# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures in the panels are read once, however often a panel is drawn."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("bpy", reason="needs the bpy wheel")

from addon.operators import job_folders


@pytest.fixture
def thumbnails(blender: ModuleType) -> Iterator[ModuleType]:
    """The module, as it is while the extension is on."""
    from addon.ui import thumbnails

    thumbnails.register()
    yield thumbnails
    thumbnails.unregister()


def test_all_pictures_that_panels_show_at_once_are_kept(thumbnails: ModuleType, tmp_path: Path, asset_folder: Path):
    from addon.ui.panels import FACES_SHOWN

    picture = (asset_folder / "photo.png").read_bytes()
    paths = [tmp_path / f"{number}.png" for number in range(job_folders.KEPT + FACES_SHOWN + 2)]
    for path in paths:
        path.write_bytes(picture)
    for path in paths:
        thumbnails.icon(str(path))
    read = dict(thumbnails._previews)
    assert len(read) == len(paths)
    for path in paths:
        thumbnails.icon(str(path))
    assert dict(thumbnails._previews) == read


def test_a_picture_that_has_changed_is_read_anew_and_one_that_is_gone_is_not(
    thumbnails: ModuleType, tmp_path: Path, asset_folder: Path
):
    path = tmp_path / "anna.png"
    path.write_bytes((asset_folder / "photo.png").read_bytes())
    thumbnails.icon(str(path))
    os.utime(path, (1, 1))
    thumbnails.icon(str(path))
    assert len(thumbnails._previews) == 2
    path.unlink()
    assert thumbnails.icon(str(path)) == 0 and len(thumbnails._previews) == 2
