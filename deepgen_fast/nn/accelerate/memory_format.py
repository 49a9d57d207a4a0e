"""Which memory format PyTorch takes a tensor's strides for, and how to hand it channels-last ones."""

from __future__ import annotations

import torch
from torch import Tensor


def is_channels_last(tensor: Tensor) -> bool:
    """As PyTorch's convolutions tell it from the strides (``is_channels_last_strides_2d`` of c10)."""
    shape, strides = tensor.shape, tensor.stride()
    if strides[1] == 0:
        return False
    least = 0
    for dim in (1, 3, 2, 0):
        if shape[dim] == 0 or strides[dim] < least:
            return False
        if dim == 0 and least == strides[1]:  # [N, 1, 1, 1]: every dimension but the batch is trivial
            return False
        least = strides[dim] * max(shape[dim], 1)
    return True


def channels_last(tensor: Tensor) -> Tensor:
    """The same values with strides that PyTorch takes for channels-last, where there are such strides."""
    if is_channels_last(tensor):
        return tensor
    if tensor.shape[2] == tensor.shape[3] == 1:  # contiguous in both senses, so `contiguous` would leave the strides
        batch, channels = tensor.shape[:2]
        return tensor.reshape(batch, channels).view(batch, 1, 1, channels).permute(0, 3, 1, 2)
    return tensor.contiguous(memory_format=torch.channels_last)


def contiguous(tensor: Tensor) -> Tensor:
    """The same values with strides that PyTorch takes for contiguous, a 1x1 image's as well."""
    if tensor.shape[2] == tensor.shape[3] == 1:
        return tensor.reshape(tensor.shape[:2]).view(tensor.shape)
    return tensor.contiguous()
