"""Raw operators: the compiled library, or nothing."""

import pytest

from deepgen_fast import backends


@pytest.fixture(autouse=True)
def _library(nan_filled_memory: None) -> None:
    if reason := backends.unavailable("cpu"):
        pytest.skip(reason)
