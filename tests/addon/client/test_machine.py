"""What a worker tells of its computer, read without trusting it."""

from __future__ import annotations

import pytest

from addon.client.machine import Refusal, machine_from


def test_hello_tells_the_computer_in_words():
    card = machine_from({"device": "cuda", "device_name": "NVIDIA L4", "vram_mb": 23034, "packs": ["sd15"]})
    assert card.in_words == "L4 (22 GB)"
    assert card.packs == ("sd15",)
    refused = {"diffusion": {"reason": "No card.", "hint": "Get one."}, "embedded": {"reason": "", "hint": ""}}
    processor = machine_from({"device": "cpu", "device_name": "Abacus", "vram_mb": 0, "packs": [], "tiers": refused})
    assert (processor.in_words, processor.packs) == ("the processor", ())
    assert processor.refusals == {"diffusion": Refusal("No card.", "Get one.")}


@pytest.mark.parametrize("hello", [{}, {"tiers": 5, "packs": 5, "vram_mb": "a"}, {"tiers": {"diffusion": "no"}}])
def test_what_hello_does_not_tell_is_not_known(hello: dict):
    machine = machine_from(hello)
    assert (machine.in_words, machine.packs, machine.refusals) == ("the processor", None, {})
