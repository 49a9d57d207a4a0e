"""The whole VAE loss: decoder output, mean and log-variance are trained; 32 latents."""

from __future__ import annotations

import math
from typing import Any

import torch.nn.functional as F
from torch import Tensor

import deepgen_fast as dgf
from benchmarks.cases import EXP, LOG1P, Case, Cost, Draw, Work

_LATENTS = 32
_LOG_TWO_PI = math.log(2 * math.pi)
CASES = tuple(
    Case("negative_elbo", (batch, 784), 3.0, likelihood)
    for likelihood in ("bernoulli", "gaussian")
    for batch in (128, 512)
)


def _kl_sum(mean: Tensor, logvar: Tensor) -> Tensor:
    return -0.5 * (1 + logvar - mean.pow(2) - logvar.exp()).sum()


def eager_bernoulli(output: Tensor, target: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
    reconstruction = F.binary_cross_entropy_with_logits(output, target, reduction="sum")
    return (reconstruction + _kl_sum(mean, logvar)) / output.shape[0]


def eager_gaussian(output: Tensor, target: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
    reconstruction = 0.5 * F.mse_loss(output, target, reduction="sum")
    return (reconstruction + _kl_sum(mean, logvar)) / output.shape[0] + 0.5 * output.shape[1] * _LOG_TWO_PI


def setup(case: Case) -> Work:
    draw = Draw()
    rows, columns = case.shape
    n, m = rows * columns, rows * _LATENTS
    likelihood = case.variant
    per_pixel = EXP + LOG1P + 13 if likelihood == "bernoulli" else 6

    def fused(*inputs: Tensor, backend: str = "auto") -> Any:
        return dgf.negative_elbo(*inputs, likelihood=likelihood, backend=backend)

    # Value and gradients in one pass: the backward has nothing left to do.
    whole = Cost(8 * (n + m), (4 * n, 4 * m, 4 * m, 4 * rows, 4 * rows, 4), per_pixel * n + (EXP + 10) * m)
    return Work(
        inputs=(
            draw.trained(rows, columns),
            draw.unit(rows, columns),
            draw.trained(rows, _LATENTS),
            draw.trained(rows, _LATENTS),
        ),
        grad_outputs=None,
        eager=eager_bernoulli if likelihood == "bernoulli" else eager_gaussian,
        fused=fused,
        costs={"forward": whole, "backward": Cost(0, (), 0), "both": whole},
    )
