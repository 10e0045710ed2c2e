"""From files as a source has them to a pack as the libraries load it."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from portrait_head.errors import PortraitHeadError
from portrait_head.models.catalogue import Pack
from portrait_head.models.disk import explained, need_space, sha256_of
from portrait_head.models.layout import choose
from portrait_head.models.store import RECORD, PackRecord, PackStore, StoredFile
from portrait_head.models.weights import convert_to_safetensors, wrong_architecture


@dataclass(frozen=True)
class Origin:
    """Where files came from, for the record."""

    source: str
    revision: str
    downloaded: bool  # then the files may be linked to, and must be those of the first download


def install_folder(
    pack: Pack, folder: Path, store: PackStore, listen: Callable[[str], None] = lambda step: None
) -> PackRecord:
    """Install a pack from a folder of the user, which stays as it is.

    The folder may be a checkout of the source, a snapshot of Hugging Face's cache, or the pack's folder from another
    computer.

    Raises:
        PortraitHeadError: `no_folder`, `wrong_layout`, `wrong_architecture`, `unsafe_weights`, `weights_broken`,
            `copy_damaged`, `disk_full`, `models_unwritable`.
    """
    if not folder.is_dir():
        raise PortraitHeadError("no_folder", f"There is no folder {folder}.", "Give the folder that holds the files.")
    available = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    parts = choose(pack, available)
    with explained(store.folder):
        store.folder.mkdir(parents=True, exist_ok=True)
        need_space(store.folder, sum((folder / part.source).stat().st_size for part in parts), pack.name)
        origin = _origin_of(pack, folder)
        return finish(pack, {part.source: folder / part.source for part in parts}, store, origin, listen)


def unpack(pack: Pack, archive: Path, target: Path) -> None:
    """Take the files of `pack` out of a zip, with or without a folder around them.

    Raises:
        PortraitHeadError: `download_failed` if the zip is damaged, `wrong_layout` if something is not in it.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = {PurePosixPath(name).name: name for name in zipped.namelist() if not name.endswith("/")}
            for part in choose(pack, members):
                with zipped.open(members[part.source]) as stream, (target / part.source).open("wb") as out:
                    shutil.copyfileobj(stream, out)
    except zipfile.BadZipFile as error:
        archive.unlink()
        raise PortraitHeadError(
            "download_failed",
            f"{archive.name} is damaged: {error}.",
            f"Start it again; the file is fetched anew: portrait-head models download {pack.name}",
        ) from error


def finish(
    pack: Pack,
    sources: Mapping[str, Path],
    store: PackStore,
    origin: Origin,
    listen: Callable[[str], None],
) -> PackRecord:
    """Convert, check and publish files that are all on this disk.

    Args:
        sources: path in the source -> the file.
        listen: told in words what is being done.
    """
    workplace = store.workplace(pack.name)
    fresh = workplace / "pack"
    if fresh.exists():
        shutil.rmtree(fresh)
    converted: list[tuple[str, str]] = []
    stored: list[StoredFile] = []
    for part in choose(pack, sources):
        target = fresh / part.stored
        target.parent.mkdir(parents=True, exist_ok=True)
        source = sources[part.source]
        if part.pickled:
            listen(f"converting {part.source}")
            converted.append((part.stored, sha256_of(source)))
            need_space(store.folder, source.stat().st_size, pack.name)
            convert_to_safetensors(source, target)
        elif origin.downloaded:
            _link(source, target)
        else:
            shutil.copyfile(source, target)
        listen(f"checking {part.stored}")
        found = target.stat()
        stored.append(StoredFile(part.stored, found.st_size, sha256_of(target), found.st_mtime_ns))
    _check_classes(pack, fresh)
    if origin.downloaded:
        _check_first(pack, stored, store)
    record = PackRecord(pack.name, origin.source, origin.revision, pack.licence, tuple(stored), tuple(converted))
    store.publish(fresh, record)
    return record


def _origin_of(pack: Pack, folder: Path) -> Origin:
    """Where a folder of the user came from; a pack from another computer knows, and knows its checksums."""
    if not (folder / RECORD).is_file():
        return Origin(str(folder.resolve()), "local", downloaded=False)
    record = PackStore(folder.parent).record(folder.name)
    for file in record.files:
        if (folder / file.path).is_file() and sha256_of(folder / file.path) != file.sha256:
            raise PortraitHeadError(
                "copy_damaged",
                f"{file.path} in {folder} is not what was downloaded for {pack.name}.",
                "Copy the folder again from the other computer.",
            )
    return Origin(record.source, record.revision, downloaded=False)


def _link(source: Path, target: Path) -> None:
    """A second name for a file, so that gigabytes are not written twice; a copy where a disk knows no such thing."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def _check_classes(pack: Pack, fresh: Path) -> None:
    for name, wanted in pack.classes.items():
        try:
            found = json.loads((fresh / name).read_text(encoding="utf-8")).get("_class_name")
        except (ValueError, AttributeError) as error:
            raise wrong_architecture(f"{name} of the pack {pack.name}", "it cannot be read") from error
        if found != wanted:
            raise wrong_architecture(f"{name} of the pack {pack.name}", f"it is of a {found}, not of a {wanted}")


def _check_first(pack: Pack, stored: list[StoredFile], store: PackStore) -> None:
    """What a source hands out must stay what it was the first time."""
    first = store.first_checksums(pack.name)
    for file in stored:
        if first.get(file.path, file.sha256) != file.sha256:
            raise PortraitHeadError(
                "pack_changed",
                f"{file.path} of {pack.name} is no longer the file that this source gave the first time.",
                f"If the change is known to be good, start anew: portrait-head models remove {pack.name} --forget",
            )
