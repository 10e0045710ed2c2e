# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks for the faces of a photo as soon as it is chosen, where a backend is there and free.

Nothing is started for it: without a backend the largest face is taken, as always. A timer takes the steps; where there
is no window, and so no timer, whoever wants to know calls `step`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import bpy

from ..client.errors import ClientError
from ..client.events import FacesFound
from ..client.photo_faces import FoundFace
from ..client.session import Steps
from ..ui.view import redraw
from . import job_folders, jobs

TIMER_SECONDS = 0.1
KEPT = 8  # photos whose faces are remembered
ABOUT_THE_PHOTO = ("photo_", "no_face")
"""How the kinds of errors begin that are worth telling before Generate is pressed."""

Key = tuple[str, int]
"""A photo's path and when it was changed."""


@dataclass(frozen=True)
class Look:
    """What is known of a photo: its faces, files with a picture of each where there are any, what is wrong with it."""

    faces: tuple[FoundFace, ...] = ()
    pictures: tuple[str, ...] = ()
    error: ClientError | None = None


NOTHING = Look()
_known: OrderedDict[Key, Look] = OrderedDict()
_wanted: Key | None = None
_under_way: tuple[Key, Steps] | None = None


def seen(photo: str) -> Look:
    """What is known of a photo, from a look at it or from an earlier run."""
    key = _key(photo)
    if key is None:
        return NOTHING
    if key in _known:
        return _known[key]
    found = job_folders.faces(*key)
    return Look(found) if found else NOTHING


def look_at(photo: str) -> None:
    """Find the faces of the photo, unless they are known; a photo that was to be looked at before is forgotten."""
    global _wanted
    key = _key(photo)
    _wanted = None if key is None or seen(photo) is not NOTHING else key
    if _wanted is not None and not bpy.app.background and not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=TIMER_SECONDS, persistent=True)


def step() -> bool:
    """Go on without waiting; whether there is more to do."""
    global _wanted, _under_way
    if _under_way is None and _wanted is not None:
        session = jobs.ready_session()
        _under_way = None if session is None else (_wanted, session.look(_wanted[0]))
        _wanted = None
    if _under_way is not None:
        key, steps = _under_way
        try:
            for event in next(steps):
                if isinstance(event, FacesFound):
                    _remember(key, Look(event.faces, _write_pictures(key, event.faces)))
        except StopIteration:
            _under_way = None
        except ClientError as error:  # of a job that has begun, or a backend that has ended, Generate will tell
            _under_way = None
            if error.kind.startswith(ABOUT_THE_PHOTO):
                _remember(key, Look(error=error))
    return _under_way is not None or _wanted is not None


def under_way() -> bool:
    """Whether a photo is being looked at."""
    return _under_way is not None


def forget() -> None:
    """Stop looking and forget what was seen."""
    global _wanted, _under_way
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    _wanted = _under_way = None
    _known.clear()


def _tick() -> float | None:
    more = step()
    redraw(bpy.context)
    return TIMER_SECONDS if more else None


def _key(photo: str) -> Key | None:
    try:
        return photo, Path(photo).stat().st_mtime_ns
    except (OSError, ValueError):
        return None


def _remember(key: Key, look: Look) -> None:
    _known[key] = look
    while len(_known) > KEPT:
        _known.popitem(last=False)


def _write_pictures(key: Key, faces: tuple[FoundFace, ...]) -> tuple[str, ...]:
    """Files with the pictures of the faces, for Blender's thumbnails, in the folder that it empties at its end."""
    folder = Path(bpy.app.tempdir) / "portrait_head_faces"
    name = hashlib.sha256(f"{os.fsencode(key[0])} {key[1]}".encode()).hexdigest()[:12]
    paths = [folder / f"{name}-{number}.jpg" for number in range(1, len(faces) + 1)]
    with contextlib.suppress(OSError):  # a full disk: the faces are then told apart by their places
        folder.mkdir(exist_ok=True)
        for path, face in zip(paths, faces, strict=True):
            path.write_bytes(face.picture)
    return tuple(str(path) for path in paths)
