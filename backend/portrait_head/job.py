"""The job folder: a run that can be killed at any moment and continues where it stopped.

    request.json  events.jsonl  01_portrait/ ... 06_expressions/  asset/  report.json

A stage works into a hidden folder that is renamed when it is whole. Beside its result lies `stage.json` with a digest
of everything that went in: the request's fields that the stage reads, the photos' bytes and names, the versions of
models, this package's code and the digests of the stages before it; and the sizes of its files. A finished stage whose
digest and files still match is not run again. A lock, which the system releases however a process ends, keeps a
second run out.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from PIL import Image

from portrait_head import failures, memory, storage
from portrait_head.errors import PortraitHeadError
from portrait_head.events import Event, PreviewReady, ProgressMade, StageStarted, Warned
from portrait_head.progress import Progress
from portrait_head.request import HeadRequest

RECORD = "stage.json"
LOCK = ".lock"
PREVIEW = "preview.jpg"
PREVIEW_QUALITY = 85
TRUSTED_SECONDS = 3.0  # of work at the usual pace, that the time left begins with: what comes first says little

Listener = Callable[[Event], None]


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline.

    Attributes:
        name: what the user sees.
        folder: its folder in the job folder.
        run: called with the request, the results of the stages it depends on, and a `Progress`.
        result: the dataclass that `run` returns.
        reads: fields of the request that it reads.
        seconds: how long it usually takes on two cores, for progress and the time left.
        save: writes the result into a folder.
        load: reads it back.
        models: what else goes in: the versions of the models that it asks.
    """

    name: str
    folder: str
    run: Callable[..., Any]
    result: type
    reads: tuple[str, ...]
    seconds: float
    save: Callable[[Path, Any], None] = storage.save
    load: Callable[[Path, type], Any] = storage.load
    models: str = ""


@dataclass(frozen=True)
class Cost:
    """What a stage took, and whether that was in an earlier run."""

    name: str
    seconds: float
    peak_memory_mb: float
    resumed: bool


class Finished:
    """A finished stage: where its result lies; it is read when somebody asks for it."""

    def __init__(self, stage: Stage, folder: Path, digest: str) -> None:
        self._stage = stage
        self.folder = folder
        self.digest = digest

    @cached_property
    def result(self) -> Any:
        """The stage's result."""
        return self._stage.load(self.folder, self._stage.result)


class Job:
    """Runs stages in a folder, alone in it until it is closed, and tells a listener about it.

    Raises:
        PortraitHeadError: `job_in_use` if another run is at work there, `disk_full`, `cannot_write`.
    """

    def __init__(self, folder: Path, request: HeadRequest, stages: tuple[Stage, ...], listen: Listener) -> None:
        self.folder = folder
        self.costs: list[Cost] = []
        self._request = request
        self._stages = stages
        self._listen = listen
        self._started = time.monotonic()
        self._fresh_seconds = 0.0  # of the usual seconds, those this run has worked itself
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _alone(folder)
            try:
                _sweep(folder)
                write_text(folder / "request.json", request.to_json())
            except OSError:
                self._lock.release()  # whoever keeps the error would keep the folder
                raise

    def __enter__(self) -> Job:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def run(self, stage: Stage, *before: Finished) -> Finished:
        """Run `stage` on the results of `before`, or find that it has been done."""
        self.tell(StageStarted(stage.name, self._stages.index(stage) + 1, len(self._stages)))
        digest = self._digest(stage, before)
        folder = self.folder / stage.folder
        cost = _cost_if_done(stage, folder, digest)
        finished = Finished(stage, folder, digest)
        if cost is None:
            try:
                cost, finished.result = self._work(stage, before, folder, digest)
            except Exception as error:
                with suppress(PortraitHeadError):  # the disk may be what failed
                    self._record(failures.described(error))  # whoever has called tells it the user
                raise
            self._fresh_seconds += stage.seconds
        self.costs.append(cost)
        self._tell_progress(stage, 1.0, self._fresh_seconds)
        for message in getattr(finished.result, "warnings", ()):
            self.tell(Warned(message))
        return finished

    def tell(self, event: Event) -> None:
        """Pass an event on and keep it in `events.jsonl`."""
        self._record(event)
        self._listen(event)

    def _record(self, event: Event) -> None:
        line = json.dumps({"method": event.method, "params": event.to_params()})
        with disk_errors(self.folder), (self.folder / "events.jsonl").open("a", encoding="utf-8") as log:
            log.write(f"{line}\n")

    def _work(self, stage: Stage, before: tuple[Finished, ...], folder: Path, digest: str) -> tuple[Cost, Any]:
        memory.reset_peak()
        started = time.monotonic()

        def told(fraction: float) -> None:
            self._tell_progress(stage, fraction, self._fresh_seconds + fraction * stage.seconds)

        progress = Progress(told, self._show)
        result = stage.run(self._request, *[finished.result for finished in before], progress)
        with disk_errors(self.folder):
            part = self.folder / f".{stage.folder}.part"
            part.mkdir()
            stage.save(part, result)
            cost = Cost(stage.name, round(time.monotonic() - started, 3), round(memory.peak_mb(), 1), resumed=False)
            record = {"digest": digest, "seconds": cost.seconds, "peak_memory_mb": cost.peak_memory_mb}
            write_text(part / RECORD, json.dumps({**record, "files": _sizes(part)}))
            if folder.exists():
                shutil.rmtree(folder)
            part.rename(folder)
        return cost, result

    def _show(self, picture: np.ndarray) -> None:
        """Keep a picture of the unfinished head and tell where it is."""
        path = self.folder / PREVIEW
        part = path.with_name(f".{PREVIEW}.part")
        with disk_errors(self.folder):
            Image.fromarray(picture).save(part, "JPEG", quality=PREVIEW_QUALITY)
            part.replace(path)
        self.tell(PreviewReady(str(path)))

    def _digest(self, stage: Stage, before: tuple[Finished, ...]) -> str:
        settings = {name: getattr(self._request, name) for name in stage.reads if name != "photos"}
        digest = hashlib.sha256(f"{stage.name} {_code_digest()} {json.dumps(settings, sort_keys=True)}".encode())
        digest.update(stage.models.encode())
        if "photos" in stage.reads:
            for photo in self._request.photos:
                path = Path(photo)
                digest.update(path.name.encode())  # stands in warnings and in the asset
                readable = path.is_file() and os.access(path, os.R_OK)  # else the portrait stage says what is wrong
                digest.update(path.read_bytes() if readable else photo.encode())
        for finished in before:
            digest.update(finished.digest.encode())
        return digest.hexdigest()

    def _tell_progress(self, stage: Stage, fraction: float, worked: float) -> None:
        """`worked` of the usual seconds were done by this run itself."""
        place = self._stages.index(stage)
        total = sum(one.seconds for one in self._stages)
        done = sum(one.seconds for one in self._stages[:place]) + fraction * stage.seconds
        elapsed = time.monotonic() - self._started
        pace = (elapsed + TRUSTED_SECONDS) / (worked + TRUSTED_SECONDS)
        self.tell(ProgressMade(round(done / total, 4), 1.0, round(pace * (total - done), 1)))


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn what the operating system says of a disk that is full, forbidden or gone into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a library's own, not the system's
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise PortraitHeadError(
                "disk_full", f"The disk that holds {folder} is full.", "Free about 500 MB, then start the job again."
            ) from error
        message = f"The folder {folder} cannot be written to ({error.strerror})."
        raise PortraitHeadError("cannot_write", message, "Choose another folder.") from error


def write_text(path: Path, text: str) -> None:
    """Write a file so that it appears whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _alone(folder: Path) -> FileLock:
    """The folder's lock, held."""
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        message = f"Another run is already making a head in {folder}."
        raise PortraitHeadError(
            "job_in_use", message, "Wait until it is done, cancel it, or name another folder."
        ) from error
    return lock


def _sweep(folder: Path) -> None:
    """Remove what a killed run left half written."""
    for leftover in folder.glob(".*.part"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def _cost_if_done(stage: Stage, folder: Path, digest: str) -> Cost | None:
    """What the finished stage took; None if it is to be run: not done, of something else, or cut short."""
    try:
        values = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        whole = all((folder / name).stat().st_size == size for name, size in values["files"].items())
        if values["digest"] != digest or not whole:
            return None
        return Cost(stage.name, values["seconds"], values["peak_memory_mb"], resumed=True)
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _sizes(folder: Path) -> dict[str, int]:
    """Bytes of every file of a stage: a disk that loses its power may keep a name and not what was written."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != RECORD)
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


@cache
def _code_digest() -> str:
    """Changes with any line or table of this package, so that no stage outlives the code that made it."""
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for path in sorted([*package.rglob("*.py"), *package.rglob("*.npz")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()
