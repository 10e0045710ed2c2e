"""Checks that a machine has what the embedded tier needs, and tells what the diffusion tier lacks."""

from __future__ import annotations

import importlib
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from portrait_head import system_libraries
from portrait_head.errors import PortraitHeadError

PACKAGES = (
    "numpy", "scipy", "cv2", "PIL", "skimage", "embreex", "fast_simplification", "filelock", "xatlas", "mediapipe",
    "torch", "warp",
)  # fmt: skip
NEEDED_DISK_GB = 1.0


@dataclass(frozen=True)
class Finding:
    """One thing looked at; what is not `needed` may be missing."""

    subject: str
    good: bool
    text: str
    needed: bool = True


def examine() -> tuple[Finding, ...]:
    """Look at Python, every package, the head model's data, the cache folder and the disk."""
    checks: list[tuple[str, Callable[[], str]]] = [("Python", platform.python_version)]
    checks += [(name, lambda name=name: _package(name)) for name in PACKAGES]
    checks += [("head model", _head_model), ("cache folder", _cache_folder), ("disk", _disk)]
    found = tuple(_check(subject, look) for subject, look in checks)
    return (*found, replace(_check("diffusion tier", _diffusion), needed=False))


def _check(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, True, look())
    except PortraitHeadError as error:
        return Finding(subject, False, f"{error.message} {error.hint}")
    except ImportError as error:
        explained = system_libraries.explain(error)
        text = str(explained) if explained else f"{error}. Install this project again: pip install ."
        return Finding(subject, False, text)
    except OSError as error:
        return Finding(subject, False, str(error))


def _package(name: str) -> str:
    return str(getattr(importlib.import_module(name), "__version__", "installed"))


def _head_model() -> str:
    from portrait_head.head_model import load_head_model

    started = time.monotonic()
    model = load_head_model()
    return f"{len(model.vertices)} vertices, {len(model.identity_names)} directions, {time.monotonic() - started:.2f} s"


def _cache_folder() -> str:
    from portrait_head.head_model import cache_folder

    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        return str(folder)


def _disk() -> str:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    if free < NEEDED_DISK_GB:
        raise PortraitHeadError("disk_full", f"Only {free:.1f} GB are free.", f"Free at least {NEEDED_DISK_GB:.0f} GB.")
    return f"{free:.0f} GB free"


def _diffusion() -> str:
    from portrait_head.models.readiness import readiness

    found = readiness()
    found.require()
    return f"ready, with the packs of the set {found.packs.name}"
