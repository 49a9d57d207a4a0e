"""z = mean + sigma * noise with its KL; the mean and log-variance are trained."""

from __future__ import annotations

import torch
from torch import Tensor

import deepgen_fast as dgf
from benchmarks.cases import EXP, NOISE, Case, Cost, Draw, Work, with_both

CASES = (
    Case("reparameterize_kl", (128, 32), 1.8),
    Case("reparameterize_kl", (128, 512), 3.0),
    Case("reparameterize_kl", (4096, 512), 3.0),
    Case("reparameterize_kl", (65536, 128), 3.0),
)


def eager(mean: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
    z = mean + torch.randn_like(mean) * torch.exp(0.5 * logvar)
    return z, -0.5 * torch.sum(1 + logvar - mean.pow(2) - logvar.exp(), dim=1)


def setup(case: Case) -> Work:
    draw = Draw()
    rows, columns = case.shape
    n, instructions = rows * columns, NOISE + 2 * EXP + 10
    return Work(
        inputs=(draw.trained(rows, columns), draw.trained(rows, columns)),
        grad_outputs=(draw.normal(rows, columns), torch.full((rows,), 1 / rows)),
        eager=eager,
        fused=dgf.reparameterize_kl,
        costs=with_both(
            Cost(8 * n, (4 * n, 4 * rows), instructions * n), Cost(12 * n + 4 * rows, (4 * n, 4 * n), instructions * n)
        ),
    )
