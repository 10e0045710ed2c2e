"""The benchmarks' own paths, at toy size."""

import pytest
import torch
from portrait_head.benchmarks import diffusion_tier
from portrait_head.benchmarks.guidance import measure
from portrait_head.errors import PortraitHeadError


def test_it_compares_the_default_with_the_papers_code_in_one_run():
    default, full, half = measure(tiny=True)
    assert default["ratio"] == 1.0
    for line in (full, half):
        assert line["ratio"] == pytest.approx(
            default["steps_per_second"] / line["steps_per_second"], rel=0.02, abs=0.01
        )
        # Two forward passes more and a backward pass: counted, not timed, so it holds on any machine.
        assert line["tflop_per_step"] > 1.3 * default["tflop_per_step"] > 0
        assert line["estimator"] == "vsd"
    assert default["estimator"] != "vsd"
    assert 0 < default["share_of_device_rate"] < 2


def test_the_whole_tier_is_timed_beside_the_embedded_one():
    (line,) = diffusion_tier.measure(tiny=True)

    assert line["seconds"] == pytest.approx(line["sculpt_seconds"] + line["texture_seconds"], abs=0.02)
    assert line["sculpt_seconds"] > 0 and line["texture_seconds"] > line["embedded_texture_seconds"]
    embedded = line["embedded_sculpt_seconds"] + line["embedded_texture_seconds"]
    assert line["ratio"] == pytest.approx(embedded / line["seconds"], rel=0.02)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_says_so():
    with pytest.raises(PortraitHeadError, match="needs an NVIDIA GPU"):
        next(measure())
