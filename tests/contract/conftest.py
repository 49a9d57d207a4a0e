"""The backends under test: what runs here, each on its own device."""

from __future__ import annotations

import os

import pytest
import torch

from deepgen_fast import backends


def _device(backend: str) -> str:
    if backend == "cuda" or (backend == "triton" and torch.cuda.is_available()):
        return "cuda"
    return "cpu"


def _testable() -> list[str]:
    """The reference and the CPU kernels always; Triton where there is a GPU or its interpreter is on; CUDA on one."""
    gpu = torch.cuda.is_available()
    names = ["reference", "cpu"]
    if gpu or os.environ.get("TRITON_INTERPRET") == "1":
        names.append("triton")
    return names + ["cuda"] * gpu


@pytest.fixture(params=_testable())
def backend(request: pytest.FixtureRequest) -> str:
    if reason := backends.unavailable(request.param):
        pytest.skip(f"backend {request.param}: {reason}")
    return request.param


@pytest.fixture
def device(backend: str) -> str:
    """Where the backend's tensors live."""
    return _device(backend)


@pytest.fixture(autouse=True)
def _unwritten_memory_is_nan(nan_filled_memory: None) -> None:
    pass
