"""Tensors of more than 2^31 elements, mapped but hardly touched, on emulated CUDA and interpreted Triton kernels."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from cuda.kernels import why_no_emulation

from guard_pages import process

HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is mapped as on Linux")


@pytest.mark.skipif(why_no_emulation() is not None, reason=str(why_no_emulation()))
def test_emulated_cuda_kernels() -> None:
    process.check([str(HERE / "large_emulated.py")], 25)


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
def test_triton_kernels_in_the_interpreter() -> None:
    process.check([str(HERE / "large_triton.py")], 20, TRITON_INTERPRET="1")
