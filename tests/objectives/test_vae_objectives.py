from __future__ import annotations

import math

import pytest
import torch
from linear_gaussian_closed_form import exact_log_likelihood, linear_gaussian_vae

import deepgen_fast as dgf
from deepgen_fast.models import two_layer_vae
from deepgen_fast.objectives import ELBO, ImportanceWeightedBound, variational_bound


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(count: int = 6) -> torch.Tensor:
    return torch.randn(count, 5, generator=seeded(3), dtype=torch.float64)


def test_warm_up_rises_linearly_to_beta():
    objective = ELBO(beta=4.0, warmup_steps=8)
    assert [objective.beta_at(step) for step in (0, 1, 4, 7, 8, 100, None)] == [0.0, 0.5, 2.0, 3.5, 4.0, 4.0, 4.0]
    assert ELBO(beta=0.5).beta_at(0) == 0.5


def test_elbo_is_reconstruction_plus_beta_kl():
    model, x = linear_gaussian_vae(), batch()
    for step, beta in ((None, 2.0), (3, 0.6)):
        loss = ELBO(beta=2.0, warmup_steps=10)(model, x, step=step, generator=seeded())
        output = model(x, generator=seeded())
        log_likelihood = model.likelihood.log_likelihood(output.decoder_output, x)
        torch.testing.assert_close(loss.value, (-log_likelihood + beta * output.kl).mean())
        torch.testing.assert_close(loss.log_likelihood, log_likelihood.detach())
        torch.testing.assert_close(loss.kl, output.kl.detach())


def test_parts_are_detached_and_the_value_reaches_every_parameter():
    for objective in (ELBO(), ELBO(num_samples=3), ImportanceWeightedBound(3)):
        model = linear_gaussian_vae()
        loss = objective(model, batch(), generator=seeded())
        assert not loss.log_likelihood.requires_grad
        assert not loss.kl.requires_grad
        loss.value.backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert bool((parameter.grad != 0).any()), name


def test_samples_are_averaged():
    model, x = linear_gaussian_vae(), batch()
    loss = ELBO(num_samples=4)(model, x, generator=seeded())
    output = model(x, num_samples=4, generator=seeded())
    log_likelihood = model.likelihood.log_likelihood(output.decoder_output, x)
    assert log_likelihood.shape == (4, 6)
    torch.testing.assert_close(loss.value, (output.kl - log_likelihood.mean(0)).mean())


def test_free_bits_are_the_least_a_dimension_costs():
    model, x = linear_gaussian_vae(), batch()
    with torch.no_grad():
        posterior = model.encode(x)
        log_variance = posterior.log_variance()
        per_dimension = 0.5 * (log_variance.exp() + posterior.mean.square() - 1 - log_variance).mean(0)
    bits = per_dimension.max().item() + 1.0
    loss = ELBO(free_bits=bits)(model, x, generator=seeded())
    assert (loss.value + loss.log_likelihood.mean()).item() == pytest.approx(2 * bits)
    between = per_dimension.mean().item()
    loss = ELBO(free_bits=between)(model, x, generator=seeded())
    expected = between + per_dimension.max().item()
    assert (loss.value + loss.log_likelihood.mean()).item() == pytest.approx(expected)


def test_importance_weighted_bound_is_the_log_mean_of_the_weights():
    model, x = linear_gaussian_vae(), batch()
    objective = ImportanceWeightedBound(7)
    loss = objective(model, x, generator=seeded())
    log_weight, _, _ = objective.log_weights(model, x, generator=seeded())
    bound = log_weight.exp().mean(0).log()
    torch.testing.assert_close(loss.value, -bound.mean(), rtol=1e-12, atol=1e-12)


def test_log_weights_are_the_densities_ratio():
    model, x = linear_gaussian_vae(), batch()
    generator = seeded()
    log_weight, _, _ = ImportanceWeightedBound(4).log_weights(model, x, generator=generator)
    posterior = model.encode(x)
    # The same draw again, to have z.
    zeros = x.new_zeros(6, 2)
    noise, _ = dgf.reparameterize_kl(zeros, zeros, num_samples=4, generator=seeded())
    z = posterior.mean + posterior.std() * noise
    normal = torch.distributions.Normal
    log_prior = normal(0.0, 1.0).log_prob(z).sum(-1)
    log_posterior = normal(posterior.mean, posterior.std()).log_prob(z).sum(-1)
    log_likelihood = normal(model.decode(z), torch.exp(0.5 * model.likelihood.logvar)).log_prob(x).sum(-1)
    torch.testing.assert_close(log_weight, log_likelihood + log_prior - log_posterior)


def test_importance_weighted_gradient_equals_that_of_the_densities():
    """The closed form of log q(z|x) by the noise has the same gradient as the density of z itself."""
    gradients = []
    for by_density in (False, True):
        model, x = linear_gaussian_vae(), batch()
        if by_density:
            posterior = model.encode(x)
            zeros = x.new_zeros(6, 2)
            noise, _ = dgf.reparameterize_kl(zeros, zeros, num_samples=5, generator=seeded())
            z = posterior.mean + posterior.std() * noise
            normal = torch.distributions.Normal
            log_weight = (
                normal(model.decode(z), torch.exp(0.5 * model.likelihood.logvar)).log_prob(x).sum(-1)
                + normal(0.0, 1.0).log_prob(z).sum(-1)
                - normal(posterior.mean, posterior.std()).log_prob(z).sum(-1)
            )
            value = -(torch.logsumexp(log_weight, 0) - math.log(5)).mean()
        else:
            value = ImportanceWeightedBound(5)(model, x, generator=seeded()).value
        value.backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(*gradients)


def test_importance_weighted_bound_does_not_underflow():
    model = two_layer_vae((5,), hidden_dim=4, latent_dim=2, likelihood="gaussian")
    loss = ImportanceWeightedBound(3)(model, 100.0 * batch().float(), generator=seeded())
    loss.value.backward()
    assert 1e3 < loss.value.item() < math.inf  # exp(-1000) is 0 in float32 and in float64
    assert all(bool(torch.isfinite(parameter.grad).all()) for parameter in model.parameters())


@torch.no_grad()
def test_importance_weighted_bound_converges_to_the_closed_form():
    model, x = linear_gaussian_vae(), batch()
    exact = exact_log_likelihood(model, x).mean().item()
    # Repeated examples average the estimate's own spread away: it is the expectation that rises with M.
    gaps = [exact + ELBO()(model, x.repeat(4000, 1), generator=seeded()).value.item()]
    for samples, repeats in ((2, 4000), (20, 4000), (20000, 20)):
        bound = ImportanceWeightedBound(samples)
        gaps.append(exact + bound(model, x.repeat(repeats, 1), generator=seeded()).value.item())
    assert gaps[0] > gaps[1] > gaps[2] > abs(gaps[3])
    assert abs(gaps[3]) < 5e-3


def test_a_generator_decides_the_loss():
    model, x = linear_gaussian_vae(), batch()
    for objective in (ELBO(), ImportanceWeightedBound(2)):
        first, again, other = (objective(model, x, generator=seeded(seed)).value for seed in (1, 1, 2))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


def test_validation_measures_the_bound_itself():
    validation = ELBO(beta=4.0, warmup_steps=10, free_bits=0.5, num_samples=3).for_validation()
    assert (validation.beta, validation.warmup_steps, validation.free_bits, validation.num_samples) == (1.0, 0, 0.0, 3)
    bound = ImportanceWeightedBound(3)
    assert bound.for_validation() is bound


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beta": -1.0}, "beta: expected a finite number of at least 0, got -1"),
        ({"beta": math.nan}, "beta: expected a finite number"),
        ({"free_bits": math.inf}, "free_bits: expected a finite number"),
        ({"warmup_steps": -1}, "warmup_steps: expected 0 or more, got -1"),
        ({"num_samples": 0}, "num_samples: expected at least 1 or None, got 0"),
    ],
)
def test_wrong_settings_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ELBO(**arguments)


def test_bounds_by_name():
    values = {"beta": 2.0, "warmup_steps": 5, "free_bits": 0.1, "num_samples": 2}
    assert vars(variational_bound("elbo", **values)) == values
    weighted = variational_bound("importance_weighted", num_samples=2)
    assert isinstance(weighted, ImportanceWeightedBound)
    assert weighted.num_samples == 2
    with pytest.raises(ValueError, match="kind: expected 'elbo' or 'importance_weighted', got 'renyi'"):
        variational_bound("renyi")
    with pytest.raises(ValueError, match="num_samples: the importance-weighted bound needs it"):
        variational_bound("importance_weighted")
    with pytest.raises(ValueError, match="beta, warmup_steps and free_bits belong to kind='elbo'"):
        variational_bound("importance_weighted", **values)
    with pytest.raises(ValueError, match="num_samples: expected at least 1, got 0"):
        ImportanceWeightedBound(0)
