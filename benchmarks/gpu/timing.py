"""Time on a CUDA device: of the device's work alone, and of calls as a program makes them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

DEVICE = "cuda"
REPEATS = 15


class Times(NamedTuple):
    """Microseconds of one call: median, 10th and 90th percentile."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.1f} ({self.low:.1f} to {self.high:.1f})"


def microseconds(call: Callable[[], object]) -> float:
    """From when the device starts on the call to when it has ended, waiting for the host included."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) * 1e3


def copy_bandwidth() -> float:
    """Bytes a microsecond that a large copy moves, read and written."""
    source = torch.randn(1 << 28, device=DEVICE)
    destination = torch.empty_like(source)
    times = [microseconds(lambda: destination.copy_(source)) for _ in range(10)]
    return 2 * source.numel() * source.element_size() / statistics.median(times[2:])


def times_of(values: Sequence[float], calls: int) -> Times:
    low, median, high = statistics.quantiles([value / calls for value in values], n=10, method="inclusive")[::4]
    return Times(median, low, high)


def captured(calls: Sequence[Callable[[], object]]) -> Callable[[], None]:
    """The calls' work on the device as one graph, so that its replay waits for no launches.

    The current stream must not be the default one: autograd remembers the stream on which it first met a leaf, and the
    default stream cannot be captured.
    """
    for call in (*calls[:1], *calls):  # compiles, and allocates what stays
        call()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
        for call in calls:
            call()
    return graph.replay


def by_turns(candidates: dict[str, Callable[[], object]], calls: int, repeats: int = REPEATS) -> dict[str, Times]:
    """Each candidate's time; ``calls``: how many one of them makes."""
    for candidate in candidates.values():
        for _ in range(2):
            candidate()
    torch.cuda.synchronize()
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, candidate in candidates.items():
            taken[name].append(microseconds(candidate))
    return {name: times_of(values, calls) for name, values in taken.items()}


def measure(candidates: dict[str, Sequence[Callable[[], object]]]) -> tuple[dict[str, Times], dict[str, Times]]:
    """Times on the device (replays of graphs), and of calls; each candidate is given once for each copy of inputs."""
    calls = len(next(iter(candidates.values())))

    def all_of(steps: Sequence[Callable[[], object]]) -> Callable[[], None]:
        def run() -> None:
            for step in steps:
                step()

        return run

    plain = by_turns({name: all_of(steps) for name, steps in candidates.items()}, calls)
    replayed = by_turns({name: captured(steps) for name, steps in candidates.items()}, calls)
    return replayed, plain
