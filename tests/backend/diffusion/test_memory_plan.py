"""What is done about the device's memory."""

import pytest
import torch
from portrait_head.diffusion.memory_plan import PLANS, choose_plan, cuda_device, smaller_plan, weights_dtype
from portrait_head.errors import PortraitHeadError

GIB = 2**30


@pytest.mark.parametrize(("free", "name"), [(80, "whole"), (8, "whole"), (7.9, "careful"), (4, "offloaded")])
def test_the_largest_plan_that_fits_is_chosen(free, name):
    assert choose_plan(int(free * GIB)).name == name


def test_too_small_a_device_is_told_what_is_needed():
    with pytest.raises(PortraitHeadError, match=r"2\.0 GiB free.*needs 3 GiB.*embedded tier") as caught:
        choose_plan(2 * GIB)
    assert caught.value.kind == "too_little_memory"


def test_plans_need_less_one_after_another_and_end():
    assert [plan.needs for plan in PLANS] == sorted((plan.needs for plan in PLANS), reverse=True)
    assert [smaller_plan(plan) for plan in PLANS] == [*PLANS[1:], None]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_no_gpu_is_one_sentence_with_the_way_out():
    with pytest.raises(PortraitHeadError, match="needs an NVIDIA GPU") as caught:
        cuda_device()
    assert caught.value.kind == "no_cuda"
    assert "embedded tier" in caught.value.hint


def test_a_processor_computes_in_full_precision():
    assert weights_dtype(torch.device("cpu")) is torch.float32
