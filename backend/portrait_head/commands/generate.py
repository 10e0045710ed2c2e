"""`portrait-head generate`: make the head of a portrait photo."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import portrait_head
from portrait_head import failures
from portrait_head.events import Event
from portrait_head.request import AUTO, CHOICES, HAIR, PRESETS, TEXTURE_SIZES, TIERS, HeadRequest
from portrait_head.terminal import Terminal


def add_to(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    generate = commands.add_parser("generate", help="make the head of a portrait photo")
    generate.add_argument("photos", nargs="*", help="photos of one person")
    generate.add_argument("--sample", action="store_true", help="use the public-domain sample portrait")
    generate.add_argument("--output", type=Path, required=True, help="the job folder; an interrupted job continues")
    generate.add_argument("--face", type=int, help="which face of the picture, 1 is the largest")
    generate.add_argument("--tier", choices=TIERS, default=TIERS[0])
    generate.add_argument("--preset", choices=PRESETS, default="standard")
    generate.add_argument("--seed", type=int, default=0)
    generate.add_argument("--prompt", default="", help="up to 28 words for the person, for the diffusion tier")
    generate.add_argument("--texture-size", type=int, choices=TEXTURE_SIZES, default=2048)
    generate.add_argument(
        "--delight", type=float, default=0.7, help="how much of the photo's light to take out, 0 to 1"
    )
    generate.add_argument("--hair", choices=HAIR, default="auto")
    generate.add_argument(
        "--free-topology", action="store_true", help="the sculpt too, with a mesh and a texture of its own"
    )
    generate.add_argument(
        "--initial-mesh", default="", metavar="PATH", help="begin with a mesh of your own, or with PanoHead's folder"
    )
    diffusion = generate.add_argument_group("the diffusion tier")
    diffusion.add_argument("--device", choices=CHOICES["device"], default=AUTO, help="cpu takes hours")
    diffusion.add_argument("--packs", choices=CHOICES["packs"], default=AUTO, help="the set of model packs it uses")
    diffusion.add_argument(
        "--references", choices=CHOICES["references"], default=AUTO, help="how it sees the relief of the photo's face"
    )
    diffusion.add_argument(
        "--guidance", choices=CHOICES["guidance"], default=CHOICES["guidance"][0], help="how it carves unseen sides"
    )
    diffusion.add_argument(
        "--style", default="", help="words for the look of the painted skin; the shape is kept if it has been made"
    )
    generate.add_argument("--json", action="store_true", help="print events as JSON lines")
    generate.set_defaults(command=_generate)


def _generate(options: argparse.Namespace) -> int:
    listen = _print_json if options.json else Terminal(sys.stderr)
    try:
        portrait_head.generate(_request(options), options.output, listen)
    except Exception as error:
        listen(failures.as_event(error))
        return 1
    return 0


def _request(options: argparse.Namespace) -> HeadRequest:
    return HeadRequest(
        photos=("sample",) if options.sample else tuple(options.photos),
        face=options.face,
        tier=options.tier,
        preset=options.preset,
        seed=options.seed,
        prompt=options.prompt,
        guidance=options.guidance,
        style=options.style,
        initial_mesh=options.initial_mesh,
        texture_size=options.texture_size,
        delight=options.delight,
        hair=options.hair,
        device=options.device,
        packs=options.packs,
        references=options.references,
        free_topology=options.free_topology,
    )


def _print_json(event: Event) -> None:
    print(json.dumps({"method": event.method, **event.to_params()}), flush=True)
