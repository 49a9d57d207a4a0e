"""Argument checks, made once, at the public functions: each names the argument, what was expected, what came.

A small batch pays for every line here (some 10 us of a call were checks): the usual case goes straight through.
"""

from __future__ import annotations

import torch
from torch import Tensor

REDUCTIONS = ("none", "sample", "sum", "mean")
_FLOATING = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
_BYTES = (torch.uint8, torch.bool)


def _shape(tensor: Tensor) -> str:
    return str(list(tensor.shape))


def check_tensor(name: str, value: Tensor) -> None:
    """A tensor whose elements lie in memory by strides, which is what kernels walk."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(value).__name__}")
    if value.is_nested:
        raise TypeError(
            f"{name} must be a dense tensor, got a nested one; torch.nested.to_padded_tensor makes it dense, and a "
            "mask leaves the padding out"
        )
    if value.layout is not torch.strided:
        raise TypeError(
            f"{name} must be a dense tensor, got one of layout {value.layout}; {name}.to_dense() makes it one"
        )


def check_floating(name: str, value: Tensor) -> None:
    """A floating tensor with a batch dimension."""
    check_tensor(name, value)
    if value.dtype not in _FLOATING:
        raise TypeError(f"{name} must have dtype float16, bfloat16, float32 or float64, got {value.dtype}")
    if value.dim() == 0:
        raise ValueError(f"{name} must have shape [batch, *event], got a tensor without dimensions")


def check_device(name: str, value: Tensor, like_name: str, like: Tensor) -> None:
    if value.device != like.device:
        raise ValueError(f"{name} must be on the device of {like_name}, {like.device}, got {value.device}")


def check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, got {value!r}")


def check_reduction(reduction: str) -> None:
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {', '.join(map(repr, REDUCTIONS))}, got {reduction!r}")


def promote_under_autocast(name: str, value: Tensor, like_name: str, like: Tensor) -> tuple[Tensor, Tensor]:
    """Bring two operands to one dtype under autocast, whose layers mix them; elsewhere a mismatch is an error."""
    if value.dtype == like.dtype:
        return value, like
    if not torch.is_autocast_enabled(like.device.type):
        raise TypeError(f"{name} must have the dtype of {like_name}, {like.dtype}, got {value.dtype}")
    dtype = torch.promote_types(value.dtype, like.dtype)
    return value.to(dtype), like.to(dtype)


def repeat_over_rows(name: str, operand: Tensor, like_name: str, like: Tensor, *, scalar: bool = False) -> Tensor:
    """Check an optional operand that broadcasts to ``like`` and bring it to a form that kernels walk.

    Kernels take an operand of all rows, or of trailing dimensions that repeat over rows (or, with ``scalar``, one
    number); any other broadcast is expanded here, where autograd sums its gradient.
    """
    check_tensor(name, operand)
    if operand.dtype != like.dtype:
        if operand.dtype not in _FLOATING or not torch.is_autocast_enabled(like.device.type):
            raise TypeError(f"{name} must have the dtype of {like_name}, {like.dtype}, got {operand.dtype}")
        operand = operand.to(like.dtype)
    return repeat_shape(name, operand, like_name, like, scalar=scalar)


def repeat_shape(name: str, operand: Tensor, like_name: str, like: Tensor, *, scalar: bool = False) -> Tensor:
    check_device(name, operand, like_name, like)
    if scalar and operand.numel() == 1 and operand.dim() <= like.dim():
        return operand
    shape, dims = like.shape, operand.dim()
    if dims <= len(shape) and dims >= len(shape) - 1 and operand.shape == shape[len(shape) - dims :]:
        return operand
    try:
        return operand.expand(shape)
    except RuntimeError:
        raise ValueError(
            f"{name} must be broadcastable to the shape of {like_name}, {_shape(like)}, got {_shape(operand)}"
        ) from None


def check_mask(mask: Tensor, like_name: str, like: Tensor) -> Tensor:
    check_tensor("mask", mask)
    if mask.dtype != torch.bool:
        raise TypeError(f"mask must have dtype bool (True where an element counts), got {mask.dtype}")
    return repeat_shape("mask", mask, like_name, like)


def check_target(target: Tensor, output_name: str, output: Tensor) -> None:
    """The target ``[batch, *event]`` of a decoder output ``[batch, *event]`` or ``[samples, batch, *event]``.

    Samples need an event of one dimension at least: an output ``[4, 784]`` with a target ``[784]`` is far more likely 4
    images with one target than 4 samples of 784 numbers.
    """
    check_tensor("target", target)
    dtype = target.dtype
    if dtype != output.dtype and dtype != torch.float32 and dtype not in _BYTES:
        raise TypeError(
            f"target must have the dtype of {output_name} ({output.dtype}), float32, uint8 or bool, got {dtype}"
        )
    if target.device != output.device:
        check_device("target", target, output_name, output)
    shape, expected = target.shape, output.shape
    if shape != expected and (len(shape) < 2 or shape != expected[1:]):
        raise ValueError(
            f"target must have shape [batch, *event] where {output_name} is [batch, *event], or "
            f"[samples, batch, *event] with an event of at least one dimension; {output_name} is {_shape(output)}, "
            f"got {_shape(target)}"
        )


def rows_in_memory_order(
    output: Tensor, target: Tensor, *operands: Tensor | None
) -> tuple[tuple[Tensor | None, ...], tuple[int, ...] | None]:
    """Permute a channels-last ``output``, and what goes with it, so that its rows are walked without a copy.

    With a leading sample dimension, which the target lacks, four dimensions are no image with channels.

    Returns:
        The tensors, and the permutation that brings an elementwise result back (None when nothing was permuted).
    """
    if output.is_contiguous() or output.dim() != 4 or not output.permute(0, 2, 3, 1).is_contiguous():
        return (output, target, *operands), None
    if target.dim() != 4:
        return (output, target, *operands), None

    def permute(tensor: Tensor | None) -> Tensor | None:
        if tensor is None or tensor.numel() == 1:
            return tensor
        return tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor.permute(1, 2, 0)

    return tuple(permute(tensor) for tensor in (output, target, *operands)), (0, 3, 1, 2)


def reduce(value: Tensor, reduction: str) -> Tensor:
    """Reduce per-example values; "none" and "sample" were already made by the kernel."""
    if reduction == "sum":
        return value.sum()
    return value.mean() if reduction == "mean" else value
