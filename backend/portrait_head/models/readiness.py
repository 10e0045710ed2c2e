"""Whether the diffusion tier can run here, and if not, everything that it lacks, each with the way out.

The pipeline asks `readiness()` before a job begins, and `portrait-head doctor` shows its obstacles. The graphics card
is asked through PyTorch, whose import takes seconds; `machine.examine_machine` is for those who cannot wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from portrait_head.errors import PortraitHeadError
from portrait_head.models import packages
from portrait_head.models.catalogue import Catalogue, Pack, PackSet, load_catalogue
from portrait_head.models.store import PackStore

AUTO = "auto"
SETS = ("diffusion", "commercial")  # of the catalogue; the first that is whole is taken where nobody says which
NAMED_AT_MOST = 3  # missing packs; more of them are counted


@dataclass(frozen=True)
class Obstacle:
    """One thing in the way: fields as in `PortraitHeadError`."""

    kind: str
    message: str
    hint: str


@dataclass(frozen=True)
class Readiness:
    """What the diffusion tier would run with.

    Attributes:
        device: "cuda" or "cpu".
        packs: the set of packs.
        missing: names of its packs that are not here.
        obstacles: everything in the way, the device first; empty when the tier can run.
    """

    device: str
    packs: PackSet
    missing: tuple[str, ...]
    obstacles: tuple[Obstacle, ...]

    def require(self) -> None:
        """Raise PortraitHeadError for all obstacles in one, with the kind of the first; return if there is none."""
        if self.obstacles:
            message = " ".join(obstacle.message for obstacle in self.obstacles)
            hints = dict.fromkeys(obstacle.hint for obstacle in self.obstacles)
            raise PortraitHeadError(self.obstacles[0].kind, message, " ".join(hints))


def readiness(
    device: str = AUTO, packs: str = AUTO, store: PackStore | None = None, catalogue: Catalogue | None = None
) -> Readiness:
    """What the diffusion tier lacks on this computer.

    Args:
        device: "cuda", "cpu" (which takes hours), or "auto" for CUDA.
        packs: a name of `SETS`, or "auto" for the first that is whole, the first of all if none is.
        store: where packs lie; the user's folder by default.
        catalogue: what there is; the one that is shipped by default.
    """
    store, catalogue = store or PackStore(), catalogue or load_catalogue()
    chosen = _choose(packs, store, catalogue)
    here = store.installed()
    missing = tuple(name for name in chosen.packs if name not in here)
    obstacles = [*_packages(), *_device(device), *_missing(chosen, missing, store, catalogue)]
    for name in chosen.packs:
        if name not in missing:
            obstacles += _damaged(name, store)
    obstacles += _licences([catalogue.pack(name) for name in chosen.packs if name not in missing], store, catalogue)
    return Readiness("cpu" if device == "cpu" else "cuda", chosen, missing, tuple(obstacles))


def _choose(wished: str, store: PackStore, catalogue: Catalogue) -> PackSet:
    if wished != AUTO:
        return catalogue.sets[wished]
    here = set(store.installed())
    whole = (name for name in SETS if here.issuperset(catalogue.sets[name].packs))
    return catalogue.sets[next(whole, SETS[0])]


def _packages() -> list[Obstacle]:
    absent = packages.lacking()
    if not absent:
        return []
    what = f"The diffusion tier needs packages that are not installed: {', '.join(absent)}."
    return [Obstacle("missing_package", what, f"{packages.INSTALL}.")]


def _device(device: str) -> list[Obstacle]:
    if device == "cpu":
        return []
    from portrait_head.diffusion.memory_plan import choose_plan, cuda_device, free_memory  # a second of PyTorch

    try:
        choose_plan(free_memory(cuda_device()))
    except PortraitHeadError as error:
        return [Obstacle(error.kind, error.message, error.hint)]
    return []


def _missing(chosen: PackSet, missing: Sequence[str], store: PackStore, catalogue: Catalogue) -> list[Obstacle]:
    if not missing:
        return []
    packs = [catalogue.pack(name) for name in missing]
    half = [name for name in missing if store.half_done(name)]
    size = sum(pack.size_mb for pack in packs) / 1000
    few = len(missing) <= NAMED_AT_MOST
    which = f"{', '.join(missing)}; {size:.1f} GB" if few else f"{size:.1f} GB"
    message = f"{len(missing)} of {len(chosen.packs)} model packs are missing ({which})"
    message += f", {', '.join(half)} half downloaded." if half else "."
    asked = dict.fromkeys(pack.licence for pack in packs if catalogue.licence_of(pack).accept)
    asked = [name for name in asked if not store.accepted(name)]
    hint = f"Get them with: portrait-head models download {' '.join(missing) if few else chosen.name}"
    return [Obstacle("pack_missing", message, f"{hint} (licences to accept: {', '.join(asked)})." if asked else hint)]


def _damaged(name: str, store: PackStore) -> list[Obstacle]:
    try:
        store.path(name)
    except PortraitHeadError as error:
        return [Obstacle(error.kind, error.message, error.hint)]
    return []


def _licences(packs: Sequence[Pack], store: PackStore, catalogue: Catalogue) -> list[Obstacle]:
    """Packs that were copied here by hand have not asked yet."""
    found = []
    for name in dict.fromkeys(pack.licence for pack in packs):
        licence = catalogue.licences[name]
        if licence.accept and not store.accepted(name):
            of_it = [pack.name for pack in packs if pack.licence == name]
            message = f"The licence of {', '.join(of_it)} has not been accepted: {licence.title} ({licence.url})."
            command = f"portrait-head models download {' '.join(of_it)} --accept-licence {name}"
            found.append(Obstacle("licence_not_accepted", message, f"Read it, and if you agree: {command}"))
    return found
