"""`portrait-head evaluate`: measure quality."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_to(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    evaluate = commands.add_parser("evaluate", help="measure quality")
    measures = evaluate.add_subparsers(required=True, metavar="measure")
    known = measures.add_parser("known-shapes", help="fit rendered heads whose shape is known")
    known.add_argument("--data", type=Path, required=True, help="folder of ict_facekit_f32.npz")
    known.add_argument("--people", type=int, default=24)
    known.add_argument("--output", type=Path, required=True)
    known.add_argument("--seed", type=int, default=0)
    known.add_argument("--sculpt", action="store_true", help="also measure the sculpted surface (slow)")
    known.set_defaults(command=_evaluate_known_shapes)
    likeness = measures.add_parser("likeness", help="ask an independent face network whether it knows the person again")
    likeness.add_argument("photos", nargs="+", help="photos; every face in them is made; sample is the sample portrait")
    likeness.add_argument("--output", type=Path, required=True)
    likeness.set_defaults(command=_evaluate_likeness)


def _evaluate_known_shapes(options: argparse.Namespace) -> int:
    from portrait_head.evaluation.known_shapes import evaluate_known_shapes

    result = evaluate_known_shapes(options.data, options.people, options.output, options.seed, sculpt=options.sculpt)
    print(
        json.dumps(
            {key: result[key] for key in ("people", "face_mm", "shape_rank1", "sculpt") if key in result}, indent=1
        )
    )
    return 0


def _evaluate_likeness(options: argparse.Namespace) -> int:
    from portrait_head.evaluation.likeness_table import evaluate_likeness

    print(json.dumps(evaluate_likeness(tuple(options.photos), options.output), indent=1))
    return 0
