"""What is in the way of the diffusion tier is said before a job begins, not in its last stage."""

import sys

import pytest
from portrait_head.models.packages import NEEDED
from portrait_head.models.readiness import readiness
from portrait_head.models.store import PackStore


@pytest.mark.parametrize("package", NEEDED)
def test_a_missing_package_is_an_obstacle_with_the_command_that_brings_it(package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)  # as Python sees what is not installed
    first, *_ = readiness("cpu", store=PackStore(tmp_path)).obstacles

    assert first.kind == "missing_package" and first.message.endswith(f": {package}.")
    assert 'pip install ".[cuda]"' in first.hint


def test_the_lora_of_few_steps_needs_peft():
    assert "peft" in NEEDED


def test_many_missing_packs_are_one_command(tmp_path):
    (packs,) = readiness("cpu", store=PackStore(tmp_path)).obstacles

    assert packs.message.startswith("13 of 13 model packs are missing (") and packs.message.count(",") == 0
    assert "portrait-head models download diffusion (licences to accept: " in packs.hint
