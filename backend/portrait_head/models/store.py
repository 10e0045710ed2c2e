"""The folder in which model packs lie, and what is known of each.

```
<models folder>/
    ledger.json              licences accepted; for each pack the revision and the checksums of its first download
    sd15/                    a pack: its files as the source names them, weights as safetensors
        pack.json            where it came from, and size and SHA-256 of every file
    .partial/<pack>/         a download that is not whole yet
```
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portrait_head.errors import PortraitHeadError
from portrait_head.models.disk import explained, sha256_of

RECORD = "pack.json"
LEDGER = "ledger.json"
PARTIAL = ".partial"


@dataclass(frozen=True)
class StoredFile:
    """One file of an installed pack; `modified_ns` is its time stamp when the checksum was taken."""

    path: str
    size: int
    sha256: str
    modified_ns: int


@dataclass(frozen=True)
class PackRecord:
    """What an installed pack says of itself.

    Attributes:
        source: where it came from: a repository id, an address or a folder.
        revision: the commit or version that was resolved.
        converted: files that arrived as pickles, with the SHA-256 of the pickle.
    """

    pack: str
    source: str
    revision: str
    licence: str
    files: tuple[StoredFile, ...]
    converted: tuple[tuple[str, str], ...] = ()

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.size for file in self.files)


def models_folder() -> Path:
    """The user's folder for model packs; `PORTRAIT_HEAD_MODELS` names another."""
    if named := os.environ.get("PORTRAIT_HEAD_MODELS"):
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "portrait-head" / "models"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "portrait-head" / "models"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "portrait-head" / "models"


class PackStore:
    """The packs on this computer. Nothing here touches the network."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = models_folder() if folder is None else folder
        self._trusted: dict[Path, tuple[int, int]] = {}  # files whose checksum held, by size and time stamp

    def installed(self) -> tuple[str, ...]:
        """The names of the packs that are here, sorted."""
        return tuple(sorted(path.parent.name for path in self.folder.glob(f"*/{RECORD}")))

    def path(self, name: str) -> Path:
        """The folder of a whole pack, for the libraries to load from.

        Sizes are looked at every time, checksums only of files that have changed since they were last checked.

        Raises:
            PortraitHeadError: `pack_missing` or `pack_broken`, with the command that helps.
        """
        self._check(name, thorough=False)
        return self.folder / name

    def verify(self, name: str) -> PackRecord:
        """Read every byte of a pack and compare. Raises `pack_missing` or `pack_broken`."""
        return self._check(name, thorough=True)

    def record(self, name: str) -> PackRecord:
        """What is known of an installed pack. Raises `pack_missing` or `pack_broken`."""
        path = self.folder / name / RECORD
        if not path.is_file():
            raise self._missing(name)
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            files = tuple(StoredFile(**file) for file in values.pop("files"))
            converted = tuple((stored, checksum) for stored, checksum in values.pop("converted"))
            return PackRecord(files=files, converted=converted, **values)
        except (ValueError, TypeError, KeyError) as error:
            raise broken(name, f"its record {RECORD} cannot be read") from error

    def half_done(self, name: str) -> bool:
        """Whether a download of the pack was begun and not finished."""
        return any(path.is_file() for path in self.workplace(name).rglob("*"))

    def workplace(self, name: str) -> Path:
        """Where a download of the pack collects its files."""
        return self.folder / PARTIAL / name

    def publish(self, fresh: Path, record: PackRecord) -> Path:
        """Make the folder `fresh` the pack, in place of an older one, and write down where it came from."""
        target = self.folder / record.pack
        with explained(self.folder):
            (fresh / RECORD).write_text(json.dumps(dataclasses.asdict(record), indent=1), encoding="utf-8")
            old = fresh.with_name(f"{fresh.name}-old")
            if old.exists():
                shutil.rmtree(old)
            if target.exists():
                target.rename(old)
            fresh.rename(target)
            self._remember(record)
            shutil.rmtree(self.workplace(record.pack), ignore_errors=True)
        return target

    def remove(self, name: str, forget: bool = False) -> int:
        """Delete a pack or a half-done download; returns the bytes that became free.

        Args:
            forget: also its revision and checksums, so that the next download takes what the source has then.

        Raises:
            PortraitHeadError: `pack_missing` if there was nothing.
        """
        folders = [path for path in (self.folder / name, self.workplace(name)) if path.is_dir()]
        ledger = self._ledger()
        known = forget and ledger["packs"].pop(name, None) is not None
        if not folders and not known:
            raise self._missing(name)
        freed = sum(file.stat().st_size for path in folders for file in path.rglob("*") if file.is_file())
        with explained(self.folder):
            for path in folders:
                shutil.rmtree(path)
            if known:
                self._write_ledger(ledger)
        return freed

    def accepted(self, licence: str) -> bool:
        """Whether the user has said yes to this licence."""
        return licence in self._ledger()["licences"]

    def accept(self, licence: str) -> None:
        """Write down that the user has said yes to this licence."""
        ledger = self._ledger()
        ledger["licences"][licence] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        with explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write_ledger(ledger)

    def first_revision(self, name: str) -> str | None:
        """The revision that the first download of the pack resolved, or None."""
        return self._ledger()["packs"].get(name, {}).get("revision")

    def first_checksums(self, name: str) -> dict[str, str]:
        """Stored path -> SHA-256 of the first download of the pack; empty if there was none."""
        return self._ledger()["packs"].get(name, {}).get("files", {})

    def _check(self, name: str, thorough: bool) -> PackRecord:
        record = self.record(name)
        for file in record.files:
            path = self.folder / name / file.path
            if not path.is_file():
                raise broken(name, f"{file.path} is gone")
            found = path.stat()
            if found.st_size != file.size:
                raise broken(name, f"{file.path} has {found.st_size} bytes instead of {file.size}")
            stamp = (found.st_size, found.st_mtime_ns)
            unchanged = found.st_mtime_ns == file.modified_ns or self._trusted.get(path) == stamp
            if thorough or not unchanged:
                if sha256_of(path) != file.sha256:
                    raise broken(name, f"the contents of {file.path} have changed")
                self._trusted[path] = stamp
        return record

    def _remember(self, record: PackRecord) -> None:
        ledger = self._ledger()
        checksums = {file.path: file.sha256 for file in record.files}
        ledger["packs"].setdefault(record.pack, {"revision": record.revision, "files": checksums})
        self._write_ledger(ledger)

    def _ledger(self) -> dict[str, Any]:
        path = self.folder / LEDGER
        if not path.is_file():
            return {"licences": {}, "packs": {}}
        try:
            ledger = json.loads(path.read_text(encoding="utf-8"))
            return {"licences": dict(ledger["licences"]), "packs": dict(ledger["packs"])}
        except (ValueError, TypeError, KeyError) as error:
            raise PortraitHeadError(
                "models_ledger", f"{path} cannot be read.", "Delete it; licences will be asked again."
            ) from error

    def _write_ledger(self, ledger: dict[str, Any]) -> None:
        fresh = self.folder / f".{LEDGER}"
        fresh.write_text(json.dumps(ledger, indent=1, sort_keys=True), encoding="utf-8")
        fresh.replace(self.folder / LEDGER)

    def _missing(self, name: str) -> PortraitHeadError:
        if self.half_done(name):
            return PortraitHeadError(
                "pack_missing",
                f"The model pack {name} is only half downloaded.",
                f"Continue with: portrait-head models download {name}",
            )
        return PortraitHeadError(
            "pack_missing",
            f"The model pack {name} is not on this computer.",
            f"Get it with: portrait-head models download {name}",
        )


def broken(name: str, what: str) -> PortraitHeadError:
    """The error for a pack that is here but not as it was installed."""
    return PortraitHeadError(
        "pack_broken",
        f"The model pack {name} is damaged: {what}.",
        f"Get it again with: portrait-head models download {name}",
    )
