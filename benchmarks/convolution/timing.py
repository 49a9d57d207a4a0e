"""Candidates timed in turns, so that a change of the machine's mood falls on all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence


def take_turns(candidates: Sequence[Callable[[], object]], seconds: float) -> list[list[float]]:
    """Seconds of each call; at least five of each candidate."""
    for run in candidates:
        run()
    times: list[list[float]] = [[] for _ in candidates]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 5:
        for run, taken in zip(candidates, times, strict=True):
            start = time.perf_counter()
            run()
            taken.append(time.perf_counter() - start)
    return times


def quantile(times: list[float], share: float) -> float:
    return sorted(times)[round(share * (len(times) - 1))]
