"""What no implementation can beat on this machine: bytes at the measured rate, arithmetic at the measured rate."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.cases import Case, Cost

_GEMM = 1024


def median_seconds(function: Callable[[], object], seconds: float = 0.05) -> float:
    """Median time of a call, warm."""
    for _ in range(3):
        function()
    times: list[float] = []
    while sum(times) < seconds or len(times) < 5:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def stream_seconds(cost: Cost) -> float:
    """Time to stream a phase's bytes, and to touch its fresh outputs for the first time.

    The rate is that of ``copy_`` over as many bytes, half read and half written, so a working set that fits in a
    cache is measured in that cache. On top comes what a fresh output costs over one already mapped.
    """
    total = cost.read + sum(cost.written)
    if total == 0:
        return 0.0
    source, sink = (torch.zeros(max(1, total // 8)) for _ in range(2))
    one = torch.zeros(1)
    call = median_seconds(lambda: one.copy_(one))
    copy = median_seconds(lambda: sink.copy_(source)) - call
    warm = [torch.zeros(size // 4) for size in cost.written]

    def fill_fresh() -> None:
        for output in [torch.empty_like(kept) for kept in warm]:
            output.fill_(1.0)

    def fill_warm() -> None:
        [torch.empty(0) for _ in warm]  # as many calls
        for output in warm:
            output.fill_(1.0)

    first_touch = median_seconds(fill_fresh) - median_seconds(fill_warm)
    return max(copy, 0.0) + max(first_touch, 0.0)


def matmul_rate(dtype: torch.dtype = torch.float32) -> float:
    """Floating point operations a second of a large matrix product: the machine's arithmetic in practice."""
    a, b = (torch.randn(_GEMM, _GEMM).to(dtype) for _ in range(2))
    return 2 * _GEMM**3 / median_seconds(lambda: a @ b, 0.3)


def floors(case: Case, threads: int) -> dict[str, dict[str, float]]:
    """``{phase: {"bandwidth": seconds, "arithmetic": seconds}}``; runs in a process of its own."""
    torch.set_num_threads(threads)
    # A fused multiply-add is two operations and one instruction of a lane.
    lane_instructions = matmul_rate() / 2
    return {
        phase: {"bandwidth": stream_seconds(cost), "arithmetic": cost.lane_instructions / lane_instructions}
        for phase, cost in case.setup().costs.items()
    }
