"""Peak memory of one step, above what its inputs hold."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import torch

from benchmarks.candidates import backward, forward
from benchmarks.cases import Work


def peak_bytes(function: Callable[..., Any], work: Work) -> int:
    """Most bytes that torch's allocator had handed out during forward and backward."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        backward(forward(function, work), work)
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    sizes = [e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())]
    return max(accumulate(sizes, initial=0))
