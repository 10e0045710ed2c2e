"""From a portrait to a head: the stages, in order."""

from __future__ import annotations

import importlib.util
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portrait_head.asset import HeadAsset, read_asset, write_asset
from portrait_head.errors import PortraitHeadError
from portrait_head.events import Done, Event
from portrait_head.head_model import load_landmark_table
from portrait_head.head_pictures import picture
from portrait_head.identity.face_recognition import FaceRecognition
from portrait_head.identity.likeness import PICTURE_SIZE, YAWS, Likeness, measure_likeness
from portrait_head.job import Finished, Job, Listener, Stage, disk_errors, write_text
from portrait_head.models.initial_mesh import mesh_version
from portrait_head.models.readiness import readiness
from portrait_head.models.store import PackStore
from portrait_head.progress import Progress
from portrait_head.request import HeadRequest
from portrait_head.sculpting.config import preset
from portrait_head.stages import assemble, expressions, fit, guide, portrait, prior_texture, sculpt, texture

if TYPE_CHECKING:  # the diffusion tier's packages are not everybody's
    from portrait_head.diffusion.tier import Tier

PORTRAIT = Stage("portrait", "01_portrait", portrait.run, portrait.Portrait, ("photos", "face"), 2.0)
FIT = Stage("fit", "02_fit", fit.run, fit.Fit, (), 1.5)
GUIDE = Stage("guide", "03_guide", guide.run, guide.Guide, (), 0.5)
SCULPT = Stage("sculpt", "04_sculpt", sculpt.run, sculpt.Sculpt, ("preset", "seed", "hair"), 23.0)
TEXTURE = Stage(
    "texture", "05_texture", texture.run, texture.Texture, ("preset", "seed", "texture_size", "delight"), 9.0
)
EXPRESSIONS = Stage("expressions", "06_expressions", expressions.run, expressions.Expressions, (), 1.0)
ASSEMBLE = Stage(
    "assemble", "asset", assemble.run, HeadAsset, ("photos", "seed", "free_topology"), 3.5, write_asset, read_asset
)
OWN_SHARE = 0.2  # of the texture's time in the diffusion tier that goes into what the embedded tier does too
STAGES = (PORTRAIT, FIT, GUIDE, SCULPT, TEXTURE, EXPRESSIONS, ASSEMBLE)


def _ignore(event: Event) -> None:
    """Nobody listens."""


def generate(request: HeadRequest, folder: Path, listen: Listener = _ignore) -> Path:
    """Make the head; see `portrait_head.generate`."""
    started = time.monotonic()
    tier = _open_tier(request) if request.tier == "diffusion" else None
    stages = _begun_with(request.initial_mesh, STAGES if tier is None else guided_stages(tier))
    to_portrait, to_fit, to_guide, to_sculpt, to_texture, to_expressions, to_assemble = stages
    with Job(folder, request, stages, listen) as job:
        seen = job.run(to_portrait)
        fitted = job.run(to_fit, seen)
        guided = job.run(to_guide, seen, fitted)
        sculpted = job.run(to_sculpt, seen, fitted, guided)
        textured = job.run(to_texture, seen, fitted, sculpted)
        expressive = job.run(to_expressions, fitted, sculpted)
        asset = job.run(to_assemble, seen, fitted, sculpted, textured, expressive)

        warnings = [message for one in (seen, fitted, guided, sculpted, textured) for message in one.result.warnings]
        report: dict[str, Any] = {
            "tier": request.tier,
            "device": "cpu" if tier is None else tier.device_name,
            "versions": _versions(),
            "total_seconds": 0.0,
            "stages": [asdict(cost) for cost in job.costs],
            "photo": {"faces": len(seen.result.faces), "interocular_pixels": round(seen.result.interocular, 1)},
            "fit": {"nme_before": fitted.result.nme_before, "nme_after": fitted.result.nme_after},
            "texture": {"ssim": textured.result.ssim},
            "hair": sculpted.result.style,
        }
        if tier is not None:
            report |= _models(tier)
            warnings += _terms(tier)
        likeness, doubts = _likeness(seen, asset, tier)
        if likeness is not None:
            report["identity"] = {**asdict(likeness), "photos": max(len(seen.result.identities), 1)}
        report["warnings"] = warnings + doubts
        report["total_seconds"] = round(time.monotonic() - started, 2)
        with disk_errors(folder):
            write_text(folder / "report.json", json.dumps(report, indent=1))
        job.tell(Done(str(asset.folder), str(folder / "report.json")))
    return asset.folder


def guided_stages(tier: Tier) -> tuple[Stage, ...]:
    """The same stages, four of them with what the models of the diffusion tier know."""
    return (
        replace(PORTRAIT, run=partial(portrait.run, encoder=tier.face_encoder), models=tier.version(tier.face_pack)),
        FIT,
        replace(
            GUIDE,
            run=_calling(guide.run, tier),
            reads=("prompt", "preset"),
            models=tier.version(*tier.seeing),
            seconds=20.0,
        ),
        replace(
            SCULPT,
            run=partial(_guided_sculpt, tier),
            reads=(*SCULPT.reads, "guidance"),
            models=tier.version(*tier.guiding),
            seconds=90.0,
        ),
        replace(
            TEXTURE,
            run=partial(_painted_texture, tier),
            reads=(*TEXTURE.reads, "prompt", "style"),
            models=tier.version(*tier.painting),
            seconds=40.0,
        ),
        EXPRESSIONS,
        ASSEMBLE,
    )


def _begun_with(initial_mesh: str, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """The same stages; the sculpt is done again when the mesh that it begins with is another, wherever it lies."""
    if not initial_mesh:
        return stages
    version = mesh_version(Path(initial_mesh))
    return tuple(replace(one, models=one.models + version) if one.name == SCULPT.name else one for one in stages)


def _calling(run: Callable[..., Any], tier: Tier) -> Callable[..., Any]:
    def in_a_phase(*arguments: Any) -> Any:
        with tier.phase():
            return run(*arguments, seer=tier)

    return in_a_phase


def _guided_sculpt(
    tier: Tier,
    request: HeadRequest,
    seen: portrait.Portrait,
    fitted: fit.Fit,
    guided: guide.Guide,
    progress: Progress,
) -> sculpt.Sculpt:
    """The sculpt, its other views judged by score distillation (equation 3 of ID-Sculpt)."""
    config = preset(request.preset).scaled(tier.settings(request.preset).sculpt_steps)
    landmarks = load_landmark_table().positions(fitted.posed)
    with tier.guidance(seen.identity, landmarks, guided.caption, request.seed) as guidance:
        carved = sculpt.run(request, seen, fitted, guided, progress, config, guidance)
    return replace(carved, warnings=carved.warnings + tier.notes())


def _painted_texture(
    tier: Tier,
    request: HeadRequest,
    seen: portrait.Portrait,
    fitted: fit.Fit,
    carved: sculpt.Sculpt,
    progress: Progress,
) -> texture.Texture:
    """The texture; what the photo did not see of the skin is painted by the diffusion models."""
    begun = texture.run(request, seen, fitted, carved, Progress(lambda done: progress(OWN_SHARE * done), progress.show))
    told = Progress(lambda done: progress(OWN_SHARE + (1 - OWN_SHARE) * done))
    settings = tier.settings(request.preset).painting
    landmarks = load_landmark_table().positions(carved.refine(fitted).neutral)
    style = request.style.strip()
    words = ", ".join(filter(None, (tier.caption(request.prompt, seen.image), style)))
    with tier.painter(seen.identity, landmarks, words) as painter:
        painted = prior_texture.run(
            begun, fitted, carved, painter, settings, request.seed, tier.device.type, told, restyle=bool(style)
        )
    return replace(painted, warnings=painted.warnings + tier.notes())


def _models(tier: Tier) -> dict[str, Any]:
    """What of the models belongs into the report."""
    peak = tier.peak_memory_mb
    return {
        "packs": {"set": tier.packs.name, "used": [asdict(use) for use in tier.uses()]},
        "references": tier.references_by,
        "memory_plan": tier.plan.name,
        "peak_gpu_memory_mb": None if peak is None else round(peak, 1),
    }


def _terms(tier: Tier) -> list[str]:
    """What the licences and the gaps of the packs mean for the user."""
    said = []
    research = [use.name for use in tier.uses() if not use.commercial_use]
    if research:
        said.append(f"Made with {', '.join(research)}: for non-commercial use only. --packs commercial does without.")
    if not tier.knows_the_person:
        said.append(f"The packs of the set {tier.packs.name} do not tell the diffusion models who the person is.")
    return said


def _likeness(seen: Finished, asset: Finished, tier: Tier | None) -> tuple[Likeness | None, list[str]]:
    """How much the head looks like the person, where a face recogniser is here, and what kept it from telling."""
    try:
        encoder = _any_encoder() if tier is None else tier.face_encoder()
        if encoder is None:
            return None, []
        person = seen.result.identity
        if person is None:
            person = encoder.embed(seen.result.image, seen.result.landmarks[:, :2].mean(axis=0))
        pose = asset.result.photo_pose.expression
        views = {yaw: picture(asset.result, yaw, pose, PICTURE_SIZE) for yaw in YAWS}
        return measure_likeness(encoder, person, views), []
    except PortraitHeadError as error:
        return None, [f"The likeness could not be measured. {error.message} {error.hint}"]


def _any_encoder() -> FaceRecognition | None:
    """The face recogniser that is here by chance; the embedded tier needs none, nor its packages."""
    store = PackStore()
    if not store.installed() or importlib.util.find_spec("insightface") is None:
        return None
    from portrait_head.identity.packs import installed_face_pack, load_face_encoder

    name = installed_face_pack(store)
    return None if name is None else load_face_encoder(name, store)


def _open_tier(request: HeadRequest) -> Tier:
    store = PackStore()  # one, which remembers the checksums that held
    readiness(request.device, request.packs, store).require()  # before an import that needs the tier's packages
    from portrait_head.diffusion.tier import open_tier

    return open_tier(request, store)


def _versions() -> dict[str, Any]:
    packages = ("portrait_head", "numpy", "scipy", "mediapipe", "anny")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
