"""The CUDA kernels under test: emulated on the CPU everywhere, and on the GPU where there is one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cuda.kernels import Kernels, emulated_kernels, gpu_kernels, why_no_emulation, why_no_gpu

REASONS = {"emulated": why_no_emulation, "gpu": why_no_gpu}


@pytest.fixture(scope="session", params=["emulated"] + ["gpu"] * torch.cuda.is_available())
def kernels(request: pytest.FixtureRequest) -> Kernels:
    if reason := REASONS[request.param]():
        pytest.skip(reason)
    return emulated_kernels() if request.param == "emulated" else gpu_kernels()


@pytest.fixture(autouse=True)
def _unwritten_outputs_show(nan_filled_memory: None) -> None:
    """An output element that no thread writes is NaN."""
