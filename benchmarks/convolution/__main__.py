"""Measures and writes the tables: ``python -m benchmarks.convolution [--seconds S] [--avx2] [--output FILE]``.

Candidates take turns within one run; medians, with 20 % and 80 %. GFLOP/s are the direct algorithm's operations over
the time, so that Winograd filtering can exceed what the processor does: a large product's rate stands beside.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.utils import benchmark

import deepgen_fast as dgf
from benchmarks import environment
from benchmarks.convolution import layers, memory, networks
from benchmarks.convolution.timing import quantile, take_turns

HERE = Path(__file__).parent
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "DEEPGEN_FAST_ISA": "avx2"}
AVX2_TARGET = 1.3


def row(
    name: str, times: list[list[float]], target: float, rivals: int, multiply_adds: float = 0.0, rate: float = 0.0
) -> str:
    """One line of a table.

    Args:
        rivals: how many of the first candidates the last one is compared with; the others stand for themselves.
        multiply_adds: of the direct algorithm.
        rate: GFLOP/s that bound it.
    """
    medians = [quantile(t, 0.5) for t in times]
    cells = [
        f"{median * 1e3:.1f} ms ({quantile(t, 0.2) * 1e3:.1f} to {quantile(t, 0.8) * 1e3:.1f})"
        + (f", {2 * multiply_adds / median / 1e9:.0f} GFLOP/s" if multiply_adds else "")
        for t, median in zip(times, medians, strict=True)
    ]
    if rate:
        cells.append(f"{2 * multiply_adds / rate / 1e6:.1f} ms")
    ratio = min(medians[:rivals]) / medians[-1]
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


def layer_lines(seconds: float, avx2: bool, rate: float) -> list[str]:
    columns = (*layers.CANDIDATES, "direct algorithm's limit")
    lines = ["## Layers, weights transformed at each call", "", *head("batch: layer, pass (algorithm)", columns)]
    rivals = len(layers.CANDIDATES) - 1
    for layer in layers.LAYERS:
        target = AVX2_TARGET if avx2 else layer.target
        for name, candidates in layers.steps(layer).items():
            with torch.no_grad():
                times = take_turns(candidates, seconds)
            lines.append(row(f"{layer}, {name}", times, target, rivals, layer.multiply_adds, rate))
            print(lines[-1], flush=True)
    return lines


def network_lines(seconds: float) -> list[str]:
    lines = ["", "## DCGAN, batch 64, 64x64x3, 1024 base channels", "", *head("network", networks.CANDIDATES)]
    over_bf16 = []
    for name, mode, target in networks.CASES:
        times = take_turns(networks.steps(name, mode), seconds)
        lines.append(row(f"{name}, {mode}", times, target, networks.RIVALS))
        print(lines[-1], flush=True)
        over_bf16.append(f"{name}, {mode} x{quantile(times[-2], 0.5) / quantile(times[-1], 0.5):.2f}")
    lines += ["", "In float32, over PyTorch under bf16 autocast (target x1): " + "; ".join(over_bf16) + "."]
    print(lines[-1])
    lines += [
        "",
        "## Peak memory, forward and backward",
        "",
        "| network | PyTorch | accelerate() | ratio (limit 1.3) |",
    ]
    lines.append("|---|---|---|---|")
    for name in ("generator", "discriminator"):
        plain, ours = memory.peaks(name)
        lines.append(f"| {name} | {plain / 2**20:.0f} MiB | {ours / 2**20:.0f} MiB | {ours / plain:.2f} |")
        print(lines[-1])
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="for each row")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--avx2", action="store_true", help="the layers, with oneDNN, PyTorch and us held to AVX2")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.avx2 and any(os.environ.get(name) != value for name, value in AVX2.items()):
        # Read when the libraries load.
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.convolution", *sys.argv[1:]], os.environ | AVX2)
    torch.set_num_threads(options.threads)
    processor = environment.environment(options.threads)["processor"]
    flag, rate = " --avx2" if options.avx2 else "", product_rate()
    lines = [
        f"# Convolutions{', held to AVX2' if options.avx2 else ''}",
        "",
        f"Written by `python -m benchmarks.convolution{flag}`: {processor}, {options.threads} threads, torch "
        f"{torch.__version__}, deepgen_fast {dgf.__version__}. Medians with 20 % and 80 %, candidates in turns. "
        "Speed-up over the best of PyTorch's two memory formats and `torch.compile` (of the channels-last one). "
        "GFLOP/s are the direct algorithm's operations over the time, so that Winograd filtering can exceed what the "
        f"processor does; a large matrix product reaches {rate:.0f}, which is the direct algorithm's limit.",
        "",
        *layer_lines(options.seconds, options.avx2, rate),
    ]
    if not options.avx2:
        lines += network_lines(3 * options.seconds)
    name = "CONVOLUTIONS_AVX2.md" if options.avx2 else "CONVOLUTIONS.md"
    (options.output or HERE.parent / name).write_text("\n".join(lines) + "\n")


main()
