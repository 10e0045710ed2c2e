# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the scripts of tests/browser, where Node, its packages and Chromium are at hand.

`npm install --prefix DIR` with tests/browser/package.json copied to DIR makes the folder that
PORTRAIT_HEAD_NODE_MODULES names (DIR/node_modules).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[1] / "browser"
VARIABLE = "PORTRAIT_HEAD_NODE_MODULES"


def run_node(script: str, *arguments: str, packages: tuple[str, ...], chromium: bool = False) -> Any:
    """The JSON that a script prints. Skips the test, with the reason, where something that it needs is absent."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js")
    modules = os.environ.get(VARIABLE)
    if not modules:
        pytest.skip(f"needs {VARIABLE}, the node_modules folder made from tests/browser/package.json")
    for package in packages:
        assert (Path(modules) / package).is_dir(), f"{VARIABLE} is set, but has no {package}"
    environment = dict(os.environ)
    if chromium:
        named = os.environ.get("PORTRAIT_HEAD_CHROMIUM")
        browser = named or next(
            filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
        )
        if browser is None:
            pytest.skip("needs Chromium")
        environment["PORTRAIT_HEAD_CHROMIUM"] = browser
    done = subprocess.run(
        [node, str(SCRIPTS / script), *arguments], capture_output=True, text=True, timeout=240, env=environment
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
