"""Calls of the C++ operators, and their fake kernels for torch.compile."""

from __future__ import annotations

import torch
from torch import Tensor

from deepgen_fast.ops.rows import accumulation_dtype

_OPERATORS = torch.ops.deepgen_fast


def _channels(value: Tensor | None, like: Tensor) -> Tensor | None:
    """A parameter as the kernels take it: dense, in the accumulation dtype."""
    return None if value is None else value.to(accumulation_dtype(like.dtype)).contiguous()


def channel_statistics(input: Tensor) -> Tensor:
    return _OPERATORS.channel_statistics.default(input)


def batch_norm_act(
    input: Tensor, mean: Tensor, invstd: Tensor, weight: Tensor | None, bias: Tensor | None, activation: int,
    negative_slope: float,
) -> Tensor:  # fmt: skip
    weight, bias = _channels(weight, input), _channels(bias, input)
    return _OPERATORS.batch_norm_act.default(input, mean, invstd, weight, bias, activation, negative_slope)


def batch_norm_act_(
    input: Tensor, mean: Tensor, invstd: Tensor, weight: Tensor | None, bias: Tensor | None, activation: int,
    negative_slope: float,
) -> None:  # fmt: skip
    weight, bias = _channels(weight, input), _channels(bias, input)
    _OPERATORS.batch_norm_act_.default(input, mean, invstd, weight, bias, activation, negative_slope)


def batch_norm_moments(
    statistics: Tensor, count: int, wide: bool, running_mean: Tensor | None, running_var: Tensor | None,
    momentum: float, eps: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    return _OPERATORS.batch_norm_moments.default(statistics, count, wide, running_mean, running_var, momentum, eps)


def batch_norm_act_backward(
    grad_output: Tensor, input: Tensor, mean: Tensor, invstd: Tensor, weight: Tensor | None, bias: Tensor | None,
    activation: int, negative_slope: float, training: bool, need_input: bool, need_affine: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    weight, bias = _channels(weight, input), _channels(bias, input)
    return _OPERATORS.batch_norm_act_backward.default(
        grad_output, input, mean, invstd, weight, bias, activation, negative_slope, training, need_input, need_affine
    )


def _empty_dense(input: Tensor) -> Tensor:
    """As the kernels write: in the input's strides where it is dense, else in the format that is nearer to them."""
    if input.is_contiguous() or input.is_contiguous(memory_format=torch.channels_last):
        return torch.empty_like(input)
    last = input.stride(1) < input.stride(-1)
    return torch.empty_like(input, memory_format=torch.channels_last if last else torch.contiguous_format)


def _fake_statistics(input: Tensor) -> Tensor:
    return input.new_empty((2, input.shape[1]), dtype=torch.float64)


def _fake_forward(
    input: Tensor, mean: Tensor, invstd: Tensor, weight: Tensor | None, bias: Tensor | None, activation: int,
    negative_slope: float,
) -> Tensor:  # fmt: skip
    return _empty_dense(input)


def _fake_in_place(
    input: Tensor, mean: Tensor, invstd: Tensor, weight: Tensor | None, bias: Tensor | None, activation: int,
    negative_slope: float,
) -> None:  # fmt: skip
    return None


def _fake_moments(
    statistics: Tensor, count: int, wide: bool, running_mean: Tensor | None, running_var: Tensor | None,
    momentum: float, eps: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    size, dtype = (statistics.shape[1],), torch.float64 if wide else torch.float32
    return statistics.new_empty(size, dtype=dtype), statistics.new_empty(size, dtype=dtype)


def _fake_backward(
    grad_output: Tensor, input: Tensor, mean: Tensor, invstd: Tensor, weight: Tensor | None, bias: Tensor | None,
    activation: int, negative_slope: float, training: bool, need_input: bool, need_affine: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    grad_input = _empty_dense(input) if need_input else input.new_empty(0)
    affine = (input.shape[1],) if need_affine else (0,)
    dtype = accumulation_dtype(input.dtype)
    return grad_input, input.new_empty(affine, dtype=dtype), input.new_empty(affine, dtype=dtype)


for _name, _fake in (
    ("channel_statistics", _fake_statistics),
    ("batch_norm_act", _fake_forward),
    ("batch_norm_act_", _fake_in_place),
    ("batch_norm_moments", _fake_moments),
    ("batch_norm_act_backward", _fake_backward),
):
    if hasattr(_OPERATORS, _name):
        torch.library.register_fake(f"deepgen_fast::{_name}", _fake)
