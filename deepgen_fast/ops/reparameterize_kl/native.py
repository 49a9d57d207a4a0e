"""Calls of the C++ operators, and their fake kernels for torch.compile."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from deepgen_fast.ops.rows import accumulation_dtype

reparameterize_kl = torch.ops.deepgen_fast.reparameterize_kl.default
reparameterize_kl_backward = torch.ops.deepgen_fast.reparameterize_kl_backward.default


@torch.library.register_fake("deepgen_fast::reparameterize_kl")
def _(
    mean: Tensor,
    scale: Tensor,
    prior_mean: Tensor | None,
    prior_logvar: Tensor | None,
    noise: Tensor | None,
    seed: Tensor | None,
    num_samples: int | None,
    scale_kind: int,
    elementwise_kl: bool,
) -> tuple[Tensor, Tensor]:
    z = mean.new_empty(mean.shape if num_samples is None else (num_samples, *mean.shape))
    shape = mean.shape if elementwise_kl else mean.shape[:1]
    return z, mean.new_empty(shape, dtype=accumulation_dtype(mean.dtype))


@torch.library.register_fake("deepgen_fast::reparameterize_kl_backward")
def _(
    grad_z: Tensor | None,
    grad_kl: Tensor | None,
    mean: Tensor,
    scale: Tensor,
    prior_mean: Tensor | None,
    prior_logvar: Tensor | None,
    noise: Tensor | None,
    seed: Tensor | None,
    num_samples: int | None,
    scale_kind: int,
    elementwise_kl: bool,
    need_prior: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    prior_shape, wide = mean.shape if need_prior else (0,), accumulation_dtype(mean.dtype)
    return (
        mean.new_empty(mean.shape),
        mean.new_empty(mean.shape),
        mean.new_empty(prior_shape, dtype=wide),
        mean.new_empty(prior_shape, dtype=wide),
    )


@torch.library.register_fake("deepgen_fast::philox_normal")
def _(seed: Tensor, size: Sequence[int], samples: bool) -> Tensor:
    return seed.new_empty(tuple(size), dtype=torch.float32)
