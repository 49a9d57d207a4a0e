"""Handing on images in one memory format, those of one pixel as well."""

from __future__ import annotations

import torch
from torch import Tensor

from deepgen_fast.ops.autograd import transforming
from deepgen_fast.ops.memory_format import channels_last


def to_channels_last(image: Tensor) -> Tensor:
    """The same values with strides that PyTorch takes for channels_last, where there are such strides."""
    if channels_last(image) or transforming():  # vmap has no memory formats
        return image
    batch, channels, height, width = image.shape
    if height == width == 1:  # contiguous in both senses, so that `contiguous` would leave the strides
        return image.reshape(batch, channels).view(batch, 1, 1, channels).permute(0, 3, 1, 2)
    return image.contiguous(memory_format=torch.channels_last)


def to_contiguous(image: Tensor) -> Tensor:
    """The same values with strides that PyTorch takes for contiguous."""
    if image.shape[2] == image.shape[3] == 1:
        return image.reshape(image.shape[:2]).view(image.shape)
    return image.contiguous()
