# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes heads without a window, from one photo or a thousand.

With the `bpy` wheel:   python addon/batch.py photo.jpg --output out/
With Blender:           blender --background --python addon/batch.py -- photo.jpg --output out/

Every photo gets the folder `<output>/<photo name>/` with head.blend, head.glb, head.fbx, preview.png and report.json;
the job folder stands in it as `job/`, and the same command given again continues what was broken off. The exit status
is 0 when every head was made, 1 when some failed, 2 when the command cannot be followed at all, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

if __name__ == "__main__":  # run as a script; inside the extension the package is already importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from addon.client import diagnose
from addon.client.backend import find_backend
from addon.client.errors import ClientError
from addon.client.outputs import expand_photos, folder_names, make_writable, told_of_disk
from addon.client.request import HAIR, PRESETS, SAMPLE, TEXTURE_SIZES, TIERS, HeadSettings, check_files
from addon.client.session import Session
from addon.client.terminal import Terminal

KINDS = ("blend", "glb", "fbx")
ALL_MADE, SOME_FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
BACKEND_LOG, BLENDER_LOG = "backend.log", "blender.log"


def main() -> int:
    """Follow the command line; returns the exit status."""
    try:
        options = _parser().parse_intermixed_args(_own_arguments())
    except SystemExit as leave:  # argparse has said why; the process is left in one place only
        return USAGE if leave.code else ALL_MADE
    # Blender itself is sent to a log below; what we say still goes where the user looks.
    terminal = Terminal(os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding=sys.stdout.encoding, errors="replace"))
    try:
        return _run(options, terminal)
    except ClientError as error:
        terminal.begin("")
        terminal.say(f"error: {error}")
        return USAGE
    except KeyboardInterrupt:
        terminal.say("error: Interrupted. The same command again continues where it stopped.")
        return INTERRUPTED


def _run(options: argparse.Namespace, terminal: Terminal) -> int:
    photos = expand_photos([SAMPLE] * options.sample + options.photos)
    if not photos:
        raise ClientError("no_photos", "No photo was named.", "Name photos or a folder, or try --sample.")
    output = options.output.expanduser().absolute()
    make_writable(output)
    session = Session(find_backend(options.backend), output / BACKEND_LOG)
    _send_output_to(output / BLENDER_LOG)
    make_head = _load_scene_side()
    made = failed = 0
    try:
        for photo, name in zip(photos, folder_names(photos), strict=True):
            terminal.begin(name)
            settings = _settings(photo, options)
            try:
                check_files(settings)
                folder = output / name
                seconds = make_head(session, settings, folder, options.kinds, options.preview, terminal)
            except ClientError as error:
                terminal.say(f"error: {error}")
                if error.kind == "cancelled":
                    return INTERRUPTED
                failed += 1
            except Exception as error:  # noqa: BLE001  the net under one photo, so that the next ones are made
                terminal.say(traceback.format_exc())
                terminal.say(f"error: Something went wrong that should not: {error!r}. Please report it.")
                failed += 1
            else:
                terminal.say(f"done in {seconds:.1f} s: {folder}")
                made += 1
    finally:
        session.close()
    terminal.begin("")
    if len(photos) > 1 or failed:
        terminal.say(f"{made} of {len(photos)} heads made, {failed} failed")
    return SOME_FAILED if failed else ALL_MADE


def _settings(photo: str, options: argparse.Namespace) -> HeadSettings:
    """Every setting has an option of its name."""
    names = [each.name for each in dataclasses.fields(HeadSettings) if each.name != "photo"]
    return HeadSettings(photo, **{name: getattr(options, name) for name in names})


def _load_scene_side() -> Callable[..., float]:
    """What needs bpy, which takes a second to load, and which may be missing."""
    try:
        from addon.headless import make_head
    except ImportError as error:
        raise diagnose.missing_blender(error) from error
    return make_head


def _send_output_to(log: Path) -> None:
    """Blender tells every step of its renderer and exporters; that would bury what the user wants to read."""
    with told_of_disk(log), log.open("ab") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())


def _own_arguments() -> list[str]:
    """The arguments meant for us: in Blender those after `--`, as a plain script all of them but `--` itself."""
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    is_script = Path(sys.argv[0]).resolve() == Path(__file__).resolve()
    return (sys.argv[1:end] if is_script else []) + sys.argv[end + 1 :]


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(word.strip().lower() for word in text.split(",") if word.strip())
    if not kinds or not set(kinds) <= set(KINDS):
        raise argparse.ArgumentTypeError(f"“{text}” is not a list of {', '.join(KINDS)}")
    return kinds


def _face(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"“{text}” is not a number from 1 on")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="batch.py", description="Make animatable 3D heads from portrait photos.", allow_abbrev=False
    )
    parser.add_argument("photos", nargs="*", metavar="photo", help="a photo, or a folder of photos")
    parser.add_argument("--sample", action="store_true", help="make the head of the portrait that comes along")
    parser.add_argument("--output", type=Path, default=Path("out"), help="folder for the results (default: out)")
    parser.add_argument("--face", type=_face, help="which face of the photo, counted from 1, largest first")
    parser.add_argument("--preset", choices=PRESETS, default="standard")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--texture-size", type=int, choices=TEXTURE_SIZES, default=2048)
    parser.add_argument(
        "--delight",
        type=float,
        default=HeadSettings.delight,
        help="how much of the photo's light to take out of the skin, 0 to 1",
    )
    parser.add_argument("--hair", choices=HAIR, default="auto")
    parser.add_argument("--initial-mesh", default="", metavar="PATH", help="begin with a head that you have already")
    parser.add_argument("--tier", choices=TIERS, default="embedded", help="what the heads are made with")
    parser.add_argument("--prompt", default="", help="words for the person; the tier diffusion reads them")
    parser.add_argument("--style", default="", help="words for a look of all the skin; the tier diffusion reads them")
    parser.add_argument("--kinds", type=_kinds, default=KINDS, metavar="blend,glb,fbx", help="files to write")
    parser.add_argument("--no-preview", dest="preview", action="store_false", help="leave preview.png out (faster)")
    parser.add_argument(
        "--backend", default="", help="the backend to use: a command, or a virtual environment that holds it"
    )
    return parser


def _leave(status: int) -> NoReturn:
    """End the process at once: the bpy wheels crash or hang in their own clean-up after an export."""
    if "bpy" in sys.modules:
        shutil.rmtree(sys.modules["bpy"].app.tempdir, ignore_errors=True)
    with contextlib.suppress(OSError):  # the log lies on a disk that may be full
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _leave(main())
