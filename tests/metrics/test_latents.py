"""Posterior means and active units of models whose latent use is known."""

from __future__ import annotations

import pytest
import torch
from linear_gaussian import linear_gaussian_vae

from deepgen_fast.metrics import active_units, latent_means


def test_latent_means_in_order() -> None:
    model, marginal = linear_gaussian_vae()
    torch.manual_seed(0)
    x = marginal.sample((10,))
    means = latent_means(model, x, batch_size=3)
    torch.testing.assert_close(means, model.encode(x).mean)
    assert not means.requires_grad


def test_unused_unit_is_not_active() -> None:
    model, marginal = linear_gaussian_vae(latent_dim=3)
    model.encoder.projection[:, 1] = 0.0  # E[z_1|x] no longer moves with x
    torch.manual_seed(0)
    x = marginal.sample((5000,))
    units = active_units(model, x)
    assert units.count == 2
    assert units.variances[1] == 0
    # Var(E[z_j|x]) = |w_j|^2 / (1 + |w_j|^2) for the exact posterior.
    strength = model.decoder.weight.square().sum(0)
    expected = strength / (1 + strength)
    torch.testing.assert_close(units.variances[[0, 2]], expected[[0, 2]].detach(), rtol=0.06, atol=0)


def test_threshold() -> None:
    model, marginal = linear_gaussian_vae()
    torch.manual_seed(0)
    x = marginal.sample((100,))
    assert active_units(model, x, threshold=0.0).count == 2
    assert active_units(model, x, threshold=100.0).count == 0
    with pytest.raises(ValueError, match="threshold: expected a variance of at least 0"):
        active_units(model, x, threshold=-1.0)
    with pytest.raises(ValueError, match="x: expected at least two examples"):
        active_units(model, x[:1])
