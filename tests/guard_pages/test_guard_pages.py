"""No kernel reads or writes a byte that is not a tensor's: operands and outputs border on pages that end the process.

Each backend runs its calls in a process of its own, which prints a call before it runs; see ``child.py``.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from cuda.kernels import why_no_emulation
from simt import build

from deepgen_fast import backends
from guard_pages import process
from guard_pages.memory import EDGES, guarded

HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pages are protected as on Linux")


@pytest.fixture(scope="session")
def allocator(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The library that guards what torch allocates; "" without a compiler: then operands alone are guarded."""
    compiler = build.compiler()
    if compiler is None:
        return ""
    library = tmp_path_factory.mktemp("allocator") / "allocator.so"
    build.run([compiler, "-x", "c", "-O1", "-shared", "-fPIC", str(HERE / "allocator.c"), "-o", str(library)])
    return str(library)


def _check(backend: str, allocator: str, **environment: str) -> None:
    process.check([str(HERE / "child.py"), backend, allocator], 100, LD_PRELOAD=allocator, **environment)


@pytest.mark.parametrize("instruction_set", ["avx2", "avx512", "neon"])
def test_cpu_kernels(instruction_set: str, allocator: str) -> None:
    if reason := backends.unavailable("cpu"):
        pytest.skip(reason)
    if instruction_set not in _runnable():
        pytest.skip("not an instruction set of this processor")
    _check("cpu", allocator, DEEPGEN_FAST_ISA=instruction_set)


@functools.cache
def _runnable() -> tuple[str, ...]:
    from deepgen_fast import _C

    program = "from deepgen_fast import _C; print(_C.cpu_instruction_set())"
    return tuple(
        name
        for name in _C.built_instruction_sets()
        if process.run(["-c", program], DEEPGEN_FAST_ISA=name).stdout.strip() == name
    )


@pytest.mark.skipif(why_no_emulation() is not None, reason=str(why_no_emulation()))
def test_emulated_cuda_kernels(allocator: str) -> None:
    _check("emulated", allocator)


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
def test_triton_kernels_in_the_interpreter(allocator: str) -> None:
    _check("triton", allocator, TRITON_INTERPRET="1")


# ---- the guard itself ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8, torch.bool])
def test_a_guarded_tensor_is_the_tensor(dtype: torch.dtype, edge: str) -> None:
    for tensor in (torch.rand(3, 5, 2, 7), torch.rand(3, 5, 2, 7).contiguous(memory_format=torch.channels_last),
                   torch.rand(4, 6)[:, ::2], torch.rand(()), torch.rand(2, 0)):  # fmt: skip
        value = (tensor > 0.5).to(dtype)
        found = guarded(value, edge)
        assert torch.equal(found, value) and found.stride() == value.stride()


def _survives(touch: Callable[[], object]) -> bool:
    """Whether a child process lives through it."""
    child = os.fork()
    if child == 0:
        touch()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0 or os.WIFSIGNALED(status)
    return status == 0


def test_one_byte_past_an_operand_ends_the_process() -> None:
    for edge, inside, outside in (("end", 4098, 4099), ("start", 0, -1)):
        tensor = guarded(torch.zeros(4099, dtype=torch.uint8), edge)
        address = tensor.data_ptr()
        assert _survives(lambda at=address + inside: ctypes.string_at(at, 1))
        assert not _survives(lambda at=address + outside: ctypes.string_at(at, 1))


WRITES = """
import ctypes, os, sys, torch
guard_from = ctypes.CDLL(sys.argv[1]).guard_from
for edge, at in ((1, 0), (1, 99), (1, 100), (1, 128), (1, -1), (2, 0), (2, 99), (2, 100), (2, -1)):
    child = os.fork()
    if child == 0:
        guard_from(edge)
        value = torch.empty(100, dtype=torch.uint8)
        ctypes.memset(value.data_ptr() + at, 1, 1)
        del value
        os._exit(0)
    print(os.WIFSIGNALED(os.waitpid(child, 0)[1]), at not in range(100))
"""


def test_one_byte_past_an_output_ends_the_process(allocator: str) -> None:
    if not allocator:
        pytest.skip("no compiler")
    done = process.run(["-c", WRITES, allocator], LD_PRELOAD=allocator)
    found = [line.split() for line in done.stdout.splitlines()]
    assert len(found) == 9 and all(ended == outside for ended, outside in found), done.stdout + done.stderr
