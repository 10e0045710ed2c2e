"""Translations name texts that the panels really show: one that has been reworded would silently stay English."""

from __future__ import annotations

import ast
from pathlib import Path

ADDON = Path(__file__).parents[2] / "addon"


def texts(path: Path) -> set[str]:
    """Every text in a file's code."""
    constants = (
        node.value for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Constant)
    )
    return {value for value in constants if isinstance(value, str)}


def test_every_translated_text_is_shown_somewhere():
    tree = ast.parse((ADDON / "translations.py").read_text(encoding="utf-8"))
    keys = [key for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys]
    english = [key.elts[1] for key in keys if isinstance(key, ast.Tuple)]
    translated = {each.value for each in english if isinstance(each, ast.Constant)}
    assert len(translated) > 20
    shown = set().union(*(texts(path) for path in ADDON.rglob("*.py") if path.name != "translations.py"))
    assert translated - shown == set()
