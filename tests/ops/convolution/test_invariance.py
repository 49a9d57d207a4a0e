"""The engine's results are the same bits on every instruction set and thread count, and from calls made side by side;
its memory stays within what is stated."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

import deepgen_fast  # noqa: F401  (registers the operators)
from deepgen_fast import backends

pytestmark = pytest.mark.skipif(bool(backends.unavailable("cpu")), reason=str(backends.unavailable("cpu")))

# batch, small and large channels, size, kernel, stride, padding, output padding: sizes that fill no tile or vector.
SHAPES = (
    (5, 140, 37, 9, 4, 2, 1, 0),
    (33, 64, 160, 8, 4, 2, 1, 0),
    (3, 150, 40, 7, 3, 2, 1, 1),
    (4, 33, 70, 6, 5, 2, 2, 1),
    (4, 40, 50, 9, 3, 1, 1, 0),
)


def all_passes(shape: tuple[int, ...]) -> tuple[Tensor, ...]:
    """Transposed convolution with statistics, convolution with an activation, weight gradient."""
    batch, small, large, size, kernel, stride, padding, extra = shape
    operators = torch.ops.deepgen_fast
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, small, size, size, generator=generator)
    weight = torch.randn(small, large, kernel, kernel, generator=generator)
    y, statistics = operators.conv_transpose2d(x, weight, None, None, stride, padding, extra, extra, 0, 0.0, True)
    back, _ = operators.conv2d(y, weight, None, None, stride, padding, 1, 0.0, False)
    return y, statistics, back, operators.conv2d_weight_gradient(x, y, kernel, stride, padding)


def checksums() -> list[str]:
    import hashlib

    results = (result for shape in SHAPES for result in all_passes(shape))
    return [hashlib.sha256(result.contiguous().numpy().tobytes()).hexdigest() for result in results]


@pytest.fixture(scope="module")
def expected() -> list[str]:
    return checksums()


@pytest.mark.parametrize("threads", [1, 3])
def test_thread_count(threads: int, expected: list[str]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert checksums() == expected
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("instruction_set", ["avx2", "avx512"])
def test_instruction_sets(instruction_set: str, expected: list[str]) -> None:
    script = "import test_invariance; print('\\n'.join(test_invariance.checksums()))"
    folder = os.path.dirname(__file__)
    path = os.pathsep.join([folder, os.getcwd(), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "DEEPGEN_FAST_ISA": instruction_set, "PYTHONPATH": path}
    check = "import deepgen_fast.native as n; print(n.cpu_instruction_set())"
    found = subprocess.run([sys.executable, "-c", check], env=environment, capture_output=True, text=True, check=True)
    if found.stdout.strip() != instruction_set:
        pytest.skip(f"this processor does not run {instruction_set}")
    found = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.split() == expected


def test_calls_side_by_side(expected: list[str]) -> None:
    """From several Python threads at once: each has a workspace of its own."""
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(lambda _: checksums(), range(3)):
            assert found == expected


@pytest.mark.parametrize(
    "shape", [(64, 512, 256, 8, 4, 2, 1, 0), (2, 1024, 512, 4, 4, 2, 1, 0), (8, 300, 300, 8, 3, 1, 1, 0)]
)
def test_workspace_is_bounded(shape: tuple[int, ...]) -> None:
    """24 MiB a thread, whatever the shape; the same memory serves the next call."""
    from deepgen_fast import _C

    all_passes(shape)
    kept = _C.workspace_bytes()
    assert 0 < kept <= 24 << 20
    all_passes(shape)
    assert _C.workspace_bytes() == kept
