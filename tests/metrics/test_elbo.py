"""evaluate_elbo against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from linear_gaussian import linear_gaussian_vae
from torch.utils.data import DataLoader, TensorDataset

from deepgen_fast.metrics import evaluate_elbo


def test_terms_match_closed_forms() -> None:
    model, marginal = linear_gaussian_vae(widen=1.0)
    torch.manual_seed(0)
    x = marginal.sample((3000,))
    result = evaluate_elbo(model, x, num_samples=4)
    posterior = model.encode(x)
    variance = posterior.kwargs()["logvar"].exp()
    kl = 0.5 * (variance + posterior.mean.square() - 1 - variance.log()).sum(1).mean().item()
    # E_q ||x - W z - b||^2 = ||x - W mean - b||^2 + sum_j variance_j ||w_j||^2
    residual = (x - model.decode(posterior.mean)).square().sum(1)
    spread = (variance * model.decoder.weight.square().sum(0)).sum(1)
    reconstruction = -0.5 * (residual + spread + x.shape[1] * math.log(2 * math.pi)).mean().item()
    assert result.kl == pytest.approx(kl, rel=1e-12)
    assert result.log_likelihood == pytest.approx(reconstruction, abs=0.05)
    assert result.elbo == pytest.approx(result.log_likelihood - result.kl, rel=1e-12)
    assert result.num_examples == 3000


def test_exact_posterior_closes_the_gap() -> None:
    model, marginal = linear_gaussian_vae()
    torch.manual_seed(0)
    x = marginal.sample((4000,))
    result = evaluate_elbo(model, x)
    assert abs(result.elbo - marginal.log_prob(x).mean().item()) < 0.1
    # Entropy of a 6-dimensional Gaussian spreads log p(x) by about sqrt(6/2): the standard error follows.
    assert 0.5 < result.standard_error * 4000**0.5 < 4


def test_batches_and_seed() -> None:
    model, marginal = linear_gaussian_vae(widen=1.0)
    torch.manual_seed(0)
    x = marginal.sample((50,))
    before = torch.get_rng_state()
    result = evaluate_elbo(model, x, batch_size=16, seed=5)
    assert torch.equal(before, torch.get_rng_state())
    assert result == evaluate_elbo(model, x, batch_size=16, seed=5)
    assert result.elbo != evaluate_elbo(model, x, batch_size=16, seed=6).elbo
    loader = DataLoader(TensorDataset(x, torch.zeros(50)), batch_size=16)
    assert evaluate_elbo(model, loader, seed=5) == result
    assert evaluate_elbo(model, x, batch_size=7).kl == pytest.approx(result.kl, rel=1e-12)


def test_model_keeps_its_modes() -> None:
    model, marginal = linear_gaussian_vae()
    model.train()
    model.decoder.eval()
    evaluate_elbo(model, marginal.sample((4,)))
    assert model.training
    assert not model.decoder.training


@pytest.mark.parametrize("x", [torch.zeros(0, 6), torch.zeros(6), []])
def test_no_examples(x: object) -> None:
    model, _ = linear_gaussian_vae()
    with pytest.raises(ValueError, match="x: expected at least one example"):
        evaluate_elbo(model, x)
