"""The benchmarks' own paths, at toy size."""

import json

import pytest
import torch
from portrait_head.benchmarks import diffusion_tier
from portrait_head.benchmarks.guidance import measure
from portrait_head.cli import main


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
@pytest.mark.parametrize("name", ["guidance", "diffusion-tier"])
def test_without_a_gpu_it_says_so_before_it_works(name, capsys):
    assert main(["bench", name]) == 1
    said = capsys.readouterr()
    assert "needs an NVIDIA GPU" in said.err and "--tiny" in said.err
    assert not said.out


def test_a_line_is_a_json_object_for_scripts(capsys):
    assert main(["bench", "guidance", "--tiny", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["way"] for line in lines] == ["default", "paper's code, float32", "paper's code, float16"]
    assert all({"ratio", "steps_per_second", "peak_gb", "tflop_per_step"} <= line.keys() for line in lines)
