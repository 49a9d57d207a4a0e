"""Measures and writes the table: ``python -m benchmarks.networks [--networks NAME ...] [--no-compile]``.

Each candidate runs in a process of its own; the processes take turns. Medians, with 20 % and 80 %. A row whose first
step gives another number than PyTorch's is not timed.
"""

from __future__ import annotations

import argparse
import itertools
import math
from pathlib import Path

import torch

import deepgen_fast as dgf
from benchmarks import environment
from benchmarks.convolution.timing import quantile
from benchmarks.networks.candidates import CANDIDATES, Candidate, Row
from benchmarks.networks.cases import BATCHES, FORMATS, MODES, NETWORKS

LEAST = 0.95  # of plain PyTorch's speed
FLOOR = 20e-6  # seconds; a smaller difference is not called slower
TOLERANCE = 1e-3


def rows(names: list[str], batches: list[int], modes: list[str], formats: list[str]) -> list[Row]:
    indices = [BATCHES.index(batch) for batch in batches]
    return [
        Row(name, index, BATCHES[index], mode, layout)
        for name, index, mode, layout in itertools.product(names, indices, modes, formats)
    ]


def measure(row: Row, candidates: list[Candidate], turns: int, seconds: float) -> dict[str, list[float] | str]:
    """Seconds of each step by candidate, or why there are none."""
    first = {candidate.name: candidate.ask(row) for candidate in candidates}
    truth = first[CANDIDATES[0]]
    times: dict[str, list[float] | str] = {}
    for name, value in first.items():
        if isinstance(value, str):
            times[name] = value
        elif not math.isclose(value, truth, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            times[name] = f"wrong result: {value:g}, PyTorch {truth:g}"
        else:
            times[name] = []
    order = [candidate for candidate in candidates if times[candidate.name] == []]
    for _ in range(turns):
        for candidate in order:
            times[candidate.name] += candidate.ask(seconds)  # type: ignore[operator]
        order.append(order.pop(0))
    return times


def _cell(times: list[float] | str) -> str:
    if isinstance(times, str):
        return times
    low, median, high = (quantile(times, share) * 1e3 for share in (0.2, 0.5, 0.8))
    return f"{median:.1f} ms ({low:.1f} to {high:.1f})"


def line(row: Row, times: dict[str, list[float] | str]) -> tuple[str, bool | None]:
    """A line of the table, and whether ``accelerate()`` is slower than plain PyTorch: None where there is no figure."""
    plain, ours = times[CANDIDATES[0]], times[CANDIDATES[-1]]
    ratio, slower = None, False
    if not isinstance(plain, str) and not isinstance(ours, str):
        ratio = quantile(plain, 0.5) / quantile(ours, 0.5)
        slower = ratio < LEAST and quantile(ours, 0.5) - quantile(plain, 0.5) > FLOOR
    compiled = times.get("torch.compile")
    over = ""
    if compiled is not None and not isinstance(compiled, str) and not isinstance(ours, str):
        over = f"x{quantile(compiled, 0.5) / quantile(ours, 0.5):.2f}"
    speed = "" if ratio is None else f"**x{ratio:.2f}**" if slower else f"x{ratio:.2f}"
    size = "x".join(map(str, NETWORKS[row.network].shapes[row.batch_index]))
    cells = [_cell(times[name]) for name in CANDIDATES if name in times]
    return (
        f"| {row.network}, {row.batch} x {size}, {row.mode}, {row.format} | {' | '.join(cells)} | {speed} | {over} |",
        None if ratio is None else slower,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS), metavar="NAME")
    parser.add_argument("--batches", nargs="+", type=int, choices=BATCHES, default=list(BATCHES))
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a turn; at least one step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent.parent / "NETWORKS.md")
    options = parser.parse_args()
    names = [name for name in CANDIDATES if not (options.no_compile and name == "torch.compile")]
    facts = environment.environment(options.threads)
    candidates = [Candidate(name, options.threads) for name in names]
    lines = [
        "# Well-known networks",
        "",
        f"Written by `python -m benchmarks.networks`: {facts['processor']}, "
        f"{facts['instruction set of deepgen_fast']}, {options.threads} threads, torch {torch.__version__}, "
        f"deepgen_fast {dgf.__version__}, {facts['date']}. Medians with 20 % and 80 %; each candidate in a process of "
        "its own, in turns. A training step is forward, backward and SGD. "
        f"Bold: under {LEAST} of plain PyTorch's speed, by more than {FLOOR * 1e6:.0f} us.",
        "",
        f"| network, images, mode, format | {' | '.join(names)} | over PyTorch | over torch.compile |",
        "|---" * (len(names) + 3) + "|",
    ]
    verdicts: list[bool] = []
    for row in rows(options.networks, options.batches, options.modes, options.formats):
        text, slower = line(row, measure(row, candidates, options.turns, options.seconds))
        lines.append(text)
        print(text, flush=True)
        verdicts += [] if slower is None else [slower]
    for candidate in candidates:
        candidate.close()
    lines += ["", f"Of {len(verdicts)} rows, {sum(verdicts)} run at less than {LEAST} of plain PyTorch's speed."]
    print(lines[-1])
    options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
