"""How many threads PyTorch may use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """PyTorch on `count` threads, and as before afterwards.

    Work of many small steps is quicker on one: threads that wait for each other thousands of times a second spin, and
    on a busy machine they spin for whole time slices. Sums then also come out the same on every machine.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
