"""The emulated kernels under AddressSanitizer: no access outside a tensor or shared array, in any case or schedule."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from simt import build

from cuda.kernels import why_no_emulation

TESTS = Path(__file__).resolve().parents[1]
PROGRAM = """
import sys, torch
sys.path[:0] = [{root!r}, {tests!r}]
from cuda.cases import DTYPES, EMPTY_SHAPES, MINIBATCH_SHAPES, SHAPES, all_calls, minibatch_calls
from cuda.kernels import emulated_kernels
from cuda.layer_cases import layer_calls
torch.set_num_threads(1)
kernels = emulated_kernels()
calls = 0
for dtype in DTYPES:
    for index, shape in enumerate((*SHAPES, *EMPTY_SHAPES[1:2])):
        kernels.controls.simt_schedule(index)
        for call in all_calls(*shape, dtype):
            for misaligned in (False, True):
                call.run(kernels, misaligned=misaligned)
                calls += 1
for dtype in DTYPES:
    for index, shape in enumerate(MINIBATCH_SHAPES):
        kernels.controls.simt_schedule(index)
        for call in minibatch_calls(*shape, dtype):
            for misaligned in (False, True):
                call.run(kernels, misaligned=misaligned)
                calls += 1
for index, call in enumerate(layer_calls()):
    kernels.controls.simt_schedule(index % 4)
    for misaligned in (False, True):
        call.run(kernels, misaligned=misaligned)
        calls += 1
print("calls", calls)
"""


@pytest.mark.slow
@pytest.mark.skipif(why_no_emulation() is not None, reason=str(why_no_emulation()))
def test_no_access_out_of_bounds() -> None:
    runtime = subprocess.run(
        [build.compiler() or "g++", "-print-file-name=libasan.so"], capture_output=True, text=True
    ).stdout.strip()
    environment = os.environ | {
        "LD_PRELOAD": runtime, "DGF_SIMT_SANITIZE": "1", "OMP_NUM_THREADS": "1",
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0:protect_shadow_gap=0",
    }  # fmt: skip
    program = PROGRAM.format(root=str(build.ROOT), tests=str(TESTS))
    result = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-4000:]
    assert int(result.stdout.split()[-1]) > 100
