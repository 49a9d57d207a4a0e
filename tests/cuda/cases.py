"""Calls of every launcher, with the same call of the reference in float64 (truth) and in the inputs' type (eager)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cuda.kernels import Kernels
from deepgen_fast import random
from deepgen_fast.ops.bernoulli_log_likelihood import reference as bernoulli
from deepgen_fast.ops.gaussian_log_likelihood import reference as gaussian
from deepgen_fast.ops.minibatch_discrimination import reference as minibatch_discrimination
from deepgen_fast.ops.negative_elbo import reference as negative_elbo
from deepgen_fast.ops.reparameterize_kl import reference as reparameterize_kl
from deepgen_fast.ops.rows import accumulation_dtype

REFERENCES = (bernoulli, gaussian, reparameterize_kl, negative_elbo, minibatch_discrimination, random)
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
# (samples, batch, columns): one element, a part of a pack, several rows a warp, a prime, a row over two warps,
# MNIST, a row over a block, rows over several segments with a ragged end.
SHAPES = (
    (None, 1, 1), (None, 5, 2), (3, 2, 8), (None, 7, 32), (2, 3, 131), (None, 2, 264), (None, 3, 784), (2, 1, 1153),
    (None, 2, 4096 + 52),
)  # fmt: skip
EMPTY_SHAPES = ((None, 0, 8), (2, 0, 8), (None, 3, 0))


class Call(NamedTuple):
    op: str
    args: tuple[Any, ...]

    def reference(self, wide: bool) -> list[Tensor]:
        """The reference's results, from inputs in float64 if ``wide``."""
        function = next(getattr(module, self.op) for module in REFERENCES if hasattr(module, self.op))
        results = function(*(_widen(arg) if wide else arg for arg in self.args))
        return list(results) if isinstance(results, tuple) else [results]

    def run(self, kernels: Kernels, misaligned: bool = False) -> list[Tensor]:
        return kernels(self.op, *self.args, misaligned=misaligned)


def _widen(arg: Any) -> Any:
    return arg.double() if isinstance(arg, Tensor) and arg.is_floating_point() else arg


def _leading(samples: int | None, batch: int) -> tuple[int, ...]:
    return (batch,) if samples is None else (samples, batch)


def _targets(batch: int, columns: int, dtype: torch.dtype) -> Iterator[Tensor]:
    pixels = torch.rand(batch, columns)
    yield pixels.to(dtype)
    yield pixels
    yield (pixels > 0.5).to(torch.uint8)
    yield pixels > 0.5


def likelihood_calls(samples: int | None, batch: int, columns: int, dtype: torch.dtype) -> Iterator[Call]:
    """Both likelihoods and their backwards, with every kind of target, mask and log-variance between them."""
    leading = _leading(samples, batch)
    output = torch.randn(*leading, columns).to(dtype)
    logvars = (
        None, torch.tensor(0.3, dtype=dtype), torch.randn(columns).to(dtype) * 0.5,
        torch.randn(batch, columns).to(dtype) * 0.5, torch.randn(*leading, columns).to(dtype) * 0.5,
    )  # fmt: skip
    masks = (None, torch.rand(columns) > 0.2, torch.rand(batch, columns) > 0.2, torch.rand(*leading, columns) > 0.2)
    for index, target in enumerate(_targets(batch, columns, dtype)):
        elementwise, mask = index % 2 == 1, masks[index]
        shape = (*leading, columns) if elementwise else leading
        grad = torch.randn(shape).to(accumulation_dtype(dtype))
        yield Call("bernoulli_log_likelihood", (output, target, mask, elementwise))
        yield Call("bernoulli_log_likelihood_backward", (grad, output, target, mask, elementwise, True, True))
        for logvar in (logvars[index], logvars[index + 1]):
            yield Call("gaussian_log_likelihood", (output, target, logvar, mask, elementwise))
            needs = (True, index != 1, logvar is not None)
            yield Call("gaussian_log_likelihood_backward", (grad, output, target, logvar, mask, elementwise, *needs))


def posterior_calls(samples: int | None, batch: int, columns: int, dtype: torch.dtype) -> Iterator[Call]:
    """reparameterize_kl and its backward: scale forms, priors, noise given and generated."""
    mean, scale = torch.randn(batch, columns).to(dtype), (torch.rand(batch, columns) + 0.3).to(dtype)
    z_shape = (*_leading(samples, batch), columns)
    noise, grad_z = torch.randn(z_shape).to(dtype), torch.randn(z_shape).to(dtype)
    shared, own = torch.randn(columns).to(dtype), torch.randn(batch, columns).to(dtype) * 0.5
    seed = torch.tensor(-(2**62) + 12345)
    for kind, priors in enumerate([(None, None), (shared, own), (None, shared)]):
        elementwise = kind == 1
        source = (noise, None) if kind == 2 else (None, seed)
        grad_kl = torch.randn((batch, columns) if elementwise else (batch,)).to(accumulation_dtype(dtype))
        yield Call("reparameterize_kl", (mean, scale, *priors, *source, samples, kind, elementwise))
        for grads in ((grad_z, grad_kl), (None, grad_kl), (grad_z, None))[: 3 if kind else 1]:
            common = (mean, scale, *priors, *source, samples, kind, elementwise)
            yield Call("reparameterize_kl_backward", (*grads, *common, kind > 0))


def loss_calls(samples: int | None, batch: int, columns: int, dtype: torch.dtype) -> Iterator[Call]:
    """negative_elbo: both likelihoods, every shape of log-variance, free bits, with and without gradients."""
    leading = _leading(samples, batch)
    output, target = torch.randn(*leading, columns).to(dtype), torch.rand(batch, columns) > 0.5
    mean, scale = torch.randn(batch, 20).to(dtype), (torch.rand(batch, 20) + 0.3).to(dtype)
    prior = torch.randn(20).to(dtype)
    logvars = (
        None, torch.full((1,), 0.3, dtype=dtype), torch.randn(columns).to(dtype) * 0.5,
        torch.randn(batch, columns).to(dtype) * 0.5, torch.randn(*leading, columns).to(dtype) * 0.5,
    )  # fmt: skip
    for index, logvar in enumerate(logvars):
        mask = None if index % 2 else torch.rand(batch, columns) > 0.2
        free_bits = 0.6 if index in (1, 2) else 0.0
        likelihood, kind = min(index, 1), index % 3
        priors = (prior, prior) if index == 3 else (None, None)
        tail = (0.7, free_bits, likelihood, kind, index not in (1, 4))
        for need_gradients in (True, False)[: 2 if index < 2 else 1]:
            incoming = torch.tensor(-3.7, dtype=accumulation_dtype(dtype)) if index % 2 else None
            arguments = (output, target, logvar, mask, mean, scale, *priors, *tail, need_gradients, incoming)
            yield Call("negative_elbo", arguments)


def noise_calls(samples: int | None, batch: int, columns: int) -> Iterator[Call]:
    """philox_normal."""
    seed = torch.tensor(0x0123456789ABCDEF)
    yield Call("philox_normal", (seed, (*_leading(samples, batch), columns), samples is not None))


# (batch, kernels, dims): one pair, one turn of 8 dimensions, several tiles of all, one turn of 16, several turns.
MINIBATCH_SHAPES = ((1, 1, 1), (7, 3, 8), (45, 9, 3), (18, 5, 16), (35, 2, 37), (6, 3, 0))


def minibatch_calls(batch: int, kernels: int, dims: int, dtype: torch.dtype) -> Iterator[Call]:
    """minibatch_discrimination and its backward, with and without an example itself."""
    features = (torch.randn(batch, kernels, dims) / max(dims, 1)).to(dtype)
    grad = torch.randn(batch, kernels).to(accumulation_dtype(dtype))
    for include_self in (False, True):
        yield Call("minibatch_discrimination", (features, include_self))
        yield Call("minibatch_discrimination_backward", (grad, features, include_self))


def all_calls(samples: int | None, batch: int, columns: int, dtype: torch.dtype) -> Iterator[Call]:
    """Every call above."""
    yield from likelihood_calls(samples, batch, columns, dtype)
    yield from posterior_calls(samples, batch, columns, dtype)
    yield from loss_calls(samples, batch, columns, dtype)
    yield from noise_calls(samples, batch, columns)
