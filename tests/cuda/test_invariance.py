"""What no bit of a result depends on: the order of threads, the GPU's size, alignment, the rest of the batch."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from torch import Tensor

from cuda.cases import DTYPES, MINIBATCH_SHAPES, SHAPES, Call, all_calls, minibatch_calls
from cuda.kernels import Kernels

SOME_SHAPES = [shape for shape in SHAPES if shape[2] in (8, 264, 784, 1153)]


def _same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a.nan_to_num(0.125), b.nan_to_num(0.125)) for a, b in zip(one, other, strict=True))


def _check_schedules(kernels: Kernels, calls: Iterable[Call], schedules: range) -> None:
    if kernels.controls is None:
        pytest.skip("a GPU's order of threads cannot be chosen")
    for call in calls:
        expected = call.run(kernels)
        for schedule in schedules:
            try:
                kernels.controls.simt_schedule(schedule)
                kernels.controls.simt_multiprocessors(1 + schedule % 3)
                assert _same(call.run(kernels), expected), (call.op, schedule)
            finally:
                kernels.controls.simt_schedule(0)
                kernels.controls.simt_multiprocessors(2)


@pytest.mark.parametrize("shape", SOME_SHAPES, ids=str)
def test_order_of_threads(kernels: Kernels, shape: tuple[int | None, int, int]) -> None:
    _check_schedules(kernels, all_calls(*shape, torch.float32), range(1, 3))


@pytest.mark.parametrize("shape", MINIBATCH_SHAPES, ids=str)
def test_order_of_threads_over_pairs(kernels: Kernels, shape: tuple[int, int, int]) -> None:
    _check_schedules(kernels, minibatch_calls(*shape, torch.float32), range(1, 3))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype)[6:])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_order_of_threads_everywhere(kernels: Kernels, shape: tuple[int | None, int, int], dtype: torch.dtype) -> None:
    _check_schedules(kernels, all_calls(*shape, dtype), range(1, 9))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=lambda dtype: str(dtype)[6:])
@pytest.mark.parametrize("shape", SOME_SHAPES, ids=str)
def test_alignment(kernels: Kernels, shape: tuple[int | None, int, int], dtype: torch.dtype) -> None:
    for call in all_calls(*shape, dtype):
        assert _same(call.run(kernels), call.run(kernels, misaligned=True)), call.op


@pytest.mark.parametrize("columns", [3, 32, 784, 5000])
def test_the_rest_of_the_batch(kernels: Kernels, columns: int) -> None:
    output, target, logvar = torch.randn(40, columns), torch.rand(40, columns), torch.randn(40, columns)
    seed, empty = torch.tensor(11), (None, None, None)
    for rows in (1, 3, 39):
        part, part_target, part_logvar = output[:rows], target[:rows], logvar[:rows]
        for full, alone in (
            (kernels("bernoulli_log_likelihood", output, target, None, False),
             kernels("bernoulli_log_likelihood", part, part_target, None, False)),
            (kernels("gaussian_log_likelihood", output, target, logvar, None, False),
             kernels("gaussian_log_likelihood", part, part_target, part_logvar, None, False)),
            (kernels("reparameterize_kl", output, logvar, *empty, seed, None, 0, False),
             kernels("reparameterize_kl", part, part_logvar, *empty, seed, None, 0, False)),
        ):  # fmt: skip
            assert _same([result[:rows] for result in full], alone)
