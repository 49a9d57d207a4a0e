"""Calls of the C++ operators, and their fake kernels for torch.compile."""

from __future__ import annotations

import torch
from torch import Tensor

from deepgen_fast.ops.rows import accumulation_dtype

minibatch_discrimination = torch.ops.deepgen_fast.minibatch_discrimination.default
minibatch_discrimination_backward = torch.ops.deepgen_fast.minibatch_discrimination_backward.default


@torch.library.register_fake("deepgen_fast::minibatch_discrimination")
def _(features: Tensor, include_self: bool) -> Tensor:
    return features.new_empty(features.shape[:2], dtype=accumulation_dtype(features.dtype))


@torch.library.register_fake("deepgen_fast::minibatch_discrimination_backward")
def _(grad: Tensor, features: Tensor, include_self: bool) -> Tensor:
    return features.new_empty(features.shape)
