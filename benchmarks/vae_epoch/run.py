"""One training in a process of its own: ``python -m benchmarks.vae_epoch.run "eager loop" --epochs 3``."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass

import torch


@dataclass(frozen=True)
class Outcome:
    """Seconds an epoch (all but the first, to the end of training), peak resident bytes, test ELBO in nats."""

    seconds: float
    peak_bytes: int
    elbo: float


def run_here(name: str, *, epochs: int, threads: int, validation: bool, seed: int) -> Outcome:
    """Train and evaluate in this process."""
    from benchmarks.vae_epoch.candidates import CANDIDATES, load
    from deepgen_fast.metrics import evaluate_elbo

    torch.set_num_threads(threads)
    data = load(validation)
    candidate = CANDIDATES[name]
    trained = candidate.train(data, epochs, seed, **candidate.options)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    elbo = evaluate_elbo(trained.model, data.test, num_samples=16).elbo
    return Outcome((trained.ended - trained.epoch_starts[1]) / (epochs - 1), peak, elbo)


def run(name: str, *, epochs: int, threads: int, validation: bool, seed: int = 0) -> Outcome:
    """Train and evaluate in a fresh process; progress bars are drawn as on a terminal, and thrown away.

    Raises:
        RuntimeError: with the end of its messages, when it fails.
    """
    command = [sys.executable, "-m", __name__, name, f"--epochs={epochs}", f"--threads={threads}", f"--seed={seed}"]
    done = subprocess.run(
        command + ["--validation"] * validation,
        capture_output=True,
        text=True,
        env={**os.environ, "TTY_COMPATIBLE": "1"},
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{name} failed:\n{done.stderr[-2000:]}")
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("candidate")
    parser.add_argument("--epochs", type=int, default=20, help="at least 2: the first is not counted")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validation", action="store_true", help="validate after every epoch")
    options = parser.parse_args()
    outcome = run_here(
        options.candidate,
        epochs=options.epochs,
        threads=options.threads,
        validation=options.validation,
        seed=options.seed,
    )
    print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
