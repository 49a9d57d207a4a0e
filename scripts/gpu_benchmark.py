"""Times the operators, forward and backward, on a CUDA device against eager PyTorch and torch.compile.

    python scripts/gpu_benchmark.py [--output benchmarks.json]

Candidates take turns within one run. Each figure is the median over device events, with the 20th and 80th
percentile; inputs rotate over copies that together exceed the L2 cache, so that memory is what is measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import deepgen_fast as dgf

LATENT_SHAPES = ((128, 32), (128, 512), (4096, 512), (65536, 128))
PIXEL_SHAPES = ((128, 784), (512, 784), (4096, 784), (64, 12288), (1024, 12288), (65536, 784))
LATENT_DIM = 32  # beside the pixels, in the whole loss
REPEATS = 30


def eager_reparameterize(mean: Tensor, logvar: Tensor) -> Tensor:
    std = torch.exp(0.5 * logvar)
    z = mean + std * torch.randn_like(std)
    return z.sum() + (-0.5 * (1 + logvar - mean.square() - logvar.exp()).sum(1)).sum()


def eager_bernoulli(logits: Tensor, target: Tensor) -> Tensor:
    return -F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(1).sum()


def eager_gaussian(mean: Tensor, target: Tensor) -> Tensor:
    return -0.5 * ((target - mean).square() + 1.8378770664093453).sum(1).sum()


def eager_loss(logits: Tensor, target: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
    reconstruction = F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(1)
    return (reconstruction - 0.5 * (1 + logvar - mean.square() - logvar.exp()).sum(1)).mean()


def fused_loss(backend: str) -> Callable[..., Tensor]:
    return lambda *tensors: dgf.negative_elbo(*tensors, backend=backend)


def fused_reparameterize(backend: str) -> Callable[..., Tensor]:
    def run(mean: Tensor, logvar: Tensor) -> Tensor:
        z, kl = dgf.reparameterize_kl(mean, logvar, backend=backend)
        return z.sum() + kl.sum()

    return run


def fused_likelihood(op: Callable[..., Tensor], backend: str) -> Callable[..., Tensor]:
    return lambda output, target: op(output, target, backend=backend).sum()


def microseconds(call: Callable[[], None]) -> float:
    """Device time of one call."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) * 1e3


def copy_bandwidth() -> float:
    """Bytes a microsecond that a large copy moves, read and written."""
    source = torch.randn(1 << 28, device="cuda")
    destination = torch.empty_like(source)
    times = [microseconds(lambda: destination.copy_(source)) for _ in range(10)]
    return 2 * source.numel() * 4 / statistics.median(times[2:])


def measure(
    candidates: dict[str, Callable[..., Tensor]], make: Callable[[], list[Tensor]], copies: int
) -> dict[str, list[float]]:
    """Forward and backward of each candidate, by turns, over rotating inputs."""
    inputs = [make() for _ in range(copies)]
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for repeat in range(REPEATS + 5):
        for name, candidate in candidates.items():
            arguments = inputs[repeat % copies]
            for argument in arguments:
                argument.grad = None
            elapsed = microseconds(lambda c=candidate, a=arguments: c(*a).backward())  # type: ignore[misc]
            if repeat >= 5:  # the first ones compile and allocate
                times[name].append(elapsed)
    return times


def rows() -> list[dict[str, Any]]:
    """One row a shape and operator."""
    bandwidth = copy_bandwidth()
    operators: list[tuple[str, Any, Any, tuple[tuple[int, int], ...], int, bool]] = [
        # name, eager, fused, shapes, float32 arrays that must move (forward and backward), target without gradient
        ("reparameterize_kl", eager_reparameterize, fused_reparameterize, LATENT_SHAPES, 8, False),
        ("negative_elbo", eager_loss, fused_loss, PIXEL_SHAPES, 3, True),
        ("bernoulli_log_likelihood", eager_bernoulli,
         lambda b: fused_likelihood(dgf.bernoulli_log_likelihood, b), PIXEL_SHAPES, 5, True),
        ("gaussian_log_likelihood", eager_gaussian,
         lambda b: fused_likelihood(dgf.gaussian_log_likelihood, b), PIXEL_SHAPES, 5, True),
    ]  # fmt: skip
    table = []
    for name, eager, fused, shapes, arrays, has_target in operators:
        candidates = {"eager": eager, "compile": torch.compile(eager), "cuda": fused("cuda"), "triton": fused("triton")}
        for shape in shapes:
            size = shape[0] * shape[1] * 4

            def make(
                shape: tuple[int, int] = shape, has_target: bool = has_target, latents: bool = fused is fused_loss
            ) -> list[Tensor]:
                first = torch.randn(shape, device="cuda", requires_grad=True)
                second = torch.rand(shape, device="cuda", requires_grad=not has_target)
                posterior = torch.randn(2, shape[0], LATENT_DIM, device="cuda").unbind() if latents else ()
                return [first, second, *(t.clone().requires_grad_() for t in posterior)]

            copies = max(1, min(64, (256 << 20) // (2 * size)))
            times = measure(candidates, make, copies)
            row: dict[str, Any] = {"operator": name, "shape": list(shape)}
            for candidate, values in times.items():
                low, median, high = statistics.quantiles(values, n=10)[1::3]
                row[candidate] = f"{median:.1f} ({low:.1f} to {high:.1f})"
            best = min(statistics.median(times["eager"]), statistics.median(times["compile"]))
            row["floor"] = round(arrays * size / bandwidth, 1)
            row["times faster"] = round(best / statistics.median(times["cuda"]), 2)
            table.append(row)
            print(row, flush=True)
    return table


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--output", type=Path, help="JSON file for the rows")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("gpu_benchmark: no CUDA device is available")
    table = rows()
    if options.output:
        options.output.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
