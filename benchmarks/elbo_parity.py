"""Test ELBO on held-out digits: the fused operators against eager ones, and VAETrainer against other trainers.

Run: ``python -m benchmarks.elbo_parity [--epochs 15]``. The same seeds for every candidate; equal means that the
averages differ by no more than the seeds of one candidate do.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from rich.console import Console

from benchmarks.results import ParityResult
from benchmarks.tables import parity_table
from benchmarks.vae_epoch.candidates import unavailable
from benchmarks.vae_epoch.run import run

CANDIDATES = ("VAETrainer", "VAETrainer, eager ops", "eager loop", "pythae", "VAETrainer, bf16")
SEEDS = (0, 1, 2)


def compare_elbos(*, epochs: int, threads: int, log: Callable[[str], None]) -> list[ParityResult]:
    """Train every candidate from every seed and evaluate on the 500 test digits."""
    results = []
    for name in CANDIDATES:
        result = ParityResult(candidate=name, seeds=list(SEEDS), skipped=unavailable(name))
        for seed in SEEDS if result.skipped is None else ():
            elbo = run(name, epochs=epochs, threads=threads, validation=False, seed=seed).elbo
            result.elbos.append(elbo)
            log(f"test ELBO, seed {seed}: {name} {elbo:.2f}")
        results.append(result)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    console = Console()
    results = compare_elbos(epochs=options.epochs, threads=options.threads, log=console.print)
    console.print(parity_table(results))


if __name__ == "__main__":
    main()
