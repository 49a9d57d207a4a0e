"""The public operators on emulated CUDA kernels: what ``backend="cpu"`` runs while this is in force."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import torch

from deepgen_fast.ops.launchers import launchers
from simt import build

OPERATORS = ("reparameterize_kl", "bernoulli_log_likelihood", "gaussian_log_likelihood", "negative_elbo",
             "minibatch_discrimination")  # fmt: skip


@contextlib.contextmanager
def emulated_in_place_of_cpu() -> Iterator[None]:
    """Eager calls only: torch.compile traces the product's own operators."""
    build.load()

    def choose(op: str, backend: str) -> Any:
        return torch.ops.deepgen_fast_simt if backend == "cpu" else launchers(op, backend)

    modules = [import_module(f"deepgen_fast.ops.{name}.autograd") for name in OPERATORS]
    try:
        for module in modules:
            module.launchers = choose  # type: ignore[attr-defined]
        yield
    finally:
        for module in modules:
            module.launchers = launchers  # type: ignore[attr-defined]
