# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside a Blender with a window and plays the artist; `test_ui.py` starts it and reads what it saw.

    blender --enable-event-simulate --python ui_driver.py -- FOLDER PEER ASSET [COMMAND]

FOLDER holds anna.png, group.png and bad.png and receives seen.json; PEER is the backend, which hands out a copy of
ASSET; COMMAND starts the real backend, for which there are portrait.png and two.png. For a picture of the screen the
driver leaves NAME.want in FOLDER, which holds the part of the screen that is wanted, and goes on when that is gone.
"""

import itertools
import json
import os
import shlex
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

import addon_utils
import bpy

sys.path.insert(0, str(Path(__file__).parent))
from mathutils import Quaternion, Vector
from scene_state import describe
from ui_hands import asset, call, folder, peer, press, real, shoot, sidebar, simulate, view
from ui_times import Times, figures, time_drawing, time_looking, time_ticks

NAME = "bl_ext.user_default.portrait_head"
seen: dict = {}
ticks: list[float] = []
RIGHT, RETEXTURE = 0.6, 0.69  # of the sidebar's width: the right one of two buttons, the second of four small ones


def leave(status: int) -> None:
    (Path(folder) / "seen.json").write_text(json.dumps(seen))
    sys.stderr.flush()
    os._exit(status)


def choose(photo: str, manner: str):
    addon = bpy.context.preferences.addons[NAME]
    addon.preferences.backend = manner if " " in manner else shlex.join(["python3", peer, manner, asset])
    bpy.context.scene.portrait_head.photo = str(Path(folder) / photo)
    bpy.ops.ed.undo_push(message="Choose a photo")


def generate(photo: str, manner: str):
    choose(photo, manner)
    return call(bpy.ops.portrait_head.generate, "INVOKE_DEFAULT")


def objects() -> list[str]:
    return sorted(bpy.data.objects.keys())


def make_a_real_head(jobs, looking, until):
    """The real backend and its sample portrait: Generate is clicked, a head comes; clicked again, and cancelled."""
    settings = bpy.context.scene.portrait_head
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(folder, "portraits.blend")))
    choose("portrait.png", real[0])
    settings.photo = "//portrait.png"
    yield 2.0
    yield from shoot("panel_ready", sidebar())
    settings.preset, settings.texture_size = "quick", "1024"
    before = objects()
    yield from press("portrait_head.generate")
    yield from until(lambda: jobs.status.running and jobs.status.fraction > 0, 300)
    yield 0.5
    yield from shoot("real_before_preview")
    yield from until(lambda: jobs.status.preview != "" or not jobs.status.running, 300)
    yield 1.0
    shutil.copy(jobs.status.preview, Path(folder, "preview_shown.jpg"))
    yield from shoot("real_preview")
    yield from shoot("panel_progress", sidebar())
    yield from until(lambda: not jobs.status.running, 400)
    yield 2.0
    made = [bpy.data.objects[name] for name in objects() if name not in before]
    keys = [
        key.name
        for each in made
        if each.type == "MESH" and each.data.shape_keys
        for key in each.data.shape_keys.key_blocks
    ]
    seen["real"] = {"keys": keys, "types": sorted(each.type for each in made), "device": jobs.machine().name}

    yield from press("portrait_head.show_colours", RIGHT)
    seen["real"]["colours"] = view()["area"].spaces.active.shading.color_type
    yield from look_at_the_head()

    settings.photo = "//two.png"
    yield from until(lambda: len(looking.seen(settings.photo_path()).faces) == 2, 100)
    yield 2.0
    yield from shoot("panel_faces", sidebar())
    settings.photo = "//portrait.png"
    settings.seed = 1
    bpy.ops.ed.undo_push(message="Another variation")
    yield 0.5
    before = describe()
    yield from press("portrait_head.generate")
    yield from until(lambda: jobs.status.preview != "", 300)
    yield from press("portrait_head.cancel")
    asked = time.monotonic()
    yield from until(lambda: not jobs.status.running)
    seen["real"] |= {"cancel_seconds": time.monotonic() - asked, "kind": jobs.status.error.kind}
    after = describe()
    seen["real"]["changed"] = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    yield 2.0
    yield from shoot("real_cancelled")
    bpy.data.batch_remove(made)


def look_at_the_head():
    """Pictures of the new head, smiling, with the panel beside it."""
    call(bpy.ops.portrait_head.face_preset, preset="happy", strength=0.7)
    space = view()["area"].spaces.active
    overlays = (
        "show_floor",
        "show_axis_x",
        "show_axis_y",
        "show_cursor",
        "show_outline_selected",
        "show_object_origins",
        "show_bones",
    )
    for name in overlays:
        setattr(space.overlay, name, False)
    call(bpy.ops.view3d.view_axis, type="FRONT")
    eye = space.region_3d
    eye.view_rotation = Quaternion((0, 0, 1), 0.35) @ eye.view_rotation
    eye.view_perspective, space.lens, eye.view_distance = "PERSP", 85, 0.9
    eye.view_location -= eye.view_rotation @ Vector((0.07, 0.0, 0.0))
    yield 2.0
    yield from shoot("panel_head", sidebar(), left=480)
    call(bpy.ops.portrait_head.face_reset)
    for name in overlays:
        setattr(space.overlay, name, True)


def install_by_mouse(jobs, installing, until):
    """An installer that only tells: clicked, cancelled, and clicked again."""
    preferences = bpy.context.preferences.addons[NAME].preferences
    kept = {name: os.environ[name] for name in ("PATH", "XDG_DATA_HOME", "PORTRAIT_HEAD_BACKEND") if name in os.environ}
    os.environ |= {"PATH": "/nowhere", "XDG_DATA_HOME": folder, "PORTRAIT_HEAD_BACKEND": ""}
    preferences.wheels_folder = folder
    for manner in ("stuck", "good"):
        preferences.install_folder = str(Path(folder, manner))
        yield 1.0
        if manner == "stuck":
            yield from shoot("panel_install", sidebar())
        yield from press("portrait_head.install_backend")
        if manner == "stuck":
            yield from until(lambda: installing.status.message == "Making the environment")
            yield 0.5
            yield from shoot("panel_installing", sidebar())
            yield from press("portrait_head.cancel_install")
        yield from until(lambda: not installing.status.running)
        seen[manner] = {"state": jobs.backend_state().value, "error": getattr(installing.status.error, "kind", "")}
    preferences.install_folder = preferences.wheels_folder = ""
    os.environ |= kept


def drop_a_photo():
    """What Blender does with a file that is dropped on the 3D view; of what it offers, ours is taken by its letter."""
    area = view()["area"]
    for step in range(2):
        simulate("MOUSEMOVE", "NOTHING", area.x + 200 + step, area.y + 300)
        yield 0.2
    call(bpy.ops.wm.drop_import_file, "INVOKE_DEFAULT", directory=folder, files=[{"name": "anna.png"}])
    yield 1.0
    yield from shoot("dropped")
    simulate("U", "PRESS", area.x + 201, area.y + 300)
    yield 0.2
    simulate("U", "RELEASE", area.x + 201, area.y + 300)
    yield 0.5
    seen["dropped"] = bpy.context.scene.portrait_head.photo


def cancel_at_the_last_moment(jobs, until):
    """The backend is done and its head is being added: Cancel holds then too."""
    generate("anna.png", "well")
    yield from until(lambda: jobs.status.stage == "Adding it to the scene" or not jobs.status.running)
    jobs.cancel()
    yield from until(lambda: not jobs.status.running)
    yield 0.3


def look_at_the_preferences():
    """The add-on's page, in place of the 3D view, with a backend that is found by itself."""
    os.environ["PORTRAIT_HEAD_BACKEND"] = shlex.join(["python3", peer, "well", asset])
    bpy.context.preferences.addons[NAME].preferences.backend = ""
    bpy.ops.portrait_head.find_backend()
    area = view()["area"]
    area.type = "PREFERENCES"
    bpy.context.preferences.active_section = "ADDONS"
    bpy.context.window_manager.addon_search = "Portrait"
    (ours,) = (each for each in addon_utils.modules() if each.__name__ == NAME)
    addon_utils.module_bl_info(ours)["show_expanded"] = True
    yield 1.0
    (region,) = (each for each in area.regions if each.type == "WINDOW")
    x, y = region.x + 100, region.y + region.height - 420  # the title below which the model packs are listed
    for kind, value in (("MOUSEMOVE", "NOTHING"), ("LEFTMOUSE", "PRESS"), ("LEFTMOUSE", "RELEASE")):
        simulate(kind, value, x, y)
        yield 0.3
    yield 1.0
    yield from shoot("panel_preferences", region)
    area.type = "VIEW_3D"
    yield 0.5


def open_all_panels():
    """The panels that are folded at first stand open in a tab of their own."""
    for panel in (bpy.types.PORTRAITHEAD_PT_history, bpy.types.PORTRAITHEAD_PT_export):
        told = {name: value for name, value in vars(panel).items() if name in ("draw", "poll", "bl_label")}
        told |= {"bl_space_type": "VIEW_3D", "bl_region_type": "UI", "bl_category": "Open"}
        name = f"{panel.__name__}_open"
        bpy.utils.register_class(type(name, (bpy.types.Panel,), {**told, "bl_idname": name}))
    while sidebar().active_panel_category != "Open":
        yield 0.2
        sidebar().active_panel_category = "Open"
    yield 1.0


def paint_anew(jobs, until):
    """The button beside an earlier head asks how to paint it; Enter paints."""
    mouse = yield from press("portrait_head.retexture", RETEXTURE)
    yield 1.0
    yield from shoot("panel_retexture")
    simulate("RET", "PRESS", *mouse)
    yield 0.2
    simulate("RET", "RELEASE", *mouse)
    yield from until(lambda: jobs.status.result.startswith("New textures") and not jobs.status.running)
    seen["painted"] = jobs.status.result


def export_by_mouse(exporting, until):
    """A name is chosen in the file browser; the panel says what comes before Blender stands still."""
    target, writing, told = Path(folder, "anna.v2.glb"), exporting.writing, []

    def drawn() -> str:  # the panel asks for the name that it draws
        told.extend([[writing(), target.exists()]] if writing() else [])
        return writing()

    exporting.writing = drawn
    bpy.context.preferences.view.filebrowser_display_type = "SCREEN"
    yield from press("portrait_head.export")
    yield 1.0
    window = view("FILE_BROWSER")
    browser = window["area"].spaces.active
    seen["suggested"] = browser.params.filename
    browser.params.directory, browser.params.filename = os.fsencode(folder), target.stem
    with bpy.context.temp_override(**window):
        bpy.ops.file.execute()
    yield from until(lambda: target.exists() and not writing())
    seen["told_of_export"] = told
    yield 0.5
    yield from shoot("exported")


def play():
    """The artist's steps; yields how many seconds to leave to Blender."""
    jobs = sys.modules[NAME + ".addon.operators.jobs"]
    looking = sys.modules[NAME + ".addon.operators.looking"]
    times: dict[str, Times] = {
        name: [] for name in ("installing", "listening", "adding", "looking", "drawing", "preferences")
    }
    generating, installing = (sys.modules[NAME + ".addon.operators." + name] for name in ("generate", "backend"))
    time_ticks(
        generating.PORTRAITHEAD_OT_generate, lambda tick: times["listening" if tick._ending is None else "adding"]
    )
    time_ticks(installing._Maintenance, lambda tick: times["installing"])
    time_looking(looking, times["looking"])
    for panel in ("PORTRAITHEAD_PT_main", "PORTRAITHEAD_PT_face", "PORTRAITHEAD_PT_history", "PORTRAITHEAD_PT_export"):
        time_drawing(getattr(bpy.types, panel), times["drawing"])
    time_drawing(sys.modules[NAME + ".addon.preferences"].PortraitHeadPreferences, times["preferences"])

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

    yield from install_by_mouse(jobs, installing, until)
    yield from drop_a_photo()
    if real:
        yield from make_a_real_head(jobs, looking, until)
        seen["adding"] = figures(times["adding"])

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
    before_silence = len(times["listening"])
    yield from until(lambda: len(times["listening"]) >= before_silence + 10)
    seen["ticks_in_silence"] = len(times["listening"]) - before_silence
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
    yield from press("portrait_head.choose_face", RIGHT)
    seen["face"] = bpy.context.scene.portrait_head.face

    before_flood = len(times["listening"])
    generate("anna.png", "flood")
    yield from until(lambda: jobs.status.preview != "")
    yield from until(lambda: not jobs.status.running)
    seen["flood"] = figures(times["listening"][before_flood:])
    for item in set(objects()) - set(before):
        bpy.data.objects.remove(bpy.data.objects[item])
    yield 0.3

    before = describe()
    yield from cancel_at_the_last_moment(jobs, until)
    after = describe()
    seen["last_moment"] = {"kind": jobs.status.error.kind, "hint": jobs.status.error.hint}
    seen["last_moment"]["changed"] = [
        name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    ]

    generate("bad.png", "well")
    yield from until(lambda: jobs.status.error is not None and not jobs.status.running)
    seen["hint"] = jobs.status.error.hint
    yield 0.5
    yield from shoot("failed")
    simulate("ESC", "PRESS", 5, 5)
    yield 0.2
    yield from press("portrait_head.copy_report")
    yield 0.5
    seen["report"] = bpy.context.window_manager.clipboard

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

    yield from open_all_panels()
    yield from shoot("panel_open", sidebar())
    yield from paint_anew(jobs, until)
    yield from export_by_mouse(sys.modules[NAME + ".addon.operators.export"], until)

    yield from look_at_the_preferences()
    seen["times"] = {name: figures(each) for name, each in times.items()} | {
        name: seen.pop(name) for name in ("flood", "adding") if name in seen
    }

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


assert NAME in bpy.context.preferences.addons, "install-file has enabled it"
bpy.context.preferences.view.show_splash = False
bpy.context.preferences.system.use_region_overlap = False  # a sidebar that nothing shines through
steps = play()
bpy.app.timers.register(tick, first_interval=1.0, persistent=True)
