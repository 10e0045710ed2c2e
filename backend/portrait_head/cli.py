"""The command `portrait-head`."""

from __future__ import annotations

import argparse
import logging
import sys

import portrait_head
from portrait_head import failures
from portrait_head.commands import bench, doctor, evaluate, generate, models, worker

EXIT_FAILED = 1
COMMANDS = (generate, doctor, worker, models, evaluate, bench)


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
    for command in COMMANDS:
        command.add_to(commands)
    return parser
