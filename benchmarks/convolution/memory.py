"""Peak memory of a network's forward and backward: PyTorch's allocator, and our workspaces, which it does not know."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import accumulate
from multiprocessing import get_context

import torch

from benchmarks.convolution import networks
from deepgen_fast import _C


def _peak(step: Callable[[], None]) -> int:
    """Most bytes handed out at a time beyond what there was, after a first call that leaves the gradients in place."""
    step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        step()
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    return max(accumulate((e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())), initial=0))


def _measure(name: str, candidate: int) -> int:
    torch.set_num_threads(2)
    step = networks.steps(name, "forward + backward")[candidate]
    peak = _peak(step)
    return peak + torch.get_num_threads() * _C.workspace_bytes()


def peaks(name: str) -> tuple[int, int]:
    """Bytes of PyTorch, contiguous, and of the accelerated network, each in a process of its own."""
    found = []
    for candidate in (0, -1):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found.append(pool.submit(_measure, name, candidate).result())
    return found[0], found[1]
