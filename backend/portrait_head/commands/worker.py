"""`portrait-head worker`: serve JSON-RPC to Blender."""

from __future__ import annotations

import argparse


def add_to(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    worker = commands.add_parser("worker", help="serve JSON-RPC on stdin and stdout (for Blender)")
    worker.set_defaults(command=_worker)


def _worker(options: argparse.Namespace) -> int:
    from portrait_head.worker import serve

    return serve()
