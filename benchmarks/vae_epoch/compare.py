"""Epochs of training, the candidates in turns."""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks.floors import matmul_rate, median_seconds
from benchmarks.results import EpochResult, Spread
from benchmarks.vae_epoch.candidates import BATCH, CANDIDATES, HIDDEN, LATENTS, load, unavailable
from benchmarks.vae_epoch.run import Outcome, run

TIMED = tuple(name for name in CANDIDATES if name != "VAETrainer, eager ops")


def compare_epochs(
    *, rounds: int, epochs: int, threads: int, validation: bool, log: Callable[[str], None]
) -> list[EpochResult]:
    """Median epoch of every candidate over ``rounds`` fresh processes each, in turns."""
    results, outcomes = {}, {}
    for name in TIMED:
        results[name] = EpochResult(
            candidate=name, precision=CANDIDATES[name].precision, validation=validation, skipped=unavailable(name)
        )
        if results[name].skipped is None:
            outcomes[name] = list[Outcome]()
    for turn in range(rounds):
        for name, done in outcomes.items():
            done.append(run(name, epochs=epochs, threads=threads, validation=validation))
            log(f"epoch, turn {turn + 1}/{rounds}: {name} {done[-1].seconds:.3f} s")
    for name, done in outcomes.items():
        results[name].seconds = Spread.of([outcome.seconds for outcome in done])
        results[name].peak_bytes = max((outcome.peak_bytes for outcome in done if outcome.peak_bytes), default=None)
    return list(results.values())


def epoch_floors(threads: int) -> dict[str, float]:
    """Seconds an epoch of training needs for its matrix products, and for Adam's pass over the weights."""
    torch.set_num_threads(threads)
    examples, pixels = len(load(False).train), 784
    weights = pixels * HIDDEN + HIDDEN * 2 * LATENTS + LATENTS * HIDDEN + HIDDEN * pixels
    steps = -(-examples // BATCH)
    # Forward, gradient of the weights, gradient of the input (which the first layer does without).
    operations = 2 * examples * (3 * weights - pixels * HIDDEN)
    # Adam reads weight, gradient and two moments, and writes all but the gradient.
    source, sink = torch.zeros(7 * weights // 2), torch.zeros(7 * weights // 2)
    return {
        "products, float32": operations / matmul_rate(),
        "products, bf16": operations / matmul_rate(torch.bfloat16),
        "Adam's traffic": steps * median_seconds(lambda: sink.copy_(source)),
    }
