"""Run ``kernels/`` in Triton's interpreter, in a process of its own (see conftest.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

KERNELS = Path(__file__).parent / "kernels"


def run_kernel_tests(marks: str) -> str:
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", marks, KERNELS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=KERNELS.parents[2])
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


pytestmark = pytest.mark.skipif(
    os.environ.get("TRITON_INTERPRET") == "1", reason="kernels/ is collected in this process"
)


def test_kernels_in_the_interpreter():
    assert " passed" in run_kernel_tests("not slow")


@pytest.mark.slow
def test_kernels_beyond_31_bits_in_the_interpreter():
    assert " passed" in run_kernel_tests("slow")
