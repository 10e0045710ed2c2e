"""`portrait-head bench`: measure speed, always against something else in the same run."""

from __future__ import annotations

import argparse
import importlib
import json

# A benchmark is a module with `measure() -> Iterator[dict]`, one dict a measurement, each with a `ratio`.
BENCHMARKS = {
    "marching-tetrahedra": "portrait_head.benchmarks.marching_tetrahedra",
    "rasteriser": "portrait_head.benchmarks.rasteriser",
    "guidance": "portrait_head.benchmarks.guidance",
    "diffusion-tier": "portrait_head.benchmarks.diffusion_tier",
}


def add_to(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    bench = commands.add_parser("bench", help="measure speed")
    bench.add_argument("name", choices=BENCHMARKS)
    bench.add_argument("--tiny", action="store_true", help="toy models, to try the guidance's without a GPU")
    bench.add_argument("--json", action="store_true", help="a JSON object a line")
    bench.set_defaults(command=_bench)


def _bench(options: argparse.Namespace) -> int:
    settings = {"tiny": True} if options.tiny else {}
    for line in importlib.import_module(BENCHMARKS[options.name]).measure(**settings):
        text = json.dumps(line) if options.json else "  ".join(f"{key} {value}" for key, value in line.items())
        print(text, flush=True)
    return 0
