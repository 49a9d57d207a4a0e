"""A convolution with its epilogue, recorded by autograd where that is needed."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepgen_fast.ops.autograd import apply_function, needs_gradient, transforming
from deepgen_fast.ops.convolution.algorithm import KERNELS, SMALL_CALL
from deepgen_fast.ops.convolution.arguments import Operands
from deepgen_fast.ops.convolution.autograd import Conv2d, ConvTranspose2d
from deepgen_fast.ops.convolution.passes import PLAIN, Epilogue


def plainly_direct(operands: Operands, transposed: bool) -> bool:
    """Whether PyTorch's operator does forward and, where it is needed, all of backward."""
    image, weight, bias, output_padding, request = operands
    kernels: tuple[str, ...] = KERNELS
    if not (transforming() or needs_gradient(image, weight, bias)):
        kernels = KERNELS[:1] if transposed else KERNELS[1:2]
    return all(
        request.pass_choice(kernel, transposed, image, weight, output_padding).launcher == "reference"
        for kernel in kernels
    )


def convolve(operands: Operands, transposed: bool, epilogue: Epilogue = PLAIN) -> tuple[Tensor, Tensor]:
    """(output, statistics): activation(convolution + bias), statistics of the output if asked for, else empty."""
    image, weight, bias, output_padding, request = operands
    if transposed:
        return apply_function(ConvTranspose2d, image, weight, bias, output_padding, request, epilogue)
    return apply_function(Conv2d, image, weight, bias, request, epilogue)


def plain_convolution(operands: Operands, transposed: bool) -> Tensor:
    """Without an epilogue: PyTorch's operator itself where nothing else was chosen."""
    image, weight, bias, output_padding, request = operands
    if not plainly_direct(operands, transposed):
        return convolve(operands, transposed)[0]
    geometry = request.geometry
    if transposed:
        return F.conv_transpose2d(image, weight, bias, geometry.stride, geometry.padding, output_padding)
    return F.conv2d(image, weight, bias, geometry.stride, geometry.padding)


_PLAIN_TENSORS = frozenset({Tensor, nn.Parameter})
_SIZES = frozenset({int, tuple})


def small_convolution(
    transposed: bool, x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any,
    output_padding: Any, algorithm: str, backend: str,
) -> Tensor | None:  # fmt: skip
    """PyTorch's operator, where it takes less time than all the checks would.

    None where they must be made: for larger layers, and for what PyTorch refuses, so that the error is ours.
    """
    if algorithm != "auto" or backend != "auto" or torch.compiler.is_compiling():
        return None
    if type(x) not in _PLAIN_TENSORS or type(weight) not in _PLAIN_TENSORS or x.dim() != 4 or not x.is_cpu:
        return None
    if type(stride) not in _SIZES or type(padding) not in _SIZES:
        return None
    if x.numel() * weight.numel() > SMALL_CALL * x.shape[1]:  # strides make it less
        return None
    try:
        if transposed:
            return F.conv_transpose2d(x, weight, bias, stride, padding, output_padding)
        return F.conv2d(x, weight, bias, stride, padding)
    except (RuntimeError, TypeError, ValueError):
        return None
