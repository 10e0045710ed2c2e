"""The command `portrait-head`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from pathlib import Path
from typing import TextIO

import portrait_head
from portrait_head import failures
from portrait_head.events import Done, Event, Failed, ProgressMade, StageStarted, Warned
from portrait_head.request import HAIR, PRESETS, TEXTURE_SIZES, TIERS, HeadRequest

EXIT_FAILED = 1
BAR_WIDTH = 24


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 failed, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        stream=sys.stderr, level=logging.DEBUG if options.verbose else logging.WARNING, format="%(name)s: %(message)s"
    )
    try:
        return options.command(options)
    except KeyboardInterrupt:
        print("\nStopped. Start the same command again to continue.", file=sys.stderr)
        return EXIT_FAILED
    except Exception as error:
        failed = failures.as_event(error)
        print(f"\n{failed.message} {failed.hint}", file=sys.stderr)
        return EXIT_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="portrait-head", description="One portrait photo in, one 3D head out.")
    parser.add_argument("--version", action="version", version=portrait_head.__version__)
    parser.add_argument("--verbose", action="store_true", help="log what happens to stderr")
    commands = parser.add_subparsers(required=True, metavar="command")

    generate = commands.add_parser("generate", help="make the head of a portrait photo")
    generate.add_argument("photos", nargs="*", help="photos of one person")
    generate.add_argument("--sample", action="store_true", help="use the public-domain sample portrait")
    generate.add_argument("--output", type=Path, required=True, help="the job folder; an interrupted job continues")
    generate.add_argument("--face", type=int, help="which face of the picture, 1 is the largest")
    generate.add_argument("--tier", choices=TIERS, default=TIERS[0])
    generate.add_argument("--preset", choices=PRESETS, default="standard")
    generate.add_argument("--seed", type=int, default=0)
    generate.add_argument("--prompt", default="")
    generate.add_argument("--texture-size", type=int, choices=TEXTURE_SIZES, default=2048)
    generate.add_argument(
        "--delight", type=float, default=0.7, help="how much of the photo's light to take out, 0 to 1"
    )
    generate.add_argument("--hair", choices=HAIR, default="auto")
    generate.add_argument("--json", action="store_true", help="print events as JSON lines")
    generate.set_defaults(command=_generate)

    doctor = commands.add_parser("doctor", help="check that everything needed is there")
    doctor.set_defaults(command=_doctor)

    worker = commands.add_parser("worker", help="serve JSON-RPC on stdin and stdout (for Blender)")
    worker.set_defaults(command=_worker)

    evaluate = commands.add_parser("evaluate", help="measure quality")
    measures = evaluate.add_subparsers(required=True, metavar="measure")
    known = measures.add_parser("known-shapes", help="fit rendered heads whose shape is known")
    known.add_argument("--data", type=Path, required=True, help="folder of ict_facekit_f32.npz")
    known.add_argument("--people", type=int, default=24)
    known.add_argument("--output", type=Path, required=True)
    known.add_argument("--seed", type=int, default=0)
    known.set_defaults(command=_evaluate_known_shapes)
    likeness = measures.add_parser("likeness", help="ask an independent face network whether it knows the person again")
    likeness.add_argument("photos", nargs="+", help="photos; every face in them is made; sample is the sample portrait")
    likeness.add_argument("--output", type=Path, required=True)
    likeness.set_defaults(command=_evaluate_likeness)
    return parser


def _generate(options: argparse.Namespace) -> int:
    photos = ("sample",) if options.sample else tuple(options.photos)
    request = HeadRequest(
        photos=photos,
        face=options.face,
        tier=options.tier,
        preset=options.preset,
        seed=options.seed,
        prompt=options.prompt,
        texture_size=options.texture_size,
        delight=options.delight,
        hair=options.hair,
    )
    listen = _print_json if options.json else Terminal(sys.stderr)
    try:
        portrait_head.generate(request, options.output, listen)
    except Exception as error:
        listen(failures.as_event(error))
        return EXIT_FAILED
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from portrait_head.doctor import examine

    findings = examine()
    for finding in findings:
        print(f"{'ok  ' if finding.good else 'FAIL'}  {finding.subject}: {finding.text}")
    return 0 if all(finding.good for finding in findings) else EXIT_FAILED


def _worker(options: argparse.Namespace) -> int:
    from portrait_head.worker import serve

    return serve()


def _evaluate_known_shapes(options: argparse.Namespace) -> int:
    from portrait_head.evaluation.known_shapes import evaluate_known_shapes

    result = evaluate_known_shapes(options.data, options.people, options.output, options.seed)
    print(json.dumps({key: result[key] for key in ("people", "face_mm", "shape_rank1")}, indent=1))
    return 0


def _evaluate_likeness(options: argparse.Namespace) -> int:
    from portrait_head.evaluation.likeness_table import evaluate_likeness

    print(json.dumps(evaluate_likeness(tuple(options.photos), options.output), indent=1))
    return 0


def _print_json(event: Event) -> None:
    print(json.dumps({"method": event.method, **event.to_params()}), flush=True)


class Terminal:
    """Shows events as a line that is drawn over on a terminal, and as a line a stage in a file."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._live = out.isatty()
        self._stage = ""
        self._started = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, StageStarted):
            self._stage = f"{event.index}/{event.count} {event.name}"
            if not self._live:
                self._line(self._stage)
        elif isinstance(event, ProgressMade) and self._live:
            filled = round(event.done / event.total * BAR_WIDTH)
            left = "" if event.eta_s is None else f", {event.eta_s:.0f} s left"
            bar = "#" * filled + "." * (BAR_WIDTH - filled)
            self._out.write(f"\r\033[K{bar} {event.done / event.total:4.0%}  {self._stage}{left}")
            self._out.flush()
        elif isinstance(event, Warned):
            self._line(f"Note: {event.message}")
        elif isinstance(event, Failed):
            self._line(f"{event.message} {event.hint}")
        elif isinstance(event, Done):
            self._line(f"Done in {time.monotonic() - self._started:.0f} s: {event.asset}")

    def _line(self, text: str) -> None:
        start = "\r\033[K" if self._live else ""
        self._out.write(f"{start}{text}\n")
        self._out.flush()
