"""The model packs that can be had: `catalogue.toml`, read and checked."""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from portrait_head.errors import PortraitHeadError
from portrait_head.models.normal_axes import are_axes

CATALOGUE = Path(__file__).parent / "catalogue.toml"
HOSTS = ("huggingface", "insightface", "https")
MEGABYTE = 1_000_000
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Licence:
    """Terms of use, as they are shown before a download.

    Attributes:
        asks: what is asked of the user, one sentence.
        accept: whether a yes is wanted before the first download under these terms.
    """

    id: str
    title: str
    url: str
    commercial_use: bool
    accept: bool
    asks: str


@dataclass(frozen=True)
class Pack:
    """One model or family of models, downloaded as a whole.

    Attributes:
        purpose: what it does for the picture, in an artist's words.
        host: how the source is reached, one of `HOSTS`.
        source: repository id or address.
        revision: commit or version; not final unless `pinned`.
        files: patterns of plain files, relative to `subfolder`; each must match at least one.
        weights: files of tensors without their ending, relative to `subfolder`.
        licence: id of its licence in the catalogue.
        size_mb: about what is downloaded, in 10^6 bytes.
        classes: config file -> the model class that it must name.
        normal_axes: of what draws normal maps: where their three numbers point, see `normal_axes`.
    """

    name: str
    title: str
    purpose: str
    host: str
    source: str
    revision: str
    pinned: bool
    licence: str
    commercial_use: bool
    size_mb: int
    files: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    subfolder: str = ""
    classes: Mapping[str, str] = field(default_factory=dict)
    normal_axes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PackSet:
    """Several packs under one name."""

    name: str
    title: str
    packs: tuple[str, ...]


@dataclass(frozen=True)
class Catalogue:
    """All packs, sets of packs and licences, by name."""

    packs: Mapping[str, Pack]
    sets: Mapping[str, PackSet]
    licences: Mapping[str, Licence]

    def pack(self, name: str) -> Pack:
        """The pack of that name. Raises PortraitHeadError `unknown_pack`."""
        if name not in self.packs:
            raise _unknown(name, self.packs)
        return self.packs[name]

    def licence_of(self, pack: Pack) -> Licence:
        """The terms under which `pack` may be used."""
        return self.licences[pack.licence]

    def expand(self, names: Sequence[str]) -> tuple[Pack, ...]:
        """The packs meant by names of packs and of sets, each once, in order. Raises `unknown_pack`."""
        found: dict[str, Pack] = {}
        for name in names:
            if name not in self.packs and name not in self.sets:
                raise _unknown(name, (*self.packs, *self.sets))
            members = self.sets[name].packs if name in self.sets else (name,)
            found.update((member, self.packs[member]) for member in members)
        return tuple(found.values())


def load_catalogue(path: Path = CATALOGUE) -> Catalogue:
    """Read and check a catalogue.

    Raises:
        PortraitHeadError: `bad_catalogue`, naming the entry and the field.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _bad(path.name, f"cannot be read: {error}") from error
    for section in document.keys() - {"licences", "packs", "sets"}:
        raise _bad(section, "is no section of a catalogue; there are licences, packs and sets")
    licences = {
        name: _read(Licence, f"licences.{name}", table, id=name) for name, table in _tables(document, "licences")
    }
    packs = {name: _pack(name, table, licences) for name, table in _tables(document, "packs")}
    sets = {name: _read(PackSet, f"sets.{name}", table, name=name) for name, table in _tables(document, "sets")}
    for group in sets.values():
        if group.name in packs:
            raise _bad(f"sets.{group.name}", "has the name of a pack")
        for member in group.packs:
            if member not in packs:
                raise _bad(f"sets.{group.name}", f"names the pack {member!r}, which is not in the catalogue")
    return Catalogue(packs, sets, licences)


def _pack(name: str, table: dict[str, Any], licences: Mapping[str, Licence]) -> Pack:
    entry = f"packs.{name}"
    licence = licences.get(str(table.get("licence")))
    if licence is None:
        raise _bad(entry, f"licence is {table.get('licence')!r}, which is not among {', '.join(licences)}")
    pack = _read(Pack, entry, table, name=name, commercial_use=licence.commercial_use)
    if pack.host not in HOSTS:
        raise _bad(entry, f"host is {pack.host!r}; known are {', '.join(HOSTS)}")
    if pack.host != "huggingface" and not pack.source.startswith(("https://", "http://")):
        raise _bad(entry, f"source is {pack.source!r}, which is no address")
    if pack.host == "huggingface" and pack.pinned and not _COMMIT.fullmatch(pack.revision):
        raise _bad(entry, f"is pinned, but its revision {pack.revision!r} is no commit (40 hexadecimal digits)")
    if pack.host != "huggingface" and (pack.weights or pack.subfolder):
        raise _bad(entry, "has weights or a subfolder, which only Hugging Face repositories have")
    if not pack.files and not pack.weights:
        raise _bad(entry, "has neither files nor weights")
    if pack.size_mb <= 0:
        raise _bad(entry, f"size_mb is {pack.size_mb}")
    if pack.normal_axes and not are_axes(pack.normal_axes):
        raise _bad(entry, f"normal_axes {list(pack.normal_axes)} are not three directions, one along each axis")
    for inside in (*pack.files, *pack.weights, *pack.classes, pack.subfolder):
        if PurePosixPath(inside).is_absolute() or ".." in PurePosixPath(inside).parts or "\\" in inside:
            raise _bad(entry, f"{inside!r} leads out of the pack")
    return pack


def _tables(document: dict[str, Any], section: str) -> list[tuple[str, dict[str, Any]]]:
    found = document.get(section, {})
    if not isinstance(found, dict):
        raise _bad(section, "is no table")
    for name, table in found.items():
        if not _NAME.fullmatch(name):
            raise _bad(f"{section}.{name}", "names consist of a to z, 0 to 9, - and _")
        if not isinstance(table, dict):
            raise _bad(f"{section}.{name}", "is no table")
    return list(found.items())


def _read(kind: type, entry: str, table: dict[str, Any], **known: Any) -> Any:
    """`table` as the dataclass `kind`; what `known` gives may not stand in the file."""
    fields = {item.name: item for item in dataclasses.fields(kind) if item.name not in known}
    hints = typing.get_type_hints(kind)
    for key in table.keys() - fields.keys():
        raise _bad(entry, f"has {key!r}, which is not one of {', '.join(fields)}")
    values: dict[str, Any] = {}
    for key, item in fields.items():
        if key in table:
            values[key] = _checked(entry, key, table[key], hints[key])
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            raise _bad(entry, f"{key} is missing")
    return kind(**values, **known)


def _checked(entry: str, key: str, value: Any, hint: Any) -> Any:
    if typing.get_origin(hint) is tuple:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise _bad(entry, f"{key} must be a list of texts")
    if typing.get_origin(hint) is Mapping:
        if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
            return dict(value)
        raise _bad(entry, f"{key} must be a table of texts")
    if type(value) is not hint:
        raise _bad(entry, f"{key} must be of type {hint.__name__}, not {value!r}")
    return value


def _bad(entry: str, what: str) -> PortraitHeadError:
    return PortraitHeadError(
        "bad_catalogue", f"The catalogue of model packs is wrong: {entry} {what}.", "Correct it, or install again."
    )


def _unknown(name: str, known: Mapping[str, Any] | Sequence[str]) -> PortraitHeadError:
    near = difflib.get_close_matches(name, tuple(known), n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    return PortraitHeadError(
        "unknown_pack", f"There is no model pack {name!r}.", f"{hint}`portrait-head models list` shows all."
    )
