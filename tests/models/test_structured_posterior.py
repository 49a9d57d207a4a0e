"""Rank-1 posteriors against dense Gaussians, and layers side by side."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from deepgen_fast.models.posterior import Posterior
from deepgen_fast.models.structured_posterior import LayeredPosterior, RankOnePosterior


def rank_one(count: int = 3, size: int = 5, scale: float = 1.0, dtype=torch.float64) -> RankOnePosterior:
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(count, size, generator=generator, dtype=torch.float64) for _ in range(3)]
    return RankOnePosterior(parts[0].to(dtype), parts[1].to(dtype), scale * parts[2].to(dtype))


def dense(posterior: RankOnePosterior) -> MultivariateNormal:
    """The same Gaussian by its precision matrix, as the paper states it: D + u u'."""
    precision = torch.diag_embed((-posterior.logvar).exp())
    precision = precision + posterior.factor.unsqueeze(-1) * posterior.factor.unsqueeze(-2)
    return MultivariateNormal(posterior.mean, precision_matrix=precision)


def standard(size: int) -> MultivariateNormal:
    return MultivariateNormal(torch.zeros(size, dtype=torch.float64), torch.eye(size, dtype=torch.float64))


@pytest.mark.parametrize("scale", [0.0, 1e-8, 1.0, 30.0])
def test_covariance_determinant_and_kl_are_the_dense_ones(scale):
    posterior = rank_one(scale=scale)
    expected = dense(posterior)
    torch.testing.assert_close(posterior.covariance(), expected.covariance_matrix, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(posterior.log_determinant(), torch.logdet(expected.covariance_matrix), rtol=1e-9, atol=0)
    _, kl = posterior.draw()
    torch.testing.assert_close(kl, kl_divergence(expected, standard(5)), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("scale", [0.0, 1e-8, 1.0, 30.0])
def test_the_factor_that_samples_is_a_root_of_the_covariance(scale):
    posterior = rank_one(count=2, scale=scale)
    # Columns of R: what unit vectors of noise add to the mean.
    units = torch.eye(5, dtype=torch.float64).unsqueeze(1).expand(5, 2, 5)
    z, _ = posterior.draw(5, noise=units)
    root = (z - posterior.mean).permute(1, 2, 0)
    torch.testing.assert_close(root @ root.transpose(1, 2), dense(posterior).covariance_matrix, rtol=1e-9, atol=1e-10)


def test_log_ratio_is_that_of_the_dense_densities():
    posterior = rank_one()
    noise = torch.randn(7, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    z, _ = posterior.draw(7, noise=noise)
    expected = standard(5).log_prob(z) - dense(posterior).log_prob(z)
    torch.testing.assert_close(posterior.log_ratio(z, noise, torch.float64), expected, rtol=1e-9, atol=1e-9)


def test_samples_have_the_mean_and_covariance():
    posterior = rank_one(count=1, dtype=torch.float32)
    z, _ = posterior.draw(200_000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(z.mean(0), posterior.mean, rtol=0, atol=0.02)
    covariance = posterior.covariance()[0]
    torch.testing.assert_close(z[:, 0].T.cov(), covariance, rtol=0.02, atol=0.02)


def test_without_a_factor_it_is_the_diagonal_posterior():
    posterior = rank_one(scale=0.0)
    diagonal = Posterior(posterior.mean, posterior.logvar, "logvar")
    draws = [q.draw(4, generator=torch.Generator().manual_seed(3)) for q in (posterior, diagonal)]
    torch.testing.assert_close(draws[0], draws[1], rtol=1e-6, atol=1e-6)


def test_gradients_of_kl_and_sample():
    mean, logvar, factor = (part.clone().requires_grad_() for part in rank_one(count=2, size=3))
    noise = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert torch.autograd.gradcheck(lambda *parts: RankOnePosterior(*parts).draw(noise=noise), (mean, logvar, factor))
    assert torch.autograd.gradgradcheck(
        lambda *parts: RankOnePosterior(*parts).draw(noise=noise), (mean, logvar, factor)
    )


def test_bfloat16_posteriors_are_computed_in_float32():
    narrow = RankOnePosterior(*(part.to(torch.bfloat16) for part in rank_one()))
    wide = RankOnePosterior(*(part.to(torch.float32) for part in narrow))
    noise = torch.zeros(3, 5)
    (z, kl), (expected, expected_kl) = narrow.draw(noise=noise), wide.draw(noise=noise)
    assert z.dtype == torch.bfloat16 and kl.dtype == torch.float32
    torch.testing.assert_close(kl, expected_kl)
    torch.testing.assert_close(z, expected.to(torch.bfloat16))


def test_layers_are_independent_and_side_by_side():
    first, second = rank_one(), Posterior(*rank_one(size=2)[:2], "logvar")
    both = LayeredPosterior((first, second))
    noise = torch.randn(6, 3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    z, kl = both.draw_layers(6, noise)
    apart = [first.draw(6, noise[..., :5]), second.draw(6, noise[..., 5:])]
    torch.testing.assert_close(z, torch.cat([apart[0][0], apart[1][0]], -1))
    torch.testing.assert_close(kl, torch.stack([apart[0][1], apart[1][1]], -1))
    ratio = first.log_ratio(z[..., :5], noise[..., :5], torch.float64)
    ratio = ratio + second.log_ratio(z[..., 5:], noise[..., 5:], torch.float64)
    torch.testing.assert_close(both.log_ratio(z, noise, torch.float64), ratio)
    part = both.rows(slice(1, 3))
    assert torch.equal(part.mean, both.mean[1:3]) and part.mean.shape == (2, 7)
