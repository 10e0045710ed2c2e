"""The order of the files: with two processes, what takes longest must not come last and alone."""

import pytest

# By how long they take, about 370 to 50 seconds.
LONG = ("test_likeness", "test_ui", "test_batch", "test_tier", "test_cli", "test_resume", "test_real_worker")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config.option, "loadscopereorder"):  # xdist would begin with the files of most tests
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))
