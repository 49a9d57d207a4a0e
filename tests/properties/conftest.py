"""Outputs that a kernel leaves unwritten are NaN, and tensors too small for a second thread do not wait for one."""

from __future__ import annotations

import pytest
import torch

from deepgen_fast import backends


@pytest.fixture(autouse=True)
def _small_tensors(nan_filled_memory: None, threads: None) -> None:
    if reason := backends.unavailable("cpu"):
        pytest.skip(reason)
    torch.set_num_threads(1)
