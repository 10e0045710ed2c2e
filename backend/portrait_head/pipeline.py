"""From a portrait to a head: the stages, in order."""

from __future__ import annotations

import json
import platform
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from portrait_head.asset import HeadAsset, read_asset, write_asset
from portrait_head.errors import PortraitHeadError
from portrait_head.events import Done, Event
from portrait_head.job import Job, Listener, Stage, disk_errors, write_text
from portrait_head.request import HeadRequest
from portrait_head.stages import assemble, expressions, fit, guide, portrait, sculpt, texture

PORTRAIT = Stage("portrait", "01_portrait", portrait.run, portrait.Portrait, ("photos", "face"), 2.0)
FIT = Stage("fit", "02_fit", fit.run, fit.Fit, ("preset", "seed"), 4.0)
GUIDE = Stage("guide", "03_guide", guide.run, guide.Guide, ("tier", "prompt", "seed"), 0.5)
SCULPT = Stage("sculpt", "04_sculpt", sculpt.run, sculpt.Sculpt, ("preset", "seed", "hair"), 18.0)
TEXTURE = Stage(
    "texture", "05_texture", texture.run, texture.Texture, ("preset", "seed", "texture_size", "delight"), 9.0
)
EXPRESSIONS = Stage("expressions", "06_expressions", expressions.run, expressions.Expressions, ("seed",), 1.0)
ASSEMBLE = Stage("assemble", "asset", assemble.run, HeadAsset, ("photos",), 1.5, write_asset, read_asset)
STAGES = (PORTRAIT, FIT, GUIDE, SCULPT, TEXTURE, EXPRESSIONS, ASSEMBLE)


def _ignore(event: Event) -> None:
    """Nobody listens."""


def generate(request: HeadRequest, folder: Path, listen: Listener = _ignore) -> Path:
    """Make the head; see `portrait_head.generate`."""
    if request.tier != "embedded":
        raise PortraitHeadError(
            "tier_unavailable",
            f"The tier {request.tier} needs model packs that this version cannot load yet.",
            "Choose the tier embedded.",
        )
    started = time.monotonic()
    job = Job(folder, request, STAGES, listen)
    seen = job.run(PORTRAIT)
    fitted = job.run(FIT, seen)
    guided = job.run(GUIDE, seen, fitted)
    sculpted = job.run(SCULPT, seen, fitted, guided)
    textured = job.run(TEXTURE, seen, fitted, sculpted)
    expressive = job.run(EXPRESSIONS, seen, fitted, sculpted)
    asset = job.run(ASSEMBLE, seen, fitted, sculpted, textured, expressive)

    report = {
        "tier": request.tier,
        "device": "cpu",
        "versions": _versions(),
        "total_seconds": round(time.monotonic() - started, 2),
        "stages": [asdict(cost) for cost in job.costs],
        "photo": {"faces": len(seen.result.faces), "interocular_pixels": round(seen.result.interocular, 1)},
        "fit": {"nme_before": fitted.result.nme_before, "nme_after": fitted.result.nme_after},
        "texture": {"ssim": textured.result.ssim},
        "hair": sculpted.result.style,
        "warnings": [message for one in (seen, fitted, sculpted, textured) for message in one.result.warnings],
    }
    with disk_errors(folder):
        write_text(folder / "report.json", json.dumps(report, indent=1))
    job.tell(Done(str(asset.folder), str(folder / "report.json")))
    return asset.folder


def _versions() -> dict[str, Any]:
    packages = ("portrait_head", "numpy", "scipy", "mediapipe", "anny")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
