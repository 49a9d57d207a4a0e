"""PyTorch's rule for the layout of a convolution's result, and the copy that brings an image to it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from deepgen_fast.ops.autograd import needs_gradient, transforming
from deepgen_fast.ops.kernels import has_kernel
from deepgen_fast.tracing import exporting

_LANES = 16  # it turns squares of so many channels and pixels


def channels_last(image: Tensor) -> bool:
    """Whether the strides of ``[N, C, H, W]`` say channels_last (``suggest_memory_format`` of PyTorch's C++ side).

    One channel, or one pixel, may be read both ways; then the strides of the dimensions of size 1 decide.
    """
    return image.dim() == 4 and strides_channels_last(image.shape, image.stride())


def strides_channels_last(sizes: Sequence[int], strides: Sequence[int]) -> bool:
    """:func:`channels_last` of four sizes and strides."""
    if strides[1] == 0:
        return False
    least = 0
    for dimension in (1, 3, 2, 0):
        if sizes[dimension] == 0 or strides[dimension] < least:
            return False
        if dimension == 0 and least == strides[1]:
            return False  # N, 1, 1, 1 and N, 1, H, W of contiguous strides are contiguous
        least = strides[dimension] * max(sizes[dimension], 1)
    return True


def result_channels_last(image: Tensor, weight: Tensor) -> bool:
    """A convolution's result is channels_last where its input or its weight is, as in PyTorch; else contiguous."""
    return channels_last(image) or channels_last(weight)


def in_format(image: Tensor, last: bool) -> Tensor:
    """``image`` itself where its strides say that format, else a copy."""
    if last == channels_last(image) or image.numel() == 0:
        return image
    if _transposes(image):
        return torch.ops.deepgen_fast.in_format.default(image, last)
    form = torch.channels_last if last else torch.contiguous_format
    if image.shape[2] == image.shape[3] == 1:  # contiguous in both senses, so ``contiguous`` would leave the strides
        return image.clone(memory_format=form)
    return image.contiguous(memory_format=form)


def owned(view: Tensor) -> Tensor:
    """The view as a tensor of its own, for a result whose base nobody else has.

    Autograd lets nobody edit in place a view that a Function returned, nor detach any view in place. In the same
    memory where PyTorch's ``_unsafe_view`` keeps the strides, which tell the memory format; else a copy.
    """
    own = torch.ops.aten._unsafe_view.default(view, view.shape)
    return own if own.stride() == view.stride() else view.clone()


def _transposes(image: Tensor) -> bool:
    """Whether the C++ library copies this image; nothing may have to be differentiated or traced through it."""
    if torch.compiler.is_compiling() or exporting() or image.dtype != torch.float32:
        return False
    if image.shape[1] < _LANES or image.shape[2] * image.shape[3] < _LANES:
        return False
    return has_kernel("in_format", image.device.type) and not transforming() and not needs_gradient(image)
