"""Frozen dataclasses of arrays and plain values, written to a folder and read back without pickle.

A folder holds `arrays.npz` (every array, named by its path through the dataclass) and `values.json` (everything
else). The same value always gives the same bytes.
"""

from __future__ import annotations

import dataclasses
import io
import json
import tempfile
import typing
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


def save(folder: Path, value: Any) -> None:
    """Write the dataclass instance `value` into `folder`, which must exist."""
    arrays: dict[str, np.ndarray] = {}
    plain = _split(value, "", arrays)
    write_arrays(folder / "arrays.npz", arrays)
    (folder / "values.json").write_text(json.dumps(plain, indent=1, sort_keys=True), encoding="utf-8")


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays as an npz file."""
    packed = io.BytesIO()  # a zip file that the disk has no room for complains a second time when it is collected
    np.savez(packed, **{name: np.ascontiguousarray(array) for name, array in arrays.items()})
    path.write_bytes(packed.getbuffer())


def publish(folder: Path, value: Any) -> None:
    """Write `value` so that `folder` appears whole or not at all, also when several processes do so at once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as made:
        fresh = Path(made) / "fresh"
        fresh.mkdir()
        save(fresh, value)
        try:
            fresh.rename(folder)
        except OSError:
            if not folder.exists():  # not another process that was quicker
                raise


def load(folder: Path, kind: type[T]) -> T:
    """Read what `save` wrote as an instance of the dataclass `kind`."""
    with np.load(folder / "arrays.npz", allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    plain = json.loads((folder / "values.json").read_text(encoding="utf-8"))
    return _join(kind, plain, "", arrays)


def _split(value: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, np.ndarray):
        arrays[path] = value
        return None
    if isinstance(value, np.generic):
        return value.item()
    if dataclasses.is_dataclass(value):
        return {
            field.name: _split(getattr(value, field.name), f"{path}/{field.name}".strip("/"), arrays)
            for field in dataclasses.fields(value)
        }
    if isinstance(value, dict):
        return {key: _split(item, f"{path}/{key}", arrays) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_split(item, f"{path}/{index}", arrays) for index, item in enumerate(value)]
    return value


def _join(kind: Any, plain: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    if path in arrays:
        return arrays[path]
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(
            **{
                field.name: _join(hints[field.name], plain[field.name], f"{path}/{field.name}".strip("/"), arrays)
                for field in dataclasses.fields(kind)
            }
        )
    arguments = typing.get_args(kind)
    if type(None) in arguments:  # X | None
        (wanted,) = (argument for argument in arguments if argument is not type(None))
        return None if plain is None else _join(wanted, plain, path, arrays)
    if isinstance(plain, dict):
        return {key: _join(arguments[1], item, f"{path}/{key}", arrays) for key, item in plain.items()}
    if isinstance(plain, list):
        return tuple(_join(arguments[0], item, f"{path}/{index}", arrays) for index, item in enumerate(plain))
    return plain
