"""A device that is full: one more try with a smaller plan, by a prior of real networks, and then a sentence."""

from __future__ import annotations

import pytest
import torch
from portrait_head.diffusion.memory_plan import PLANS
from portrait_head.diffusion.prior import IdGuidedPrior
from portrait_head.errors import PortraitHeadError

from tests.backend.diffusion.test_guidance import normal_gradient
from tests.backend.diffusion.toy_packs import build_prior


class FullDevice:
    """Hangs on a real network and has no room for it until a smaller plan is followed."""

    def __init__(self, prior: IdGuidedPrior, failures: int, error: RuntimeError | None = None) -> None:
        self.failures, self.calls = failures, 0
        self.error = error or torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        prior._unet.register_forward_pre_hook(self.fill)

    def fill(self, network: torch.nn.Module, arguments: tuple) -> None:
        self.calls += 1
        if self.failures:
            self.failures -= 1
            raise self.error


SHORTAGES = (
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("Failed to allocate 1048576 bytes on device 'cuda:0'"),
)


@pytest.mark.parametrize("error", SHORTAGES, ids=str)
def test_however_a_library_says_that_it_is_full_there_is_one_more_try(packs, error):
    prior = build_prior(packs)
    cramped = FullDevice(prior, failures=1, error=error)
    found = normal_gradient(prior)
    assert prior.plan == PLANS[1]
    assert cramped.calls == 3  # the one that failed, and positive and negative one after the other
    torch.testing.assert_close(found, normal_gradient(build_prior(packs, plan=PLANS[1])))


def test_other_errors_are_not_taken_for_it(packs):
    prior = build_prior(packs)
    FullDevice(prior, failures=1, error=RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes"):
        normal_gradient(prior)
    assert prior.plan == PLANS[0]


def test_a_device_that_stays_full_is_one_sentence_with_the_way_out(packs):
    prior = build_prior(packs)
    cramped = FullDevice(prior, failures=9)
    with pytest.raises(PortraitHeadError, match="ran out of memory while distilling a view") as caught:
        normal_gradient(prior)
    assert caught.value.kind == "out_of_memory" and "embedded tier" in caught.value.hint
    assert cramped.calls == 2
