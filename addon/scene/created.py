# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps account of the data-blocks that a piece of work makes, so that a failure can take every one back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy

from .steps import Result, Steps

COLLECTIONS = (
    "scenes",
    "collections",
    "objects",
    "meshes",
    "armatures",
    "cameras",
    "lights",
    "curves",
    "materials",
    "node_groups",
    "worlds",
    "images",
    "actions",
    "texts",
)
"""The kinds of data-block that importers, exporters and this add-on make; users before the used."""


def _blocks() -> dict[int, bpy.types.ID]:
    return {block.session_uid: block for kind in COLLECTIONS for block in getattr(bpy.data, kind)}


def remove_new(before: set[int]) -> None:
    """Removes every data-block that was not there when `snapshot` was taken."""
    bpy.data.batch_remove([block for uid, block in _blocks().items() if uid not in before])


def remove(made: set[int]) -> None:
    """Removes the data-blocks `made`, as far as they are still there."""
    bpy.data.batch_remove([block for uid, block in _blocks().items() if uid in made])


def snapshot() -> set[int]:
    """What is in the file now, as identities that survive renaming."""
    return set(_blocks())


def taken_back_on_error(steps: Steps[Result]) -> Steps[Result]:
    """The same steps; when one fails, or the generator is closed, whatever they have made is removed again.

    What the artist made between two steps stays.
    """
    made: set[int] = set()
    try:
        while True:
            before = snapshot()
            try:
                next(steps)
            except StopIteration as end:
                return end.value
            finally:
                made |= snapshot() - before
            yield
    except BaseException:
        remove(made)
        raise


@contextmanager
def undone_on_error() -> Iterator[None]:
    """Whatever was made inside is removed again if it ends in an error."""
    before = snapshot()
    try:
        yield
    except BaseException:
        remove_new(before)
        raise


@contextmanager
def temporary() -> Iterator[None]:
    """Whatever is made inside is removed at the end."""
    before = snapshot()
    try:
        yield
    finally:
        remove_new(before)
