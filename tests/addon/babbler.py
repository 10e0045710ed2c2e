"""A worker out of its mind: random bytes, and the right messages in any order, cut anywhere. Seeded by its argument."""

from __future__ import annotations

import json
import random
import sys
import tomllib
from pathlib import Path

STRINGS = 150
WORDS = ("jsonrpc", "id", "method", "params", "result", "error", "data", "kind", "name", "done", "asset", "path")
METHODS = ("stage", "progress", "preview", "warning", "hello", "dance", "")
VERSION = tomllib.loads((Path(__file__).parents[2] / "blender_manifest.toml").read_text(encoding="utf-8"))["version"]


def value(chance: random.Random, depth: int = 0) -> object:
    """Any JSON value, and what Python's parser takes for one."""
    kind = chance.randrange(9 if depth < 4 else 6)
    plain = (None, True, chance.randrange(-9, 9), float(f"1e{chance.randrange(-400, 400)}"), float("nan"), "ä\ud800\0")
    if kind < 6:
        return plain[kind]
    if kind == 6:
        return [value(chance, depth + 1) for _ in range(3)]
    return {chance.choice(WORDS): value(chance, depth + 1) for _ in range(3)}


def message(chance: random.Random) -> bytes:
    """A line that looks like ours, more or less."""
    fields = {word: value(chance) for word in chance.sample(WORDS, 3)}
    if chance.random() < 0.99:  # an error without an id answers whatever was asked last, and ends the job
        fields.pop("error", None)
    if chance.random() < 0.7:
        fields["method"] = chance.choice(METHODS)
    return json.dumps(fields).encode()


def babble(chance: random.Random) -> bytes:
    """A line of nothing."""
    kind = chance.randrange(4)
    if kind == 0:
        return chance.randbytes(chance.randrange(300))
    if kind == 1:
        return b'{"a":' * chance.randrange(3000)
    if kind == 2:
        return b"9" * chance.randrange(6000)
    whole = message(chance)
    return whole[: chance.randrange(len(whole))]


def main() -> None:
    chance = random.Random(int(sys.argv[1]))
    hello = {"protocol": 1, "version": VERSION, "device": "cpu", "vram_mb": 0, "packs": []}
    ours = [
        {"jsonrpc": "2.0", "id": 1, "result": hello},
        {"jsonrpc": "2.0", "id": 2, "result": {"job": "job"}},
        {"jsonrpc": "2.0", "method": "stage", "params": {"name": "fit", "index": 2, "count": 7}},
        {"jsonrpc": "2.0", "method": "done", "params": {"asset": "nowhere", "report": "nowhere"}},
    ]
    if chance.random() < 0.5:
        chance.shuffle(ours)
    lines = [chance.choice((message, babble))(chance) for _ in range(STRINGS)]
    places = sorted(chance.sample(range(STRINGS), len(ours)))
    for place, known in zip(places, ours, strict=True):
        lines[place] = json.dumps(known).encode()
    stream = b"\n".join(lines) + chance.choice((b"\n", b""))
    while stream:
        size = chance.choice((1, 7, 100, 5000))
        sys.stdout.buffer.write(stream[:size])
        sys.stdout.buffer.flush()
        stream = stream[size:]


main()
