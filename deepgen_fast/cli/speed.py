"""Speed beside eager PyTorch, for the quickstart's table: candidates take turns in one process, medians are
shown.

A demonstration on the sizes just trained; the benchmark suite, with its floors and spreads, is in
benchmarks/.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

import deepgen_fast as dgf

_SHORTEST_TIMING = 2e-3  # seconds; shorter runs are repeated within one timing, above the clock's noise


class Comparison(NamedTuple):
    """Median seconds of one piece of work in eager PyTorch and in deepgen_fast."""

    name: str
    eager: float
    fused: float

    @property
    def ratio(self) -> float:
        """How many times faster deepgen_fast is; below 1 where it is slower."""
        return self.eager / self.fused


def compare(
    name: str, eager: Callable[[], object], fused: Callable[[], object], *, rounds: int, warmup: int = 2
) -> Comparison:
    """Time both in turns, so that a change of the machine's mood meets both alike."""
    timings: dict[Callable[[], object], list[float]] = {eager: [], fused: []}
    repeats = {}
    for candidate in timings:
        for _ in range(warmup):
            candidate()
        repeats[candidate] = max(1, math.ceil(_SHORTEST_TIMING / _time(candidate, 1)))
    for index in range(rounds):
        order = (eager, fused) if index % 2 == 0 else (fused, eager)
        for candidate in order:
            timings[candidate].append(_time(candidate, repeats[candidate]))
    return Comparison(name, statistics.median(timings[eager]), statistics.median(timings[fused]))


def _time(candidate: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        candidate()
    return (time.perf_counter() - start) / repeats


def compare_ops(batch: int, pixels: int, latent_dim: int, *, rounds: int) -> Iterator[Comparison]:
    """Forward and backward of the ops against the eager expressions they replace, float32 on the CPU."""
    generator = torch.Generator().manual_seed(0)

    def leaf(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).requires_grad_()

    mean, logvar = leaf(batch, latent_dim), leaf(batch, latent_dim)
    output = leaf(batch, pixels)
    target = torch.rand(batch, pixels, generator=generator)
    grad_z, grad_row = torch.randn(batch, latent_dim, generator=generator), torch.full((batch,), 1 / batch)

    def backward(values: tuple[Any, ...], inputs: tuple[Tensor, ...], *grads: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(values, inputs, grads or None)

    def eager_kl() -> Tensor:
        return -0.5 * (1 + logvar - mean.square() - logvar.exp()).sum(1)

    def eager_bernoulli() -> Tensor:
        return -F.binary_cross_entropy_with_logits(output, target, reduction="none").sum(1)

    def eager_gaussian() -> Tensor:
        return -0.5 * ((target - output).square() + math.log(2 * math.pi)).sum(1)

    def eager_sample() -> Tensor:
        return mean + torch.exp(0.5 * logvar) * torch.randn_like(logvar)

    shape, latents = f"[{batch}, {pixels}]", f"[{batch}, {latent_dim}]"
    pairs = (
        (
            f"reparameterize_kl {latents}",
            lambda: backward((eager_sample(), eager_kl()), (mean, logvar), grad_z, grad_row),
            lambda: backward(dgf.reparameterize_kl(mean, logvar), (mean, logvar), grad_z, grad_row),
        ),
        (
            f"bernoulli_log_likelihood {shape}",
            lambda: backward((eager_bernoulli(),), (output,), grad_row),
            lambda: backward((dgf.bernoulli_log_likelihood(output, target),), (output,), grad_row),
        ),
        (
            f"gaussian_log_likelihood {shape}",
            lambda: backward((eager_gaussian(),), (output,), grad_row),
            lambda: backward((dgf.gaussian_log_likelihood(output, target),), (output,), grad_row),
        ),
        (
            f"negative_elbo {shape}",
            lambda: backward(((eager_kl() - eager_bernoulli()).mean(),), (output, mean, logvar)),
            lambda: backward(
                (dgf.negative_elbo(output, target, mean, logvar, likelihood="bernoulli"),), (output, mean, logvar)
            ),
        ),
    )
    for name, eager, fused in pairs:
        yield compare(name, eager, fused, rounds=rounds)


def eager_epoch(x: Tensor, *, hidden_dim: int, latent_dim: int, batch_size: int) -> Callable[[], object]:
    """One epoch of the same VAE as a careful user writes it in plain PyTorch: in-memory batches and Adam.

    Args:
        x: `[N, D]` in [0, 1].
        hidden_dim, latent_dim, batch_size: as in the run beside it.
    """
    pixels = x.shape[1]
    encoder = torch.nn.Sequential(torch.nn.Linear(pixels, hidden_dim), torch.nn.ReLU())
    head = torch.nn.Linear(hidden_dim, 2 * latent_dim)
    decoder = torch.nn.Sequential(
        torch.nn.Linear(latent_dim, hidden_dim), torch.nn.ReLU(), torch.nn.Linear(hidden_dim, pixels)
    )
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters(), *decoder.parameters()], lr=1e-3)

    def epoch() -> None:
        total = 0.0
        for indices in torch.randperm(x.shape[0]).split(batch_size):
            batch = x[indices]
            mean, logvar = head(encoder(batch)).chunk(2, dim=1)
            z = mean + torch.exp(0.5 * logvar) * torch.randn_like(logvar)
            reconstruction = F.binary_cross_entropy_with_logits(decoder(z), batch, reduction="sum")
            kl = -0.5 * (1 + logvar - mean.square() - logvar.exp()).sum()
            loss = (reconstruction + kl) / batch.shape[0]
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.item()

    return epoch


def compare_epochs(images: Tensor, *, hidden_dim: int, latent_dim: int, batch_size: int, rounds: int) -> Comparison:
    """One epoch of training through VAETrainer, everything included, against `eager_epoch`.

    Args:
        images: `[N, *event]` in [0, 1]; gray values, as in most VAE code.
        hidden_dim, latent_dim, batch_size: of both.
        rounds: turns of each.
    """
    from deepgen_fast.models import two_layer_vae
    from deepgen_fast.training import VAETrainer

    flat = images.flatten(1)
    model = two_layer_vae((flat.shape[1],), hidden_dim, latent_dim)

    def fused() -> None:
        VAETrainer(model, epochs=1, batch_size=batch_size, device="cpu", progress="none").fit(flat)

    eager = eager_epoch(flat, hidden_dim=hidden_dim, latent_dim=latent_dim, batch_size=batch_size)
    name = f"epoch, {flat.shape[1]}-{hidden_dim}-{latent_dim}, batch {batch_size}"
    return compare(name, eager, fused, rounds=rounds, warmup=1)
