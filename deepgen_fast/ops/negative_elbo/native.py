"""Call of the C++ operator, and its fake kernel for torch.compile."""

from __future__ import annotations

import torch
from torch import Tensor

from deepgen_fast.ops.gaussian_log_likelihood.native import new_logvar_gradient
from deepgen_fast.ops.rows import accumulation_dtype

negative_elbo = torch.ops.deepgen_fast.negative_elbo.default


@torch.library.register_fake("deepgen_fast::negative_elbo")
def _(
    decoder_output: Tensor,
    target: Tensor,
    likelihood_logvar: Tensor | None,
    mask: Tensor | None,
    mean: Tensor,
    scale: Tensor,
    prior_mean: Tensor | None,
    prior_logvar: Tensor | None,
    beta: float,
    free_bits: float,
    likelihood: int,
    scale_kind: int,
    mean_reduction: bool,
    need_gradients: bool,
    grad_loss: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    wide = accumulation_dtype(decoder_output.dtype)
    leading = decoder_output.dim() - target.dim() + 1

    def gradient(tensor: Tensor) -> Tensor:
        return tensor.new_empty(tensor.shape if need_gradients else (0,))

    grad_logvar = decoder_output.new_empty(0)
    if need_gradients and likelihood_logvar is not None:
        grad_logvar = new_logvar_gradient(decoder_output, likelihood_logvar, leading)
    return (
        decoder_output.new_empty((), dtype=wide),
        decoder_output.new_empty(mean.shape[:1], dtype=wide),
        mean.new_empty(mean.shape[:1], dtype=accumulation_dtype(mean.dtype)),
        gradient(decoder_output),
        grad_logvar,
        gradient(mean),
        gradient(scale),
    )
