"""A pack from its source to the models folder: asked once, continued if broken off, checked, never twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import filelock

from portrait_head.errors import PortraitHeadError
from portrait_head.models.catalogue import Licence, Pack
from portrait_head.models.disk import explained, need_space, sha256_of
from portrait_head.models.hosts import Listing, list_files
from portrait_head.models.install import Origin, finish, unpack
from portrait_head.models.layout import PICKLES
from portrait_head.models.store import PackRecord, PackStore
from portrait_head.models.transfer import Patience, RemoteFile, fetch, part_of

OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


@dataclass(frozen=True)
class Step:
    """What is being done to a pack: bytes of the whole pack that are here, of how many (0: not known)."""

    pack: str
    what: str
    done: int
    total: int


Listener = Callable[[Step], None]


def download(
    pack: Pack,
    licence: Licence,
    store: PackStore,
    listen: Listener = lambda step: None,
    patience: Patience | None = None,
) -> PackRecord:
    """Make sure that `pack` is on this computer, whole. A pack that is whole is not asked for again.

    Raises:
        PortraitHeadError: `licence_not_accepted`, `offline`, `no_network`, `download_failed`, `download_refused`,
            `download_gone`, `wrong_layout`, `wrong_architecture`, `unsafe_weights`, `weights_broken`, `pack_changed`,
            `pack_busy`, `disk_full`, `models_unwritable`.
    """
    if pack.name in store.installed() and _whole(pack, store, listen):
        return store.record(pack.name)
    need_acceptance((licence,), store)
    need_network(pack)
    patience = patience or Patience()
    workplace = store.workplace(pack.name)
    with explained(store.folder):
        workplace.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(workplace.with_name(f"{pack.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise PortraitHeadError(
                "pack_busy",
                f"Another process is already downloading the model pack {pack.name}.",
                "Wait for it, or stop it and start this command again.",
            ) from error
        try:
            return _download(pack, store, listen, patience)
        finally:
            lock.release()


def need_acceptance(licences: Iterable[Licence], store: PackStore) -> None:
    """Raise PortraitHeadError `licence_not_accepted`, naming all of `licences` that still need a yes."""
    open_ones = {licence.id: licence for licence in licences if licence.accept and not store.accepted(licence.id)}
    if open_ones:
        named = ", ".join(f"“{licence.title}” ({licence.url})" for licence in open_ones.values())
        flags = " ".join(f"--accept-licence {name}" for name in open_ones)
        raise PortraitHeadError(
            "licence_not_accepted", f"Not accepted yet: {named}.", f"Read it, and if you agree add {flags}"
        )


def need_network(pack: Pack) -> None:
    """Raise PortraitHeadError `offline` if the environment forbids the network."""
    for name in OFFLINE:
        if os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE"):
            raise PortraitHeadError(
                "offline",
                f"The model pack {pack.name} is not whole on this computer, and {name} forbids to download it.",
                f"Unset {name}, or use: portrait-head models download {pack.name} --from FOLDER",
            )


def _whole(pack: Pack, store: PackStore, listen: Listener) -> bool:
    listen(Step(pack.name, "checking", 0, 0))
    try:
        store.verify(pack.name)
    except PortraitHeadError as error:
        if error.kind != "pack_broken":
            raise
        listen(Step(pack.name, error.message, 0, 0))
        return False
    return True


def _download(pack: Pack, store: PackStore, listen: Listener, patience: Patience) -> PackRecord:
    arrived = store.workplace(pack.name) / "download"
    arrived.mkdir(exist_ok=True)
    listen(Step(pack.name, "asking the source", 0, 0))
    wanted = store.first_revision(pack.name) if pack.host == "huggingface" and not pack.pinned else None
    listing = list_files(pack, wanted or pack.revision, patience)
    need_space(store.folder, _still_needed(listing, arrived), pack.name)
    total = sum(remote.size or 0 for remote in listing.files)
    before = 0
    for remote in listing.files:
        target = arrived / remote.path
        if not _arrived(remote, target):
            fetch(
                remote,
                target,
                lambda count, before=before, remote=remote: listen(Step(pack.name, remote.path, before + count, total)),
                patience,
            )
            _check(remote, target, pack)
        before += target.stat().st_size
    sources = {remote.path: arrived / remote.path for remote in listing.files}
    if listing.archive:
        listen(Step(pack.name, "unpacking", total, total))
        inside = arrived / "unpacked"
        inside.mkdir(exist_ok=True)
        unpack(pack, arrived / listing.files[0].path, inside)
        sources = {path.name: path for path in inside.iterdir()}
    origin = Origin(pack.source, listing.revision, downloaded=True)
    return finish(pack, sources, store, origin, lambda what: listen(Step(pack.name, what, total, total)))


def _still_needed(listing: Listing, arrived: Path) -> int:
    """Bytes that the download will write: what is not here yet, and a second copy of what is unpacked or converted."""
    needed = 0
    for remote in listing.files:
        size = remote.size or 0
        target = arrived / remote.path
        here = next((path.stat().st_size for path in (target, part_of(remote, target)) if path.exists()), 0)
        twice = listing.archive or target.suffix in PICKLES
        needed += max(size - here, 0) + (size if twice else 0)
    return needed


def _arrived(remote: RemoteFile, target: Path) -> bool:
    """Whether an earlier call downloaded this very file to its end."""
    if not target.is_file() or (remote.size is not None and target.stat().st_size != remote.size):
        return False
    if remote.sha256 is None:
        return _mark(remote, target).exists()
    return sha256_of(target) == remote.sha256


def _check(remote: RemoteFile, target: Path, pack: Pack) -> None:
    if remote.sha256 is not None and sha256_of(target) != remote.sha256:
        target.unlink()
        raise PortraitHeadError(
            "download_failed",
            f"{remote.path} did not arrive as it was sent: its checksum is wrong.",
            f"Start it again; this file is fetched anew: portrait-head models download {pack.name}",
        )
    if remote.sha256 is None:
        _mark(remote, target).touch()


def _mark(remote: RemoteFile, target: Path) -> Path:
    """An empty file that says which version of `target` is here, when its source tells no checksum."""
    return part_of(remote, target).with_suffix(".whole")
