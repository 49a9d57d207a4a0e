"""The launches whose machine code is budgeted: what training in practice uses, and each path of the kernels once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from deepgen_fast.ops.bernoulli_log_likelihood import triton as bernoulli
from deepgen_fast.ops.gaussian_log_likelihood import triton as gaussian
from deepgen_fast.ops.negative_elbo import triton as elbo
from deepgen_fast.ops.reparameterize_kl import triton as posterior

F32, F64, BF16, U8, BOOL = torch.float32, torch.float64, torch.bfloat16, torch.uint8, torch.bool
LOGVAR, STD, PRE_SOFTPLUS = 0, 1, 2
BERNOULLI, GAUSSIAN = 0, 1

CASES: dict[str, Callable[[], Any]] = {}
# Compiled in the default test run; the rest by `make triton-budget`.
QUICK = ("reparameterize_kl forward float32 4096x512", "bernoulli backward float32 128x784")


def _meta(*shape: int, dtype: torch.dtype = F32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def _posterior(name: str, rows: int, columns: int, dtype=F32, samples=None, kind=LOGVAR, prior=False, noise=False):
    mean, seed = _meta(rows, columns, dtype=dtype), _meta(dtype=torch.int64)
    wide = torch.float64 if dtype == F64 else F32
    z = mean if samples is None else _meta(samples, rows, columns, dtype=dtype)
    source = (z, None) if noise else (None, seed)
    arguments = (mean, mean, *((mean[0], mean) if prior else (None, None)), *source, samples, kind, False)
    CASES[f"reparameterize_kl forward {name} {rows}x{columns}"] = lambda: posterior.reparameterize_kl(*arguments)
    CASES[f"reparameterize_kl backward {name} {rows}x{columns}"] = lambda: posterior.reparameterize_kl_backward(
        z, _meta(rows, dtype=wide), *arguments, prior
    )


def _bernoulli(name: str, rows: int, columns: int, dtype=F32, target=F32, samples=None, mask=False):
    logits = _meta(*(() if samples is None else (samples,)), rows, columns, dtype=dtype)
    keep = _meta(rows, columns, dtype=BOOL) if mask else None
    arguments = (logits, _meta(rows, columns, dtype=target), keep, False)
    grad = _meta(*logits.shape[:-1], dtype=torch.float64 if dtype == F64 else F32)
    CASES[f"bernoulli forward {name} {rows}x{columns}"] = lambda: bernoulli.bernoulli_log_likelihood(*arguments)
    CASES[f"bernoulli backward {name} {rows}x{columns}"] = lambda: bernoulli.bernoulli_log_likelihood_backward(
        grad, *arguments, True, False
    )


def _gaussian(name: str, rows: int, columns: int, logvar: Tensor | None, dtype=F32):
    mean = _meta(rows, columns, dtype=dtype)
    arguments, learned = (mean, mean, logvar, None, False), logvar is not None
    CASES[f"gaussian forward {name} {rows}x{columns}"] = lambda: gaussian.gaussian_log_likelihood(*arguments)
    CASES[f"gaussian backward {name} {rows}x{columns}"] = lambda: gaussian.gaussian_log_likelihood_backward(
        _meta(rows), *arguments, True, False, learned
    )


def _elbo(name: str, rows: int, columns: int, latents: int, dtype=F32, target=F32, likelihood=BERNOULLI, free=0.0):
    output, mean = _meta(rows, columns, dtype=dtype), _meta(rows, latents, dtype=dtype)
    pixels = _meta(rows, columns, dtype=target)
    CASES[f"negative_elbo {name} {rows}x{columns}"] = lambda: elbo.negative_elbo(
        output, pixels, None, None, mean, mean, None, None, 1.0, free, likelihood, LOGVAR, True, True
    )


_posterior("float32", 128, 32)
_posterior("float32", 4096, 512)
_posterior("float32", 64, 12288)
_posterior("float32 unaligned", 128, 33)
_posterior("float32 5 samples", 4096, 512, samples=5)
_posterior("float32 softplus, prior, given noise", 4096, 512, kind=PRE_SOFTPLUS, prior=True, noise=True)
_posterior("float32 std", 4096, 512, kind=STD)
_posterior("float32 beyond 31 bits", 2**20, 4096)
_posterior("bfloat16", 4096, 512, dtype=BF16)
_posterior("float64", 4096, 512, dtype=F64)
_bernoulli("float32", 128, 784)
_bernoulli("float32", 64, 12288)
_bernoulli("float32 mask", 512, 784, mask=True)
_bernoulli("float32 8 samples", 4096, 784, samples=8)
_bernoulli("bfloat16, uint8 target", 512, 784, dtype=BF16, target=U8)
_bernoulli("float32, bool target", 512, 784, target=BOOL)
_gaussian("float32", 512, 784, _meta(512, 784))
_gaussian("float32 unit variance", 512, 784, None)
_gaussian("float32 shared variance", 64, 12288, _meta())
_gaussian("bfloat16", 512, 784, _meta(512, 784, dtype=BF16), dtype=BF16)
_elbo("bernoulli float32", 128, 784, 32)
_elbo("bernoulli float32, free bits", 512, 784, 32, free=0.1)
_elbo("gaussian bfloat16", 512, 784, 32, dtype=BF16, target=BF16, likelihood=GAUSSIAN)
