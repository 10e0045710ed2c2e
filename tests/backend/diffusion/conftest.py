from collections.abc import Iterator

import pytest
import torch
from portrait_head.diffusion.packs import PriorFolders

from tests.backend.diffusion.toy_packs import save_packs


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Toy networks are too small to be shared among threads, which on a busy machine wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def packs(tmp_path_factory) -> PriorFolders:
    """Toy packs that every test shares; not to be written to."""
    return save_packs(tmp_path_factory.mktemp("packs"))
