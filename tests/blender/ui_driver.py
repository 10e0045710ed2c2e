# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside a Blender with a window and plays the artist; `test_ui.py` starts it and reads what it saw.

    blender --python ui_driver.py -- FOLDER PEER ASSET

FOLDER holds anna.jpg and bad.jpg and receives seen.json; PEER is the backend, which hands out a copy of ASSET.
"""

import itertools
import json
import os
import shlex
import sys
import time
import traceback
from pathlib import Path

import addon_utils
import bpy

NAME = "bl_ext.user_default.portrait_head"
folder, peer, asset = sys.argv[sys.argv.index("--") + 1 :]
seen: dict = {}
ticks: list[float] = []


def leave(status: int) -> None:
    (Path(folder) / "seen.json").write_text(json.dumps(seen))
    sys.stderr.flush()
    os._exit(status)


def view() -> dict:
    """Window, area and region of the 3D view, for an operator that is called by hand."""
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    return {"window": window, "screen": window.screen, "area": area, "region": region}


def sidebar():
    area = view()["area"]
    area.spaces.active.show_region_ui = True
    return next(region for region in area.regions if region.type == "UI")


def call(operator, *arguments, **settings):
    with bpy.context.temp_override(**view()):
        return sorted(operator(*arguments, **settings))


def generate(photo: str, manner: str):
    addon = bpy.context.preferences.addons[NAME]
    addon.preferences.backend = shlex.join(["python3", peer, manner, asset])
    bpy.context.scene.portrait_head.photo = str(Path(folder) / photo)
    bpy.ops.ed.undo_push(message="Choose a photo")
    return call(bpy.ops.portrait_head.generate, "INVOKE_DEFAULT")


def objects() -> list[str]:
    return sorted(bpy.data.objects.keys())


def play():
    """The artist's steps; yields how many seconds to leave to Blender."""
    jobs = sys.modules[NAME + ".addon.operators.jobs"]

    def until(reached):
        deadline = time.monotonic() + 20
        while not reached():
            assert time.monotonic() < deadline, f"waited in vain: {jobs.status}"
            yield 0.05

    region = sidebar()
    yield 0.5
    region = sidebar()
    deadline = time.monotonic() + 20
    while region.active_panel_category != "Portrait Head":
        assert time.monotonic() < deadline, "the sidebar has no such tab"
        try:
            region.active_panel_category = "Portrait Head"
        except TypeError:  # not laid out yet
            yield 0.1
    yield 0.5

    seen["started"] = generate("anna.jpg", "slow")
    yield from until(lambda: jobs.status.fraction > 0.25)
    seen["second_refused"] = not bpy.ops.portrait_head.generate.poll()
    ticks.clear()
    for _ in range(20):
        ticks.append(time.monotonic())
        yield 0.05
    seen["longest_pause"] = max(later - earlier for earlier, later in itertools.pairwise(ticks))
    seen["fraction"], seen["stage"] = jobs.status.fraction, jobs.status.stage
    call(bpy.ops.portrait_head.cancel)
    asked = time.monotonic()
    yield from until(lambda: not jobs.status.running)
    seen["cancel_seconds"], seen["cancel_kind"] = time.monotonic() - asked, jobs.status.error.kind
    yield 0.3

    generate("bad.jpg", "well")
    yield from until(lambda: jobs.status.error is not None and not jobs.status.running)
    seen["hint"] = jobs.status.error.hint
    yield 0.3

    before = objects()
    generate("anna.jpg", "well")
    call(bpy.ops.object.empty_add, "EXEC_DEFAULT", True)
    yield from until(lambda: not jobs.status.running)
    yield 0.3
    seen["made"] = sorted(set(objects()) - set(before))
    seen["active"] = bpy.context.view_layer.objects.active.name
    call(bpy.ops.ed.undo)
    yield 0.3
    seen["undone"] = sorted(set(objects()) - set(before))
    call(bpy.ops.ed.redo)
    yield 0.3
    seen["redone"] = sorted(set(objects()) - set(before))

    generate("anna.jpg", "slow")
    yield from until(lambda: jobs.status.fraction > 0.25)
    process = jobs._session._process
    bpy.ops.wm.read_homefile()
    seen["after_new_file"] = {"running": jobs.status.running, "exit_status": process.exit_status}


def tick() -> float | None:
    try:
        return next(steps)
    except StopIteration:
        leave(0)
    except Exception:  # noqa: BLE001  whatever it is, Blender must not wait for an artist who will not come
        traceback.print_exc()
        leave(1)


addon_utils.enable(NAME, default_set=True)
bpy.context.preferences.view.show_splash = False
steps = play()
bpy.app.timers.register(tick, first_interval=1.0, persistent=True)
