"""sigma = softplus(p) is exact in float64, beyond the threshold at which PyTorch's softplus takes p itself."""

from __future__ import annotations

import math

import pytest
import torch

import deepgen_fast as dgf
from deepgen_fast import backends
from deepgen_fast.models.posterior import Posterior

PRE = torch.tensor(
    [[-800.0, -39.0, -33.0, -24.5, -20.1, -3.0, 0.0, 7.0, 20.1, 22.0, 26.0, 33.0, 39.0, 800.0]], dtype=torch.float64
)
# log(1 + e^p) by the exact side of each sign; its logarithm for small ones by the series log(s) = p - e^p / 2 + ...
STD = [math.log1p(math.exp(p)) if p < 0 else p + math.log1p(math.exp(-p)) for p in PRE[0].tolist()]
LOG_STD = [p - math.exp(p) / 2 if p < -20 else math.log(s) for p, s in zip(PRE[0].tolist(), STD, strict=True)]
SLOPE = [1 / (1 + math.exp(-p)) if p > -700 else 0.0 for p in PRE[0].tolist()]


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_values_and_gradients(backend: str) -> None:
    if reason := backends.unavailable(backend):
        pytest.skip(reason)
    pre = PRE.T.clone().requires_grad_()  # an example each, so that no sum hides another's error
    z, kl = dgf.reparameterize_kl(
        torch.zeros_like(pre), pre_softplus=pre, noise=torch.ones_like(PRE.T), backend=backend
    )
    expected = [0.5 * (s * s - 1) - log for s, log in zip(STD, LOG_STD, strict=True)]
    exact = {"rtol": 4e-16, "atol": 0.0}
    torch.testing.assert_close(z[:, 0].tolist(), STD, **exact)
    torch.testing.assert_close(kl.tolist(), expected, **exact)
    (gradient,) = torch.autograd.grad(kl.sum(), pre)
    slopes = [
        s * g - g / s if p > -20 else s * g - (1 - math.exp(p) / 2)
        for p, s, g in zip(PRE[0].tolist(), STD, SLOPE, strict=True)
    ]
    torch.testing.assert_close(gradient[:, 0].tolist(), slopes, rtol=1e-15, atol=0.0)


def test_posterior() -> None:
    posterior = Posterior(torch.zeros_like(PRE), PRE, "pre_softplus")
    torch.testing.assert_close(posterior.std()[0].tolist(), STD, rtol=4e-16, atol=0.0)
    torch.testing.assert_close(posterior.log_variance()[0].tolist(), [2 * log for log in LOG_STD], rtol=4e-16, atol=0.0)
