"""Takes the installer's arguments and tells its lines, in the manner that the folder's name says. Nothing is installed.

Folder names: good, stuck, deaf, bad, dead, noisy. A file `backend` in the folder stands for the environment.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--json", action="store_true")
parser.add_argument("--folder", type=Path)
parser.add_argument("--device")
parser.add_argument("--wheels")
for action in ("--remove", "--upgrade", "--verify", "--repair"):
    parser.add_argument(action, action="store_true")
options = parser.parse_args()
folder: Path = options.folder
folder.mkdir(exist_ok=True)
manner = folder.name


def tell(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


if manner == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if manner == "noisy":
    print("pip says something\n{\n[]\n{}", flush=True)
    tell(step=1)
    tell(done="x", total=None, step="a", message="b")
tell(step="environment", done=10, total=100, message="Making the environment")
if manner in ("stuck", "deaf"):
    time.sleep(60)
if manner == "bad":
    tell(error={"kind": "disk_full", "message": "The disk is full.", "hint": "Free some space."})
    sys.exit(1)
if manner == "dead":
    print("ModuleNotFoundError: No module named 'venv'", file=sys.stderr)
    sys.exit(3)
tell(warning="this Python is Blender's own")
(folder / "backend").unlink(missing_ok=True)
program = folder / "venv" / "bin" / "portrait-head"
program.unlink(missing_ok=True)
if not options.remove:
    (folder / "backend").touch()
    program.parent.mkdir(parents=True, exist_ok=True)
    program.touch(mode=0o755)
tell(finished={"folder": str(folder), "version": "" if options.remove else "1.2.3"})
