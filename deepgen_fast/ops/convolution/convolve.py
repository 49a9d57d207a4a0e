"""A convolution with its epilogue, recorded by autograd where that is needed."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from deepgen_fast.ops.autograd import apply_function, needs_gradient, transforming
from deepgen_fast.ops.convolution.algorithm import KERNELS
from deepgen_fast.ops.convolution.arguments import Operands
from deepgen_fast.ops.convolution.autograd import Conv2d, ConvTranspose2d
from deepgen_fast.ops.convolution.passes import PLAIN, Epilogue


def plainly_direct(operands: Operands, transposed: bool) -> bool:
    """Whether PyTorch's operator does forward and, where it is needed, all of backward."""
    image, weight, bias, output_padding, request, direct = operands
    backward = transforming() or needs_gradient(image, weight, bias)
    which = int(backward)  # torch.compile indexes by numbers alone before torch 2.13
    known = direct[which]
    if known is None:
        kernels = KERNELS if backward else KERNELS[:1] if transposed else KERNELS[1:2]
        known = direct[which] = all(
            request.pass_choice(kernel, transposed, image, weight, output_padding).launcher == "reference"
            for kernel in kernels
        )
    return known


def convolve(operands: Operands, transposed: bool, epilogue: Epilogue = PLAIN) -> tuple[Tensor, Tensor]:
    """(output, statistics): activation(convolution + bias), statistics of the output if asked for, else empty."""
    image, weight, bias, output_padding, request, _ = operands
    if transposed:
        return apply_function(ConvTranspose2d, image, weight, bias, output_padding, request, epilogue)
    return apply_function(Conv2d, image, weight, bias, request, epilogue)


def plain_convolution(operands: Operands, transposed: bool) -> Tensor:
    """Without an epilogue: PyTorch's operator itself where nothing else was chosen."""
    image, weight, bias, output_padding, request, _ = operands
    if not plainly_direct(operands, transposed):
        return convolve(operands, transposed)[0]
    geometry = request.geometry
    if transposed:
        return F.conv_transpose2d(image, weight, bias, geometry.stride, geometry.padding, output_padding)
    return F.conv2d(image, weight, bias, geometry.stride, geometry.padding)
