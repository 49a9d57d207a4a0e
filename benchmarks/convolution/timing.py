"""Candidates timed in turns, so that a change of the machine's mood falls on all alike."""

from __future__ import annotations

import ctypes
import platform
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


def keep_freed_memory() -> None:
    """Let glibc keep what is freed: else it is chance which candidate pays for the pages that another gave back."""
    if platform.libc_ver()[0] == "glibc":
        trim_threshold, most_mapped = -1, -4  # M_TRIM_THRESHOLD, M_MMAP_MAX of malloc.h
        libc = ctypes.CDLL(None)
        libc.mallopt(trim_threshold, 1 << 30)
        libc.mallopt(most_mapped, 0)


def quantile(times: list[float], share: float) -> float:
    return sorted(times)[round(share * (len(times) - 1))]
