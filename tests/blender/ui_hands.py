# SPDX-License-Identifier: GPL-3.0-or-later
"""What `ui_driver.py` does with the window: events of a mouse, buttons found in the sidebar, pictures asked for."""

import json
import sys
import time
from pathlib import Path

import bpy

folder, peer, asset, *real = sys.argv[sys.argv.index("--") + 1 :]
LINE = 14  # pixels between two places where a button is looked for; a button is 20 high


def view(kind: str = "VIEW_3D") -> dict:
    """Window, area and region of the 3D view, or of another editor, for an operator that is called by hand."""
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == kind)
    region = next(region for region in area.regions if region.type == "WINDOW")
    return {"window": window, "screen": window.screen, "area": area, "region": region}


def sidebar():
    area = view()["area"]
    area.spaces.active.show_region_ui = True
    return next(region for region in area.regions if region.type == "UI")


def call(operator, *arguments, **settings):
    with bpy.context.temp_override(**view()):
        return sorted(operator(*arguments, **settings))


def simulate(kind: str, value: str, x: int, y: int):
    bpy.context.window_manager.windows[0].event_simulate(type=kind, value=value, x=x, y=y)


def press(operator: str, across: float = 0.4):
    """Moves the mouse down the sidebar until it is over the button of `operator`, and clicks with it.

    `across` says how far from the left, as a share of the sidebar's width; returns where the mouse is then.
    """
    region = sidebar()
    manager = bpy.context.window_manager
    x = region.x + int(across * region.width)
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
            return x + 1, y
    raise AssertionError(f"the sidebar has no button {operator}")


def shoot(name: str, region=None, left: int = 0):
    """A picture of the screen, or of `region` and what is within `left` pixels beside it."""
    part = [region.x - left, region.y, region.width + left, region.height] if region else []
    wanted = Path(folder, f"{name}.want")
    wanted.with_suffix(".part").write_text(json.dumps(part))
    wanted.with_suffix(".part").rename(wanted)
    deadline = time.monotonic() + 60
    while wanted.exists():
        assert time.monotonic() < deadline, "nobody takes pictures"
        yield 0.05
