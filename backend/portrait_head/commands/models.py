"""`portrait-head models`: the model packs of the diffusion tier."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from portrait_head.errors import PortraitHeadError

if TYPE_CHECKING:
    from portrait_head.models.catalogue import Catalogue, Licence, Pack
    from portrait_head.models.download import Step
    from portrait_head.models.store import PackStore

YES = ("y", "yes")
REDRAW_S = 0.2


def add_to(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    models = commands.add_parser("models", help="list, download, check and remove model packs")
    actions = models.add_subparsers(required=True, metavar="action")
    listed = actions.add_parser("list", help="all packs, and which are here")
    listed.set_defaults(command=_list)
    show = actions.add_parser("show", help="what a pack is, where it comes from, and its licence")
    show.add_argument("name")
    show.set_defaults(command=_show)
    download = actions.add_parser("download", help="get packs; continues what was broken off")
    download.add_argument("names", nargs="+", metavar="name", help="packs or sets of packs")
    download.add_argument("--from", dest="folder", type=Path, help="take the files of one pack from this folder")
    download.add_argument(
        "--accept-licence",
        action="append",
        default=[],
        metavar="LICENCE",
        help="say yes to a licence, by its id (portrait-head models show NAME)",
    )
    download.set_defaults(command=_download)
    verify = actions.add_parser("verify", help="read packs byte by byte and compare with what was downloaded")
    verify.add_argument("names", nargs="*", metavar="name", help="all that are here if none is named")
    verify.set_defaults(command=_verify)
    remove = actions.add_parser("remove", help="delete packs")
    remove.add_argument("names", nargs="+", metavar="name")
    remove.add_argument(
        "--forget", action="store_true", help="also forget revision and checksums: next time take what is there then"
    )
    remove.set_defaults(command=_remove)


def _list(options: argparse.Namespace) -> int:
    from portrait_head.models.catalogue import load_catalogue
    from portrait_head.models.store import PackStore

    catalogue, store = load_catalogue(), PackStore()
    here = store.installed()
    for pack in catalogue.packs.values():
        state = "here" if pack.name in here else "half" if store.half_done(pack.name) else "-"
        use = "commercial" if pack.commercial_use else "research"
        print(f"{pack.name:22} {state:5} {pack.size_mb / 1000:5.1f} GB  {use:10}  {pack.title}")
    print()
    for group in catalogue.sets.values():
        size = sum(pack.size_mb for pack in catalogue.expand((group.name,))) / 1000
        print(f"{group.name:22} {'set':5} {size:5.1f} GB  {'':10}  {group.title}")
    print(f"\nFolder: {store.folder}")
    return 0


def _show(options: argparse.Namespace) -> int:
    from portrait_head.models.catalogue import load_catalogue
    from portrait_head.models.disk import as_size
    from portrait_head.models.store import PackStore

    catalogue, store = load_catalogue(), PackStore()
    if group := catalogue.sets.get(options.name):
        print(f"{group.title}\n\npacks     {', '.join(group.packs)}")
        return 0
    pack = catalogue.pack(options.name)
    print(f"{pack.title}\n{pack.purpose}\n")
    print(f"source    {pack.source}")
    print(f"revision  {pack.revision if pack.pinned else f'{pack.revision}, fixed at the first download'}")
    print(f"files     {', '.join((*pack.files, *(f'{stem}.safetensors' for stem in pack.weights)))}")
    print(f"download  about {pack.size_mb / 1000:.1f} GB")
    _show_licence(pack, catalogue.licence_of(pack), store.accepted(pack.licence))
    if pack.name in store.installed():
        record = store.record(pack.name)
        print(f"here      {store.folder / pack.name}, {as_size(record.size)}, revision {record.revision}")
    elif store.half_done(pack.name):
        print(f"here      half; continue with: portrait-head models download {pack.name}")
    else:
        print(f"here      no; get it with: portrait-head models download {pack.name}")
    return 0


def _download(options: argparse.Namespace) -> int:
    from portrait_head.models.catalogue import load_catalogue
    from portrait_head.models.disk import as_size
    from portrait_head.models.download import download, need_acceptance
    from portrait_head.models.install import install_folder
    from portrait_head.models.store import PackStore

    catalogue, store = load_catalogue(), PackStore()
    packs = catalogue.expand(options.names)
    if options.folder and len(packs) != 1:
        raise PortraitHeadError("one_pack", "--from takes the files of one pack.", "Name one pack.")
    _accept(catalogue, packs, options.accept_licence, store)
    here = () if options.folder else store.installed()
    need_acceptance((catalogue.licence_of(pack) for pack in packs if pack.name not in here), store)
    for pack in packs:
        if options.folder:
            record = install_folder(pack, options.folder, store)
        else:
            bar = _Bar()
            record = download(pack, catalogue.licence_of(pack), store, bar)
            bar.clear()
        print(f"{pack.name}: {as_size(record.size)} in {store.folder / pack.name}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from portrait_head.models.store import PackStore

    store = PackStore()
    good = True
    names = options.names or store.installed()
    if not names:
        print(f"There are no model packs in {store.folder}.")
    for name in names:
        try:
            record = store.verify(name)
        except PortraitHeadError as error:
            good = False
            print(f"FAIL  {error.message} {error.hint}")
        else:
            print(f"ok    {name}: {len(record.files)} files")
    return 0 if good else 1


def _remove(options: argparse.Namespace) -> int:
    from portrait_head.models.catalogue import load_catalogue
    from portrait_head.models.disk import as_size
    from portrait_head.models.store import PackStore

    store = PackStore()
    known = {*load_catalogue().packs, *store.installed()}
    for name in options.names:
        if name not in known:
            load_catalogue().pack(name)  # says what was meant
        print(f"{name}: {as_size(store.remove(name, options.forget))} freed")
    return 0


def _accept(catalogue: Catalogue, packs: tuple[Pack, ...], accepted: list[str], store: PackStore) -> None:
    """Write down the licences named on the command line; ask for the others if somebody is there to answer."""
    for name in accepted:
        if name not in catalogue.licences:
            known = ", ".join(catalogue.licences)
            raise PortraitHeadError("unknown_licence", f"There is no licence {name!r}.", f"Known are {known}.")
        store.accept(name)
    here = store.installed()
    for pack in packs:
        licence = catalogue.licence_of(pack)
        if pack.name in here or not licence.accept or store.accepted(licence.id) or not sys.stdin.isatty():
            continue
        print(f"\n{pack.title}")
        _show_licence(pack, licence, accepted=False)
        if input("Do you accept this licence? [y/N] ").strip().lower() in YES:
            store.accept(licence.id)


def _show_licence(pack: Pack, licence: Licence, accepted: bool) -> None:
    print(f"licence   {licence.title} ({licence.id}{', accepted' if accepted else ''})")
    print(f"          {licence.url}")
    print(f"          {licence.asks}")
    print(f"          {'Commercial use is allowed.' if pack.commercial_use else 'NOT for commercial use.'}")


class _Bar:
    """The progress of a download as one line that is drawn over, or as a line a file where nobody watches."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._what = ""
        self._drawn = 0.0
        self._start: tuple[float, int] | None = None

    def __call__(self, step: Step) -> None:
        """Show one step."""
        from portrait_head.models.disk import as_size

        now = time.monotonic()
        if not self._live:
            if step.what != self._what:
                print(f"{step.pack}: {step.what}", file=sys.stderr)
            self._what = step.what
            return
        if step.what == self._what and now - self._drawn < REDRAW_S:
            return
        self._what, self._drawn = step.what, now
        text = f"{step.pack}: {step.what}"
        if step.total:
            self._start = self._start or (now, step.done)
            rate = (step.done - self._start[1]) / max(now - self._start[0], REDRAW_S)
            left = f", {(step.total - step.done) / rate:.0f} s left" if rate > 0 else ""
            share = f"{step.done / step.total:4.0%} of {as_size(step.total)}, {as_size(rate)}/s{left}"
            text = f"{share}  {text}"
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
