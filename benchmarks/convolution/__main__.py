"""Measures and writes the tables: ``python -m benchmarks.convolution [--seconds S] [--output CONVOLUTIONS.md]``.

Candidates take turns within one run; medians, with 20 % and 80 %. GFLOP/s are the direct algorithm's operations over
the time, so that minimal filtering can exceed what the processor does: a large product's rate stands beside.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.utils import benchmark

import deepgen_fast as dgf
from benchmarks import environment
from benchmarks.convolution import layers, networks
from benchmarks.convolution.timing import quantile, take_turns

HERE = Path(__file__).parent


def row(name: str, times: list[list[float]], target: float, multiply_adds: float | None = None) -> str:
    medians = [quantile(t, 0.5) for t in times]
    cells = [
        f"{median * 1e3:.1f} ms ({quantile(t, 0.2) * 1e3:.1f} to {quantile(t, 0.8) * 1e3:.1f})"
        + (f", {2 * multiply_adds / median / 1e9:.0f} GFLOP/s" if multiply_adds else "")
        for t, median in zip(times, medians, strict=True)
    ]
    ratio = min(medians[:2]) / medians[2]
    return (
        f"| {name} | {' | '.join(cells)} | x{ratio:.2f} | x{target:g} | {'met' if ratio >= target else '**missed**'} |"
    )


def product_rate() -> float:
    """GFLOP/s of a large float32 matrix product: the limit of the direct algorithm."""
    a = torch.randn(2048, 2048)
    median = benchmark.Timer("a @ a", globals={"a": a}, num_threads=torch.get_num_threads()).blocked_autorange().median
    return 2 * 2048**3 / median / 1e9


def head(first: str, candidates: Sequence[str]) -> list[str]:
    return [f"| {first} | {' | '.join(candidates)} | speed-up | target | |", "|---" * (len(candidates) + 4) + "|"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="for each row")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=HERE.parent / "CONVOLUTIONS.md")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    processor = environment.environment(options.threads)["processor"]
    lines = [
        "# Convolutions",
        "",
        f"Written by `python -m benchmarks.convolution`: {processor}, {options.threads} threads, torch "
        f"{torch.__version__}, deepgen_fast {dgf.__version__}. Medians with 20 % and 80 %, candidates in turns. "
        "Speed-up over the better of PyTorch's two memory formats. GFLOP/s are the direct algorithm's operations over "
        f"the time; a large matrix product reaches {product_rate():.0f}.",
        "",
        "## Layers, weights transformed at each call",
        "",
        *head("batch: layer, pass", layers.CANDIDATES),
    ]
    with torch.no_grad():
        for layer in layers.LAYERS:
            for name, candidates in layers.steps(layer).items():
                times = take_turns(candidates, options.seconds)
                lines.append(row(f"{layer}, {name}", times, layer.target, layer.multiply_adds))
                print(lines[-1], flush=True)
    lines += ["", "## DCGAN, batch 64, 64x64x3, 1024 base channels", "", *head("network", networks.CANDIDATES)]
    for name, mode, target in networks.CASES:
        lines.append(row(f"{name}, {mode}", take_turns(networks.steps(name, mode), 3 * options.seconds), target))
        print(lines[-1], flush=True)
    options.output.write_text("\n".join(lines) + "\n")


main()
