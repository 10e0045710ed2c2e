"""How much of the prior lies on the device at once, chosen from the memory that is free there.

Attention slicing is not among the means: scaled dot product attention never holds the whole attention matrix, and the
sliced processors of diffusers would replace those that carry the identity.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from portrait_head.errors import PortraitHeadError

T = TypeVar("T")
_GIB = 2**30
# The driver, cuBLAS and cuDNN, and Warp, which renders.
_FULL = re.compile(r"CUDA (driver )?error: out of memory|_STATUS_ALLOC_FAILED|failed to allocate .* on device", re.I)


@dataclass(frozen=True)
class MemoryPlan:
    """What is traded for memory; each plan is a step smaller than the one before.

    Attributes:
        name: for reports.
        needs: bytes of device memory for one guided view at 512 pixels.
        branches_together: prompts of a view in one batch, or one after another.
        encode_twice: the render is encoded without a graph first and again, with one, when the UNet is done.
        checkpoint_encoder: the VAE's encoder keeps few activations and computes the others again.
        offload: networks lie in main memory and visit the device when they are used.
    """

    name: str
    needs: int
    branches_together: bool = True
    encode_twice: bool = False
    checkpoint_encoder: bool = False
    offload: bool = False


# Weights in 16 bits take 2.9 GB (UNet 1.7, ControlNet 0.7, VAE 0.2, text encoder 0.25); the rest is activations, most
# of them the encoder's. `portrait-head bench guidance` measures the peak.
_FRUGAL = MemoryPlan("careful", 5 * _GIB, branches_together=False, encode_twice=True, checkpoint_encoder=True)
PLANS = (MemoryPlan("whole", 8 * _GIB), _FRUGAL, replace(_FRUGAL, name="offloaded", needs=3 * _GIB, offload=True))


def cuda_device() -> torch.device:
    """The GPU to use.

    Raises:
        PortraitHeadError: there is none (`no_cuda`).
    """
    if not torch.cuda.is_available():
        raise PortraitHeadError(
            "no_cuda",
            "The diffusion tier needs an NVIDIA GPU, and PyTorch finds none.",
            "Install its driver and a CUDA build of PyTorch, run on a machine with a GPU, choose the embedded tier, "
            "or wait for hours with --device cpu.",
        )
    return torch.device("cuda")


def choose_plan(free_bytes: int) -> MemoryPlan:
    """The largest plan that fits into the free memory of the device.

    Raises:
        PortraitHeadError: none does (`too_little_memory`).
    """
    for plan in PLANS:
        if free_bytes >= plan.needs:
            return plan
    raise PortraitHeadError(
        "too_little_memory",
        f"The GPU has {free_bytes / _GIB:.1f} GiB free, and the smallest plan needs {PLANS[-1].needs / _GIB:.0f} GiB.",
        "Close other programs that use the GPU, use a larger one, or choose the embedded tier.",
    )


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a CUDA device, with those that an earlier job of this process has left to PyTorch."""
    torch.cuda.empty_cache()
    return torch.cuda.mem_get_info(device)[0]


def smaller_plan(plan: MemoryPlan) -> MemoryPlan | None:
    """The next smaller plan, if there is one."""
    later = PLANS[PLANS.index(plan) + 1 :] if plan in PLANS else ()
    return later[0] if later else None


def weights_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the GPU computes in it (its range is float32's), float16 on older ones, float32 on the CPU."""
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16


def within_memory(run: Callable[[], T], shrink: Callable[[], bool], doing: str) -> T:
    """Run something; if the device is full, once more after `shrink`, which says whether it could make room.

    Raises:
        PortraitHeadError: the device is still full (`out_of_memory`).
    """
    full = None
    for may_shrink in (True, False):
        try:
            return run()
        except RuntimeError as error:
            if not _is_full(error):
                raise
            full = error.with_traceback(None)  # which would hold the tensors of the failed attempt
        torch.cuda.empty_cache()
        if not (may_shrink and shrink()):
            break
    raise PortraitHeadError(
        "out_of_memory",
        f"The GPU ran out of memory while {doing}.",
        "Close other programs that use the GPU, use a larger one, or choose the embedded tier.",
    ) from full


def _is_full(error: RuntimeError) -> bool:
    """Whether the device was full: PyTorch says so with a class of its own, the libraries under it in words."""
    return isinstance(error, torch.OutOfMemoryError) or bool(_FULL.search(str(error)))
