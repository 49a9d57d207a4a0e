"""The C++ operators themselves, below the public functions: a valid call of each, with every optional argument."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from deepgen_fast import backends
from deepgen_fast.ops.launchers import launchers

ROWS, COLUMNS, SAMPLES = 4, 6, 2

OPERATORS = ("reparameterize_kl", "bernoulli_log_likelihood", "gaussian_log_likelihood", "negative_elbo",
             "minibatch_discrimination", "convolution", "batch_norm_act")  # fmt: skip
if backends.unavailable("cpu") is None:  # the fake kernels come with the launchers
    for _name in OPERATORS:
        launchers(_name, "cpu")


DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


@dataclass(frozen=True, eq=False)
class RawCall:
    name: str
    label: str
    make: Callable[[torch.dtype], tuple[Any, ...]]
    dtypes: tuple[torch.dtype, ...] = DTYPES
    any_size: bool = False  # one tensor, which nothing has to fit

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
                False, True, torch.tensor(2.5, dtype=_wide(dtype)))  # fmt: skip
    return _rows(dtype), _mask(), None, None, *latents, None, None, 1.0, 0.0, 0, 0, True, True, None


def _minibatch(dtype: torch.dtype) -> torch.Tensor:
    """Features whose sums are [ROWS, COLUMNS]."""
    return torch.rand(ROWS, COLUMNS, 3).to(dtype)


SMALL, LARGE = (2, 5, 3, 4), (2, 3, 6, 8)  # of the images that a convolution relates
ENGINE_DTYPES = DTYPES[:3]


def _image(size: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    return torch.rand(size).to(dtype)


def _weight(dtype: torch.dtype) -> torch.Tensor:
    return torch.rand(SMALL[1], LARGE[1], 4, 4).to(dtype)


def _channels(count: int, size: tuple[int, ...], dtype: torch.dtype) -> list[torch.Tensor]:
    return [torch.rand(size[1], dtype=_wide(dtype)) + 0.5 for _ in range(count)]


def _normalized(dtype: torch.dtype) -> tuple[Any, ...]:
    """input, mean, invstd, weight, bias, activation, negative_slope"""
    return _image(LARGE, dtype), *_channels(4, LARGE, dtype), 2, 0.2


def _transposed(dtype: torch.dtype) -> tuple[Any, ...]:
    """input, weight, scale, shift, stride, padding, output paddings, activation, negative_slope"""
    return _image(SMALL, dtype), _weight(dtype), *_channels(2, LARGE, dtype), 2, 1, 1, 0, 3, 0.2


def _convolved(dtype: torch.dtype) -> tuple[Any, ...]:
    return _image(LARGE, dtype), _weight(dtype), *_channels(2, SMALL, dtype), 2, 1, 4, 0.2


def _with_statistics(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return *arguments[:-2], 0, 0.0, True


def _moments(dtype: torch.dtype) -> tuple[Any, ...]:
    """statistics, count, wide, running_mean, running_var, momentum, eps"""
    wide = _wide(dtype)
    statistics = torch.rand(2, LARGE[1], dtype=torch.float64)
    return statistics, 8, wide == torch.float64, *(torch.rand(LARGE[1], dtype=wide) for _ in range(2)), 0.1, 1e-5


CONVOLUTION_CALLS = (
    RawCall("conv_transpose2d", "activation", lambda d: (*_transposed(d), False), ENGINE_DTYPES),
    RawCall("conv_transpose2d", "statistics", lambda d: _with_statistics(_transposed(d)), ENGINE_DTYPES),
    RawCall("conv2d", "activation", lambda d: (*_convolved(d), False), ENGINE_DTYPES),
    RawCall("conv2d", "statistics", lambda d: _with_statistics(_convolved(d)), ENGINE_DTYPES),
    RawCall("conv2d_weight_gradient", "k4", lambda d: (_image(SMALL, d), _image(LARGE, d), 4, 2, 1), ENGINE_DTYPES),
    RawCall("in_format", "channels-last", lambda d: (_image(LARGE, d), True), any_size=True),
    RawCall("few_channels_conv_transpose2d", "tanh", _transposed),
    RawCall("few_channels_conv2d", "sigmoid", _convolved),
    RawCall("few_channels_weight_gradient", "k4", lambda d: (_image(SMALL, d), _image(LARGE, d), 4, 2, 1)),
    RawCall("batch_norm_act", "leaky_relu", _normalized),
    RawCall("batch_norm_act_", "tanh", lambda d: (*_normalized(d)[:-2], 3, 0.2)),
    RawCall("batch_norm_moments", "running", _moments),
    RawCall("batch_norm_act_backward", "training", lambda d: (_image(LARGE, d), *_normalized(d), True, True, True)),
    RawCall("batch_norm_act_backward", "running", lambda d: (_image(LARGE, d), *_normalized(d), False, True, True)),
)

RAW_CALLS = (
    *CONVOLUTION_CALLS,
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
    RawCall("minibatch_discrimination", "others", lambda d: (_minibatch(d), False), any_size=True),
    RawCall("minibatch_discrimination_backward", "self", lambda d: (_rows(_wide(d)), _minibatch(d), True)),
    RawCall("philox_normal", "samples", lambda d: (torch.tensor(5), [2, 3, 7], True)),
)
