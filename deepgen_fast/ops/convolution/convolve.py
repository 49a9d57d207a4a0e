"""A convolution with its epilogue, recorded by autograd where that is needed."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from deepgen_fast.ops.autograd import apply_function, needs_gradient, transforming
from deepgen_fast.ops.convolution.algorithm import KERNELS
from deepgen_fast.ops.convolution.arguments import Operands, cached_operands, check_operands
from deepgen_fast.ops.convolution.autograd import Conv2d, ConvTranspose2d
from deepgen_fast.ops.convolution.dispatch import PLAIN, Epilogue
from deepgen_fast.ops.memory_format import owned
from deepgen_fast.tracing import symbolic


def convolution(
    transposed: bool, x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, output_padding: Any,
    algorithm: str, backend: str,
) -> Tensor:  # fmt: skip
    """A public convolution.

    PyTorch's operator at once where it does it all, as an earlier call of these shapes found: what is done before it
    takes as long as a small convolution. The checks then follow if it finds fault, for they say better what is wrong.
    """
    known = cached_operands(transposed, x, weight, bias, stride, padding, output_padding, algorithm, backend)
    if known is not None and _all_direct(known.direct, x, weight, bias):
        try:
            return pytorchs(transposed, x, weight, bias, stride, padding, output_padding)
        except (RuntimeError, TypeError):
            pass
    if symbolic(x, weight, bias):
        return pytorchs(transposed, x, weight, bias, stride, padding, output_padding)
    operands = check_operands(transposed, x, weight, bias, stride, padding, output_padding, algorithm, backend)
    output = plain_convolution(operands, transposed)
    return output if x.dim() == 4 else owned(output.squeeze(0))


def _all_direct(known: list[bool | None], *tensors: Tensor | None) -> bool:
    """Of what :func:`uses_torch_conv` found."""
    return bool(known[1] or (known[0] and not transforming() and not needs_gradient(*tensors)))


def uses_torch_conv(operands: Operands, transposed: bool) -> bool:
    """Whether PyTorch's operator does forward and, where it is needed, all of backward."""
    image, weight, bias, output_padding, descriptor, direct = operands
    backward = transforming() or needs_gradient(image, weight, bias)
    which = int(backward)  # torch.compile indexes by numbers alone before torch 2.13

    def runs(*kernels: str) -> bool:
        return all(
            descriptor.pass_choice(kernel, transposed, image, weight, output_padding).launcher == "reference"
            for kernel in kernels
        )

    if direct[which] is None:
        forward = KERNELS[0 if transposed else 1]
        direct[which] = runs(*KERNELS) if backward else runs(forward)
        if direct[0]:  # so "auto" or "direct" was asked for, which serve every gradient
            direct[1] = runs(*KERNELS)
    return bool(direct[which])


def convolve(operands: Operands, transposed: bool, epilogue: Epilogue = PLAIN) -> tuple[Tensor, Tensor]:
    """(output, statistics): activation(convolution + bias), statistics of the output if asked for, else empty."""
    image, weight, bias, output_padding, descriptor, _ = operands
    if transposed:
        return apply_function(ConvTranspose2d, image, weight, bias, output_padding, descriptor, epilogue)
    return apply_function(Conv2d, image, weight, bias, descriptor, epilogue)


def plain_convolution(operands: Operands, transposed: bool) -> Tensor:
    """Without an epilogue: PyTorch's operator itself where nothing else was chosen."""
    image, weight, bias, output_padding, descriptor, _ = operands
    if not uses_torch_conv(operands, transposed):
        return convolve(operands, transposed)[0]
    geometry = descriptor.geometry
    return pytorchs(transposed, image, weight, bias, geometry.stride, geometry.padding, output_padding)


def pytorchs(
    transposed: bool, x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, output_padding: Any
) -> Tensor:
    if transposed:
        return F.conv_transpose2d(x, weight, bias, stride, padding, output_padding)
    return F.conv2d(x, weight, bias, stride, padding)
