# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside a Blender with a window and plays the artist; `test_ui.py` starts it and reads what it saw.

    blender --enable-event-simulate --python ui_driver.py -- FOLDER PEER ASSET [COMMAND]

FOLDER holds anna.png, group.png and bad.png and receives seen.json; PEER is the backend, which hands out a copy of
ASSET; COMMAND starts the real backend, for which there is portrait.png. For a picture of the screen the driver leaves
NAME.want in FOLDER and goes on when that is gone.
"""

import itertools
import json
import os
import shlex
import shutil
import signal
import statistics
import sys
import time
import traceback
from pathlib import Path

import addon_utils
import bpy

NAME = "bl_ext.user_default.portrait_head"
folder, peer, asset, *real = sys.argv[sys.argv.index("--") + 1 :]
seen: dict = {"drawing": {}}
ticks: list[float] = []
LINE = 14  # pixels between two places where a button is looked for; a button is 20 high


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


def figures(seconds: list[float]) -> dict[str, float]:
    """What is told of a list of times, in milliseconds."""
    return {"count": len(seconds), "median": 1000 * statistics.median(seconds), "longest": 1000 * max(seconds)}


def choose(photo: str, manner: str):
    addon = bpy.context.preferences.addons[NAME]
    addon.preferences.backend = manner if " " in manner else shlex.join(["python3", peer, manner, asset])
    bpy.context.scene.portrait_head.photo = str(Path(folder) / photo)
    bpy.ops.ed.undo_push(message="Choose a photo")


def generate(photo: str, manner: str):
    choose(photo, manner)
    return call(bpy.ops.portrait_head.generate, "INVOKE_DEFAULT")


def simulate(kind: str, value: str, x: int, y: int):
    bpy.context.window_manager.windows[0].event_simulate(type=kind, value=value, x=x, y=y)


def press(operator: str, last: bool = False):
    """Moves the mouse down the sidebar until it is over the button of `operator`, and clicks with it.

    `last` takes the button on the right of those that stand in a row.
    """
    region = sidebar()
    manager = bpy.context.window_manager
    x = region.x + int((0.6 if last else 0.4) * region.width)
    for y in range(region.y + region.height - LINE, region.y, -LINE):
        simulate("MOUSEMOVE", "NOTHING", x, y)
        yield 0.03
        simulate("MOUSEMOVE", "NOTHING", x + 1, y)
        yield 0.03
        manager.clipboard = ""
        with bpy.context.temp_override(window=view()["window"], area=view()["area"], region=sidebar()):
            if bpy.ops.ui.copy_python_command_button.poll():
                bpy.ops.ui.copy_python_command_button()
        if manager.clipboard.startswith(f"bpy.ops.{operator}("):
            simulate("LEFTMOUSE", "PRESS", x + 1, y)
            yield 0.1
            simulate("LEFTMOUSE", "RELEASE", x + 1, y)
            yield 0.1
            return
    raise AssertionError(f"the sidebar has no button {operator}")


def shoot(name: str):
    wanted = Path(folder, f"{name}.want")
    wanted.touch()
    deadline = time.monotonic() + 60
    while wanted.exists():
        assert time.monotonic() < deadline, "nobody takes pictures"
        yield 0.05


def objects() -> list[str]:
    return sorted(bpy.data.objects.keys())


def timed_panel(panel, notes: list[float]) -> None:
    """Notes how long each drawing of a panel takes. Blender counts the arguments, so they must be written out."""
    original = panel.draw

    def draw(self, context):
        start = time.perf_counter()
        original(self, context)
        notes.append(time.perf_counter() - start)

    panel.draw = draw


def timed_tick(operator, notes: dict[str, list[float]]) -> None:
    """Notes how long each tick of the modal operator takes, while it listens and while it adds the head."""
    original = operator._tick

    def tick(self):
        start = time.perf_counter()
        try:
            return original(self)
        finally:
            notes["listening" if self._ending is None else "adding"].append(time.perf_counter() - start)

    operator._tick = tick


def watch_a_real_head(jobs, until):
    """Starts a head with the real backend, waits for a look at it, takes a picture of it, and cancels."""
    settings = bpy.context.scene.portrait_head
    settings.preset, settings.texture_size = "quick", "1024"
    choose("portrait.png", real[0])
    yield 1.0
    yield from shoot("real_ready")
    generate("portrait.png", real[0])
    yield from until(lambda: jobs.status.running and jobs.status.fraction > 0, 300)
    yield 0.5
    yield from shoot("real_before_preview")
    yield from until(lambda: jobs.status.preview != "" or not jobs.status.running, 300)
    yield 1.0
    shutil.copy(jobs.status.preview, Path(folder, "preview_shown.jpg"))
    yield from shoot("real_preview")
    asked = time.monotonic()
    jobs.cancel()
    yield from until(lambda: not jobs.status.running)
    seen["real"] = {"cancel_seconds": time.monotonic() - asked, "kind": jobs.status.error.kind}
    seen["real"]["device"] = jobs.machine().name
    yield 0.5
    yield from shoot("real_cancelled")


def play():
    """The artist's steps; yields how many seconds to leave to Blender."""
    jobs = sys.modules[NAME + ".addon.operators.jobs"]
    looking = sys.modules[NAME + ".addon.operators.looking"]
    tick_times: dict[str, list[float]] = {"listening": [], "adding": []}
    timed_tick(sys.modules[NAME + ".addon.operators.generate"].PORTRAITHEAD_OT_generate, tick_times)
    draw_times: list[float] = []
    for panel in ("PORTRAITHEAD_PT_main", "PORTRAITHEAD_PT_face", "PORTRAITHEAD_PT_history", "PORTRAITHEAD_PT_export"):
        timed_panel(getattr(bpy.types, panel), draw_times)

    def until(reached, patience=60):
        deadline = time.monotonic() + patience
        while not reached():
            assert time.monotonic() < deadline, f"waited in vain: {jobs.status}"
            yield 0.05

    region = sidebar()
    yield 0.5
    region = sidebar()
    deadline = time.monotonic() + 60
    while region.active_panel_category != "Portrait Head":
        assert time.monotonic() < deadline, "the sidebar has no such tab"
        try:
            region.active_panel_category = "Portrait Head"
        except (TypeError, AttributeError):  # not laid out yet
            yield 0.1
            region = sidebar()
    yield 0.5

    choose("anna.png", "slow")
    yield 1.0
    before = objects()
    yield from press("portrait_head.generate")
    yield from until(lambda: jobs.status.fraction > 0.25)
    seen["second_refused"] = not bpy.ops.portrait_head.generate.poll()
    ticks.clear()
    for _ in range(20):
        ticks.append(time.monotonic())
        yield 0.05
    seen["longest_pause"] = max(later - earlier for earlier, later in itertools.pairwise(ticks))
    seen["fraction"], seen["stage"] = jobs.status.fraction, jobs.status.stage

    # While the backend stands still, Blender must not: had a tick waited for it, nobody would come to wake it.
    process = jobs._session._process._process.pid
    os.kill(process, signal.SIGSTOP)
    yield 0.5
    before_silence = len(tick_times["listening"])
    yield from until(lambda: len(tick_times["listening"]) >= before_silence + 10)
    seen["ticks_in_silence"] = len(tick_times["listening"]) - before_silence
    os.kill(process, signal.SIGCONT)
    yield from shoot("running")
    yield from press("portrait_head.cancel")
    asked = time.monotonic()
    yield from until(lambda: not jobs.status.running)
    seen["cancel_seconds"], seen["cancel_kind"] = time.monotonic() - asked, jobs.status.error.kind
    seen["cancel_left"] = sorted(set(objects()) ^ set(before))
    yield 0.3

    # The backend of the cancelled head is still there, so the faces are looked for.
    bpy.context.scene.portrait_head.photo = str(Path(folder) / "group.png")
    yield from until(lambda: len(looking.seen(bpy.context.scene.portrait_head.photo_path()).faces) == 2)
    yield 1.0
    yield from shoot("faces")
    yield from press("portrait_head.choose_face", last=True)
    seen["face"] = bpy.context.scene.portrait_head.face

    generate("anna.png", "flood")
    yield from until(lambda: jobs.status.preview != "")
    yield from until(lambda: not jobs.status.running)
    seen["flood"] = figures(tick_times["listening"])
    for item in set(objects()) - set(before):
        bpy.data.objects.remove(bpy.data.objects[item])
    yield 0.3

    generate("bad.png", "well")
    yield from until(lambda: jobs.status.error is not None and not jobs.status.running)
    seen["hint"] = jobs.status.error.hint
    yield 0.5
    yield from shoot("failed")
    simulate("ESC", "PRESS", 5, 5)
    yield 0.2

    before = objects()
    generate("anna.png", "well")
    call(bpy.ops.object.empty_add, "EXEC_DEFAULT", True)
    yield from until(lambda: not jobs.status.running)
    yield 0.5
    yield from shoot("made")
    seen["made"] = sorted(set(objects()) - set(before))
    seen["active"] = bpy.context.view_layer.objects.active.name
    call(bpy.ops.ed.undo)
    yield 0.3
    seen["undone"] = sorted(set(objects()) - set(before))
    call(bpy.ops.ed.redo)
    yield 0.3
    seen["redone"] = sorted(set(objects()) - set(before))
    seen["listening"], seen["adding"] = figures(tick_times["listening"]), figures(tick_times["adding"])
    seen["drawing"] = figures(draw_times)

    if real:
        yield from watch_a_real_head(jobs, until)

    generate("anna.png", "slow")
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
