"""Identity encoders by the names of their packs."""

from __future__ import annotations

from portrait_head.errors import PortraitHeadError
from portrait_head.identity.clip_patches import ClipPatches
from portrait_head.identity.embedding import IdentityEncoder
from portrait_head.identity.face_recognition import FaceRecognition
from portrait_head.models.catalogue import Catalogue, load_catalogue
from portrait_head.models.store import PackStore

FACE_PACKS = ("buffalo_l", "antelopev2", "auraface")  # the FaceID adapter was trained with the first
CLIP_PACKS = ("clip-vision",)


def load_encoder(
    name: str, store: PackStore, device: str = "cpu", catalogue: Catalogue | None = None
) -> IdentityEncoder:
    """The encoder of an installed pack, carrying the pack's licence.

    Raises:
        PortraitHeadError: `unknown_pack`, `pack_missing`, `pack_broken`, `missing_package`, and what its models raise.
    """
    catalogue = catalogue or load_catalogue()
    pack = catalogue.pack(name)
    if name in FACE_PACKS:
        return load_face_encoder(name, store, device, catalogue)
    if name in CLIP_PACKS:
        return ClipPatches(store.path(name), catalogue.licence_of(pack).title, pack.commercial_use, device)
    raise PortraitHeadError(
        "unknown_pack",
        f"The pack {name} does not encode identity.",
        f"Use one of {', '.join((*FACE_PACKS, *CLIP_PACKS))}.",
    )


def load_face_encoder(
    name: str, store: PackStore, device: str = "cpu", catalogue: Catalogue | None = None
) -> FaceRecognition:
    """The face recogniser of an installed pack; arguments and errors as in `load_encoder`."""
    catalogue = catalogue or load_catalogue()
    pack = catalogue.pack(name)
    return FaceRecognition(store.path(name), catalogue.licence_of(pack).title, pack.commercial_use, device)


def installed_face_pack(store: PackStore) -> str | None:
    """The first face recognition pack that is here, for measuring likeness; None if there is none."""
    here = store.installed()
    return next((name for name in FACE_PACKS if name in here), None)
