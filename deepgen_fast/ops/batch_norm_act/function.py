"""Batch normalization of a convolution's output, with the activation after it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from deepgen_fast.ops.autograd import apply_function, needs_gradient, transforming
from deepgen_fast.ops.batch_norm_act import native, reference
from deepgen_fast.ops.batch_norm_act.autograd import BatchNormAct
from deepgen_fast.ops.batch_norm_act.launch import launcher
from deepgen_fast.ops.functionalize import below_functionalize, functionalizing, is_functional
from deepgen_fast.ops.kernels import has_kernel
from deepgen_fast.ops.rows import accumulation_dtype

_WIDE = (torch.float32, torch.float64)


class Norm(NamedTuple):
    """A batch-norm layer: buffers and parameters of shape ``[channels]``, each may be missing."""

    running_mean: Tensor | None
    running_var: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    momentum: float
    eps: float


def check_numbers(norm: Norm, training: bool) -> None:
    """Momentum and eps, with the bounds that PyTorch's batch norm has for them."""
    for name, value in (("momentum", norm.momentum), ("eps", norm.eps)):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{name} must be a float, got {value!r}")
    if norm.eps < 0.0 or (training and norm.eps == 0.0):
        expected = "positive where training is True" if training else "at least 0"
        raise ValueError(f"eps must be {expected}, got {norm.eps!r}")


def normalize_by_batch(
    input: Tensor,
    statistics: Tensor | None,
    norm: Norm,
    activation: int,
    negative_slope: float,
    backend: str,
    reusable: bool = False,
) -> Tensor:
    """Training mode: normalize by the batch's statistics, activate, and move the running statistics.

    Args:
        input: ``[batch, channels, height, width]``.
        statistics: of the input, where the convolution took them; ``[2, channels]`` of mean and sum of squared
            deviations, float64.
        reusable: nobody else has the input, so that the result may take its place where no gradient needs it.
    """
    if statistics is None:
        launch = reference if transforming() else launcher("channel_statistics", input, backend)
        statistics = launch.channel_statistics(input.detach())
    mean, invstd = _moments(input, statistics, norm, backend)
    if reusable and _replaceable(input, norm, backend):
        native.batch_norm_act_(input, mean, invstd, norm.weight, norm.bias, activation, negative_slope)
        return input
    options = (activation, negative_slope, True, norm.eps, backend)
    return apply_function(BatchNormAct, input, norm.weight, norm.bias, mean, invstd, *options)


def _replaceable(input: Tensor, norm: Norm, backend: str) -> bool:
    if torch.compiler.is_compiling() or transforming() or needs_gradient(input, norm.weight, norm.bias):
        return False
    dense = input.is_contiguous() or input.is_contiguous(memory_format=torch.channels_last)
    return dense and backend == "cpu" and has_kernel("batch_norm_act_", input.device.type)


def _moments(input: Tensor, statistics: Tensor, norm: Norm, backend: str) -> tuple[Tensor, Tensor]:
    """Mean and 1 / standard deviation of this batch; moves the running statistics."""
    count, dtype = input.numel() // max(input.shape[1], 1), accumulation_dtype(input.dtype)
    buffers = [buffer for buffer in (norm.running_mean, norm.running_var) if buffer is not None]
    if (
        backend == "cpu"
        and not (torch.compiler.is_compiling() or transforming())
        and has_kernel("batch_norm_moments", input.device.type)
        and all(buffer.dtype in _WIDE and buffer.is_contiguous() for buffer in buffers)
    ):
        running = (norm.running_mean, norm.running_var, norm.momentum)
        return native.batch_norm_moments(statistics, count, dtype == torch.float64, *running, norm.eps)
    if count and transforming() and not functionalizing():
        _move_by_torch(norm, input.detach())
    elif count:
        move_running_statistics(norm, statistics, count)
    return statistics[0].to(dtype), torch.rsqrt(statistics[1] / max(count, 1) + norm.eps).to(dtype)


@torch.no_grad()
def _move_by_torch(norm: Norm, input: Tensor) -> None:
    """Under torch.func, which lets PyTorch's batch norm, and no operator in place, move a buffer from outside."""
    if norm.running_mean is not None or norm.running_var is not None:
        torch.batch_norm(input, None, None, norm.running_mean, norm.running_var, True, norm.momentum, norm.eps, False)


@torch.no_grad()
def move_running_statistics(norm: Norm, statistics: Tensor, count: int) -> None:
    """As PyTorch does: an exponential average, of the unbiased variance.

    Their versions stay, as in PyTorch's batch norm, which saves them for a backward that does not read them: several
    calls of a layer in one loss must not be an error.
    """
    if norm.running_mean is not None:
        _move(norm.running_mean, statistics[0], norm.momentum)
    if norm.running_var is not None:
        _move(norm.running_var, statistics[1] / max(count - 1, 1), norm.momentum)


def _move(buffer: Tensor, towards: Tensor, momentum: float) -> None:
    if torch.compiler.is_compiling():
        buffer.lerp_(towards.to(buffer.dtype), momentum)
    elif not transforming():
        buffer.data.lerp_(towards.to(buffer.dtype), momentum)  # the same memory, with a version of its own
    elif functionalizing() and not is_functional(buffer):  # a model's own buffer, which the transform knows nothing of
        below_functionalize(_move, buffer, towards, momentum)
    else:
        buffer.lerp_(towards.to(buffer.dtype), momentum)


def running_moments(norm: Norm, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Mean and 1 / standard deviation that evaluation normalizes by: copies, for a backward after the next training
    step, which moves the running statistics and no version."""
    assert norm.running_mean is not None and norm.running_var is not None
    wide = accumulation_dtype(dtype)
    invstd = torch.rsqrt(norm.running_var.detach().double() + norm.eps).to(wide)
    return norm.running_mean.detach().to(wide, copy=True), invstd


def normalize_by_running(
    input: Tensor, norm: Norm, activation: int, negative_slope: float, backend: str, reusable: bool = False
) -> Tensor:
    """Evaluation mode: running statistics are constants, parameters may be trained; ``reusable`` as above."""
    mean, invstd = running_moments(norm, input.dtype)
    if reusable and _replaceable(input, norm, backend):
        native.batch_norm_act_(input, mean, invstd, norm.weight, norm.bias, activation, negative_slope)
        return input
    options = (activation, negative_slope, False, norm.eps, backend)
    return apply_function(BatchNormAct, input, norm.weight, norm.bias, mean, invstd, *options)


def folded(norm: Norm, bias: Tensor | None, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Scale and shift that a convolution's epilogue applies in place of its bias and of the normalization."""
    mean, invstd = running_moments(norm, torch.float64)
    scale = invstd if norm.weight is None else invstd * norm.weight
    shift = (-mean if bias is None else bias - mean) * scale
    if norm.bias is not None:
        shift = shift + norm.bias
    wide = accumulation_dtype(dtype)
    return scale.to(wide), shift.to(wide)
