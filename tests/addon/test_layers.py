"""Rules of the add-on that no linter knows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "addon").rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Modules that a file imports, relative ones written out from the repository's root."""
    package = path.relative_to(ROOT).parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            source = f"{base}.{node.module}" if base and node.module else base or node.module or ""
            found |= {source} | {f"{source}.{alias.name}" for alias in node.names}
    return found


def uses(path: Path, *modules: str) -> set[str]:
    return {
        name for name in imports(path) if any(name == module or name.startswith(f"{module}.") for module in modules)
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_layers_hold(path: Path):
    folder = path.relative_to(ROOT / "addon").parts[0]
    # Blender's reviewers refuse threads; torch and the backend live in another process.
    assert not uses(path, "threading", "concurrent", "asyncio", "multiprocessing", "torch", "portrait_head")
    # What has to be downloaded, the installer downloads, in a process of its own and when asked to.
    assert not uses(path, "socket", "ssl", "http", "urllib", "ftplib", "requests", "pip", "ensurepip")
    if folder == "client":
        assert not uses(path, "bpy", "numpy", "addon.scene", "addon.operators", "addon.ui")
    if folder == "scene":
        assert not uses(path, "addon.client", "addon.operators", "addon.ui")
    if folder == "data":
        assert not uses(path, "bpy", "addon.client", "addon.operators", "addon.ui")
    if folder == "operators":
        assert not uses(path, "addon.ui.panels")
    assert path.read_text(encoding="utf-8").startswith("# SPDX-License-Identifier: GPL-3.0-or-later\n")


def test_sys_path_is_left_alone_but_by_the_batch_as_a_script():
    touching = [path.name for path in FILES if "sys.path" in path.read_text(encoding="utf-8")]
    assert touching in ([], ["batch.py"])
