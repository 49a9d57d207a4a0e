"""The C++ operators themselves, below the public functions: a valid call of each, with every optional argument."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from deepgen_fast import backends
from deepgen_fast.ops.launchers import launchers

ROWS, COLUMNS, SAMPLES = 4, 6, 2

OPERATORS = ("reparameterize_kl", "bernoulli_log_likelihood", "gaussian_log_likelihood", "negative_elbo")
if backends.unavailable("cpu") is None:  # the fake kernels come with the launchers
    for _name in OPERATORS:
        launchers(_name, "cpu")


@dataclass(frozen=True, eq=False)
class RawCall:
    name: str
    label: str
    make: Callable[[torch.dtype], tuple[Any, ...]]

    def __str__(self) -> str:
        return f"{self.name}-{self.label}"

    @property
    def operator(self) -> Any:
        return getattr(torch.ops.deepgen_fast, self.name).default

    def arguments(self, dtype: torch.dtype) -> tuple[Any, ...]:
        return self.make(dtype)


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _rows(dtype: torch.dtype, *leading: int) -> torch.Tensor:
    return torch.rand(*leading, ROWS, COLUMNS).to(dtype)


def _mask() -> torch.Tensor:
    return torch.rand(ROWS, COLUMNS) > 0.3


def _posterior(dtype: torch.dtype, full: bool) -> tuple[Any, ...]:
    """mean, scale, priors, noise, seed, num_samples, scale_kind, elementwise_kl"""
    if full:
        return (_rows(dtype), _rows(dtype), torch.rand(COLUMNS).to(dtype), _rows(dtype), _rows(dtype, SAMPLES), None,
                SAMPLES, 2, True)  # fmt: skip
    return _rows(dtype), _rows(dtype), None, None, None, torch.tensor(123), None, 0, False


def _posterior_backward(dtype: torch.dtype, full: bool) -> tuple[Any, ...]:
    if full:
        grads = _rows(dtype, SAMPLES), _rows(_wide(dtype))
    else:
        grads = _rows(dtype), torch.rand(ROWS, dtype=_wide(dtype))
    return *grads, *_posterior(dtype, full), full


def _loss(dtype: torch.dtype, full: bool) -> tuple[Any, ...]:
    latents = torch.rand(2, ROWS, 3).to(dtype)
    if full:
        priors = torch.rand(2, 3).to(dtype)
        return (_rows(dtype, SAMPLES), _rows(dtype), _rows(dtype, SAMPLES), _mask(), *latents, *priors, 0.5, 0.1, 1, 1,
                False, True)  # fmt: skip
    return _rows(dtype), _mask(), None, None, *latents, None, None, 1.0, 0.0, 0, 0, True, True


RAW_CALLS = (
    RawCall("reparameterize_kl", "seed", lambda d: _posterior(d, False)),
    RawCall("reparameterize_kl", "noise", lambda d: _posterior(d, True)),
    RawCall("reparameterize_kl_backward", "seed", lambda d: _posterior_backward(d, False)),
    RawCall("reparameterize_kl_backward", "noise", lambda d: _posterior_backward(d, True)),
    RawCall("bernoulli_log_likelihood", "rows", lambda d: (_rows(d, SAMPLES), _rows(d), _mask(), False)),
    RawCall("bernoulli_log_likelihood", "elements", lambda d: (_rows(d), _mask(), None, True)),
    RawCall(
        "bernoulli_log_likelihood_backward",
        "rows",
        lambda d: (torch.rand(SAMPLES, ROWS, dtype=_wide(d)), _rows(d, SAMPLES), _rows(d), _mask(), False, True, True),
    ),
    RawCall("gaussian_log_likelihood", "shared", lambda d: (_rows(d), _rows(d), torch.rand(1).to(d), None, False)),
    RawCall("gaussian_log_likelihood", "elements", lambda d: (_rows(d), _rows(d), _rows(d), _mask(), True)),
    RawCall(
        "gaussian_log_likelihood_backward",
        "shared",
        lambda d: (
            torch.rand(ROWS, dtype=_wide(d)),
            _rows(d),
            _rows(d),
            torch.rand(1).to(d),
            None,
            False,
            True,
            True,
            True,
        ),
    ),
    RawCall(
        "gaussian_log_likelihood_backward",
        "elements",
        lambda d: (_rows(_wide(d)), _rows(d), _rows(d), _rows(d), _mask(), True, True, False, True),
    ),
    RawCall("negative_elbo", "bernoulli", lambda d: _loss(d, False)),
    RawCall("negative_elbo", "gaussian", lambda d: _loss(d, True)),
    RawCall("philox_normal", "samples", lambda d: (torch.tensor(5), [2, 3, 7], True)),
)
