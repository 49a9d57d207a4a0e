"""The pytest-benchmark suite that every operator's folder instantiates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.candidates import CANDIDATES, backward, build, check, forward
from benchmarks.cases import PHASES, Case, cases


def op_suite(op: str) -> Callable[..., None]:
    """A test over an operator's cases, phases and candidates; a group is what competes with each other."""

    @pytest.mark.parametrize("candidate", CANDIDATES)
    @pytest.mark.parametrize("phase", PHASES)
    @pytest.mark.parametrize("case", cases(op), ids=lambda case: case.name)
    def suite(benchmark: Any, case: Case, phase: str, candidate: str) -> None:
        work = case.setup()
        if candidate == "deepgen_fast":
            check(work)
        function = build(work, candidate)
        backward(forward(function, work), work)  # compiles, warms up
        benchmark.group = f"{case.name} {phase}"
        if phase == "forward":
            benchmark(lambda: forward(function, work))
        elif phase == "both":
            benchmark(lambda: backward(forward(function, work), work))
        else:
            benchmark.pedantic(
                backward, setup=lambda: ((forward(function, work), work), {}), rounds=100, warmup_rounds=5
            )

    return suite
