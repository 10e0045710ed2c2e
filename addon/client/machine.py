# SPDX-License-Identifier: GPL-3.0-or-later
"""What the backend's `hello` tells of the computer it runs on, which need not be this one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Refusal:
    """Why a tier cannot be used, and what to do about it."""

    reason: str
    hint: str


@dataclass(frozen=True)
class Machine:
    """The backend's computer.

    Attributes:
        device: `cpu` or `cuda`.
        name: of the processor or the graphics card; empty where the backend does not say.
        vram_mb: a graphics card's memory in MiB, 0 for a processor.
        packs: names of the model packs that are there; None where the backend does not say.
        refusals: of each tier that cannot be used, why.
    """

    device: str
    name: str
    vram_mb: int
    packs: tuple[str, ...] | None
    refusals: Mapping[str, Refusal]

    @property
    def in_words(self) -> str:
        """What it computes on, short enough for the panel: the processor, or the card with its memory."""
        if self.device == "cpu":
            return "the processor"
        name = self.name.removeprefix("NVIDIA ") or "the graphics card"
        return f"{name} ({self.vram_mb / 1024:.0f} GB)" if self.vram_mb else name


def machine_from(hello: Mapping[str, Any]) -> Machine:
    """What a backend's answer to `hello` says; what is missing in it or of a wrong type is not known."""
    tiers, packs, memory = hello.get("tiers"), hello.get("packs"), hello.get("vram_mb")
    refusals = {}
    for tier, told in tiers.items() if isinstance(tiers, dict) else ():
        if isinstance(told, dict) and told.get("reason"):
            refusals[str(tier)] = Refusal(str(told["reason"]), str(told.get("hint", "")))
    return Machine(
        str(hello.get("device", "cpu")),
        str(hello.get("device_name", "")),
        memory if type(memory) is int and memory > 0 else 0,
        tuple(str(pack) for pack in packs) if isinstance(packs, list) else None,
        refusals,
    )
