"""The diffusion tier's models on this computer: loaded when a stage first asks, off the device when it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from portrait_head.diffusion.captions import MOST_WORDS, describe_photo, prompt_texts, shortened
from portrait_head.diffusion.guidance import ScoreDistillation
from portrait_head.diffusion.guidance_images import RenderKind
from portrait_head.diffusion.inpainting import (
    PAINTER_FAST,
    DiffusionPainter,
    PainterFolders,
    load_painter,
    painter_folders,
)
from portrait_head.diffusion.memory_plan import (
    PLANS,
    MemoryPlan,
    choose_plan,
    cuda_device,
    free_memory,
    smaller_plan,
    weights_dtype,
    within_memory,
)
from portrait_head.diffusion.packs import IDENTITY_SIZE, PriorFolders, load_pipeline, pack_folders, picture_side
from portrait_head.diffusion.presets import DISTILLATIONS, TierSettings, tier_settings
from portrait_head.diffusion.prior import IdGuidedPrior, PriorConfig, Subject, encode_prompts
from portrait_head.diffusion.references import (
    ReferenceFolders,
    ReferenceMaps,
    ReferencePhoto,
    generate_references,
    predict_references,
)
from portrait_head.diffusion.variational import VariationalConfig
from portrait_head.errors import PortraitHeadError
from portrait_head.identity.embedding import IdentityEmbedding
from portrait_head.identity.face_recognition import FaceRecognition
from portrait_head.identity.packs import FACE_PACKS, load_face_encoder
from portrait_head.models.catalogue import Catalogue, PackSet, load_catalogue
from portrait_head.models.face_normals import FaceNormals
from portrait_head.models.normal_axes import RIGHT_UP_TOWARDS
from portrait_head.models.readiness import AUTO, readiness
from portrait_head.models.store import PackStore

if TYPE_CHECKING:
    from diffusers.pipelines.controlnet.pipeline_controlnet import StableDiffusionControlNetPipeline

    from portrait_head.request import HeadRequest

FACE_ID, NORMALS, CAPTIONS, CANNY = "ip-adapter-faceid", "face-normals", "captions", "controlnet-canny"
ADAPTER_ENCODER = "buffalo_l"  # which the FaceID adapter was trained with
_GROUND = ("sd15", "vae-ft-mse", "text-to-normal")
GUIDING = (*_GROUND, "controlnet-landmarks", FACE_ID)
DRAWING = (*_GROUND, "text-to-depth", CANNY, FACE_ID)
PAINTING = ("realistic-vision", "vae-ft-mse", "controlnet-normal", FACE_ID, "few-step-lora")  # of `PAINTER_FAST`


@dataclass(frozen=True)
class PackUse:
    """A pack that a head was made with, for the report."""

    name: str
    revision: str
    licence: str
    commercial_use: bool


class Tier:
    """What the stages ask in the tier `diffusion`; `open_tier` makes one.

    Attributes:
        device: where it computes.
        plan: how the device's memory is shared; a smaller one after the device was full.
    """

    def __init__(
        self,
        device: torch.device,
        packs: PackSet,
        references: str,
        store: PackStore,
        catalogue: Catalogue,
        guidance: str = "fast",
    ) -> None:
        """Use the packs of a set; `references` is "predicted" or "drawn", `guidance` one of `presets.DISTILLATIONS`."""
        self.device = device
        self.plan: MemoryPlan = choose_plan(free_memory(device)) if device.type == "cuda" else PLANS[0]
        self.packs = packs
        self.references_by = references
        self._distillation = DISTILLATIONS[guidance]
        self._store, self._catalogue = store, catalogue
        self._dtype = weights_dtype(device)
        self._encoder: FaceRecognition | None = None
        self._caption: str | None = None
        self._notes: list[str] = []
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    @property
    def device_name(self) -> str:
        """For the report."""
        return f"cuda ({torch.cuda.get_device_name(self.device)})" if self.device.type == "cuda" else "cpu"

    @property
    def peak_memory_mb(self) -> float | None:
        """The most that lay on the device so far; None without one."""
        return torch.cuda.max_memory_allocated(self.device) / 2**20 if self.device.type == "cuda" else None

    @property
    def face_pack(self) -> str:
        """The pack that recognises faces."""
        return next(name for name in FACE_PACKS if name in self.packs.packs)

    @property
    def knows_the_person(self) -> bool:
        """Whether the guidance is told whom it guides."""
        return FACE_ID in self.packs.packs and self.face_pack == ADAPTER_ENCODER

    @property
    def guiding(self) -> tuple[str, ...]:
        """The packs behind the sculpt's other views."""
        return GUIDING

    @property
    def painting(self) -> tuple[str, ...]:
        """The packs behind the texture's unseen parts."""
        return PAINTING

    @property
    def seeing(self) -> tuple[str, ...]:
        """The packs behind the references."""
        by_way = (NORMALS,) if self.references_by == "predicted" else DRAWING
        return (*by_way, CAPTIONS)

    def uses(self) -> tuple[PackUse, ...]:
        """Every pack that has a part in the head."""
        return tuple(self._use(name) for name in self._here(self.face_pack, *self.seeing, *GUIDING, *PAINTING))

    def version(self, *names: str) -> str:
        """Changes with the device, the way of working and the contents of these packs."""
        records = {name: self._store.record(name) for name in self._here(*names)}
        files = {name: [record.revision, *(file.sha256 for file in record.files)] for name, record in records.items()}
        told = json.dumps([self.device.type, self.references_by, files], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()

    def notes(self) -> tuple[str, ...]:
        """What happened since the last call that the user should know."""
        said = tuple(self._notes)
        self._notes.clear()
        return said

    @contextmanager
    def phase(self) -> Iterator[None]:
        """Whatever a stage loads inside leaves the device at the end."""
        try:
            yield
        finally:
            torch.cuda.empty_cache()

    def face_encoder(self) -> FaceRecognition:
        """What turns photos into the numbers that stand for the person."""
        if self._encoder is None:
            self._encoder = load_face_encoder(self.face_pack, self._store, self.device.type, self._catalogue)
        return self._encoder

    def caption(self, prompt: str, picture: np.ndarray) -> str:
        """The user's words; without them the captioning pack's, if it is here, for the picture [H, W, 3] uint8.

        So many of them as leave room for what is said of the view. A job has one caption; it is found once.
        """
        if self._caption is None:
            self._caption = shortened(self._described(prompt, picture))
            if self._caption != " ".join(prompt.split()) and prompt.strip():
                self._notes.append(f"The description is long: only its first {MOST_WORDS} words were read.")
        return self._caption

    def _described(self, prompt: str, picture: np.ndarray) -> str:
        if prompt.strip() or not self._here(CAPTIONS):
            return prompt
        folder, places = self._store.path(CAPTIONS), [torch.device("cpu"), self.device]
        # Where the GPU has no room for one more model, the processor describes the photo: a matter of seconds.
        return within_memory(
            lambda: describe_photo(picture, folder, places.pop()), lambda: bool(places), "describing the photo"
        )

    def references(self, photo: ReferencePhoto, preset: str) -> ReferenceMaps:
        """Normals, and where they are drawn depth, of the person in the photo.

        Raises:
            PortraitHeadError: as `references.generate_references` and `models.face_normals.FaceNormals`.
        """
        if self.references_by == "predicted":
            axes = self._catalogue.pack(NORMALS).normal_axes or RIGHT_UP_TOWARDS
            maps = predict_references(photo, FaceNormals(self._store.path(NORMALS), self.device.type, axes))
            self._notes += maps.notes
            return maps
        folders = ReferenceFolders(self._folders("normal", CANNY), self._folders("depth", CANNY))
        config = replace(tier_settings(preset).references, side=picture_side(folders.normal))
        return generate_references(photo, folders, self.device, self.plan, self._dtype, config, shrunk=self._go_on_with)

    @contextmanager
    def guidance(
        self, person: IdentityEmbedding | None, landmarks: np.ndarray, caption: str, seed: int
    ) -> Iterator[ScoreDistillation]:
        """The judge of other views for the sculpt, inside the block.

        Args:
            person: who it is.
            landmarks: [478, 3] metres, on the head.
            caption: words for the person; blank for neutral ones.
            seed: of the noise.

        Raises:
            PortraitHeadError: `out_of_memory` after one retry with a smaller plan; as `packs.load_pipeline`.
        """
        with self.phase():
            subject = Subject(self.identity_vector(person), landmarks, caption)
            folders = self._folders("normal", "controlnet-landmarks")
            prior = within_memory(lambda: self._prior(folders, subject, seed), self._shrink, "loading the guidance")
            with self._lent(prior):
                yield ScoreDistillation(prior, self._distillation, "normal", seed)

    @contextmanager
    def painter(
        self, person: IdentityEmbedding | None, landmarks: np.ndarray, caption: str
    ) -> Iterator[DiffusionPainter]:
        """What completes and restores views of the texture, inside the block; see `guidance`."""
        with self.phase():
            subject = Subject(self.identity_vector(person), landmarks, caption)
            folders = self._painter_folders()
            side = picture_side(PriorFolders(folders.base, folders.normal, vae=folders.vae))
            painter = within_memory(
                lambda: load_painter(
                    folders, subject, self.device, self.plan, self._dtype, PAINTER_FAST, PriorConfig(side=side)
                ),
                self._shrink,
                "loading the painter",
            )
            with self._lent(painter.prior):
                yield painter

    def identity_vector(self, person: IdentityEmbedding | None) -> np.ndarray:
        """[512] what the adapter is told; zeros for an encoder that it was not trained with."""
        if person is None or not self.knows_the_person:
            return np.zeros(IDENTITY_SIZE, np.float32)
        return person.vector

    def settings(self, preset: str) -> TierSettings:
        """How much work goes in."""
        return tier_settings(preset)

    @contextmanager
    def _lent(self, prior: IdGuidedPrior) -> Iterator[None]:
        """The device is the prior's inside the block; whoever asked for it may hold it longer."""
        try:
            yield
        finally:
            prior.leave_device()
        self._go_on_with(prior.plan)

    def _prior(self, folders: PriorFolders, subject: Subject, seed: int) -> IdGuidedPrior:
        pipeline = self._pipeline(folders)
        prompts = encode_prompts(pipeline, prompt_texts(subject.caption, "normal"))
        config = PriorConfig(side=picture_side(folders))
        learning = VariationalConfig() if self._distillation.estimator == "vsd" else None
        return IdGuidedPrior(pipeline, subject, prompts, self.device, self.plan, config, learning, seed)

    def _pipeline(self, folders: PriorFolders) -> StableDiffusionControlNetPipeline:
        return load_pipeline(folders, self._dtype)

    def _folders(self, kind: RenderKind, controlnet: str) -> PriorFolders:
        return pack_folders(self._store.path, kind, controlnet, self.knows_the_person)

    def _painter_folders(self) -> PainterFolders:
        absent = () if self.knows_the_person else (FACE_ID,)
        folders = painter_folders(lambda name: Path() if name in absent else self._store.path(name), PAINTER_FAST)
        return replace(folders, face_id=None) if absent else folders

    def _here(self, *names: str) -> tuple[str, ...]:
        """Those of the names that may be used: packs of the set, and captions wherever they are."""
        here = self._store.installed()
        known = dict.fromkeys(names)
        return tuple(name for name in known if name in self.packs.packs or (name == CAPTIONS and name in here))

    def _use(self, name: str) -> PackUse:
        record, pack = self._store.record(name), self._catalogue.pack(name)
        return PackUse(name, record.revision, self._catalogue.licence_of(pack).title, pack.commercial_use)

    def _shrink(self) -> bool:
        smaller = smaller_plan(self.plan)
        if smaller is not None:
            self._go_on_with(smaller)
        return smaller is not None

    def _go_on_with(self, plan: MemoryPlan) -> None:
        if plan != self.plan:
            self._notes.append(
                f"The GPU ran full: the memory plan “{self.plan.name}” was left for “{plan.name}”, which is slower. "
                "Close other programs that use the GPU."
            )
        self.plan = plan


def open_tier(
    request: HeadRequest,
    store: PackStore | None = None,
    catalogue: Catalogue | None = None,
) -> Tier:
    """The tier for a request.

    Args:
        request: device, set of packs, way of making references, and guidance.
        store: where packs lie; the user's folder by default.
        catalogue: what there is.

    Raises:
        PortraitHeadError: with everything that is in the way, see `models.readiness`; `pack_missing` for a way of
            making references that the set of packs does not have.
    """
    store, catalogue = store or PackStore(), catalogue or load_catalogue()
    found = readiness(request.device, request.packs, store, catalogue)
    found.require()
    ways = {"predicted": NORMALS in found.packs.packs, "drawn": CANNY in found.packs.packs}
    wished = next(way for way, here in ways.items() if here) if request.references == AUTO else request.references
    if not ways[wished]:
        raise PortraitHeadError(
            "pack_missing",
            f"The set of packs {found.packs.name} cannot make references that are {wished}.",
            f"Choose --references {next(way for way, here in ways.items() if here)}, or another set.",
        )
    device = cuda_device() if found.device == "cuda" else torch.device("cpu")
    return Tier(device, found.packs, wished, store, catalogue, request.guidance)
