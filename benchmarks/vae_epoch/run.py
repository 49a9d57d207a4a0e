"""One training in a process of its own: ``python -m benchmarks.vae_epoch.run "eager loop" --epochs 3``."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Outcome:
    """Seconds an epoch (all but the first, to the end of training), test ELBO in nats, and the bytes of memory that
    training added to the process at its peak, imports included; None where the system does not say.
    """

    seconds: float
    peak_bytes: int | None
    elbo: float


def _resident(field: str) -> int | None:
    """Bytes of VmRSS (now) or VmHWM (at the peak), Linux."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), None)


def _forget_peak() -> int | None:
    """Begin VmHWM anew; returns the bytes resident now, None where that cannot be done."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return _resident("VmRSS")


def run_here(name: str, *, epochs: int, threads: int, validation: bool, seed: int) -> Outcome:
    """Train and evaluate in this process."""
    from benchmarks.vae_epoch.candidates import CANDIDATES, load
    from deepgen_fast.metrics import evaluate_elbo

    torch.set_num_threads(threads)
    data = load(validation)
    candidate = CANDIDATES[name]
    before = _forget_peak()
    trained = candidate.train(data, epochs, seed, **candidate.options)
    peak = _resident("VmHWM")
    added = None if before is None or peak is None else peak - before
    elbo = evaluate_elbo(trained.model, data.test, num_samples=16).elbo
    return Outcome((trained.ended - trained.epoch_starts[1]) / (epochs - 1), added, elbo)


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
