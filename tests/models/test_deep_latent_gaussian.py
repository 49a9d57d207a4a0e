"""The deep latent Gaussian model: its networks, its bound, and what it says of log p(x)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from deepgen_fast.metrics import active_units, evaluate_elbo, importance_weighted_log_likelihood
from deepgen_fast.models import deep_latent_gaussian, two_layer_vae
from deepgen_fast.objectives import ELBO, HierarchicalELBO, ImportanceWeightedBound


def small(**options):
    torch.manual_seed(0)
    return deep_latent_gaussian(**{"event_shape": (1, 4, 4), "hidden_dim": 12, "latent_dims": (3, 2), **options})


@pytest.fixture
def x() -> torch.Tensor:
    return (torch.rand(10, 1, 4, 4, generator=torch.Generator().manual_seed(0)) > 0.5).float()


def test_one_diagonal_layer_is_the_two_layer_vae(x):
    deep = small(latent_dims=(5,), covariance="diagonal")
    plain = two_layer_vae((1, 4, 4), 12, 5)
    with torch.no_grad():
        for name, module in (("hidden", deep.encoder.hidden[0]),):
            getattr(plain.encoder, name).load_state_dict(module.state_dict())
        mean, scale = (part.chunk(2) for part in (deep.encoder.posterior[0].weight, deep.encoder.posterior[0].bias))
        for head, index in ((plain.encoder.mean, 0), (plain.encoder.scale, 1)):
            head.weight.copy_(mean[index])
            head.bias.copy_(scale[index])
        plain.decoder.hidden.load_state_dict(deep.decoder.noise[0].state_dict())
        plain.decoder.output.load_state_dict(deep.decoder.output.state_dict())
    losses = [
        objective(model, x, generator=torch.Generator().manual_seed(1))
        for objective, model in ((HierarchicalELBO(), deep), (ELBO(), plain), (HierarchicalELBO(num_samples=3), deep))
    ]
    for first, second in zip(losses[0], losses[1], strict=True):
        torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-5)
    estimates = [importance_weighted_log_likelihood(model, x, 20) for model in (deep, plain)]
    torch.testing.assert_close(*estimates, rtol=1e-5, atol=1e-5)
    assert losses[2].log_likelihood.shape == (10,)


def test_the_layers_enter_as_the_equations_say():
    decoder = small(latent_dims=(3, 2, 4), activation="tanh").decoder
    z = torch.randn(6, 9, generator=torch.Generator().manual_seed(0))
    first, second, third = z.split((3, 2, 4), -1)
    noise, hidden = decoder.noise, decoder.hidden
    h = third @ noise[2].weight.T + noise[2].bias
    h = torch.tanh(h) @ hidden[1].weight.T + hidden[1].bias + second @ noise[1].weight.T
    h = torch.tanh(h) @ hidden[0].weight.T + hidden[0].bias + first @ noise[0].weight.T
    expected = torch.tanh(h) @ decoder.output.weight.T + decoder.output.bias
    torch.testing.assert_close(decoder(z), expected.view(6, 1, 4, 4))
    assert noise[0].bias is None and noise[1].bias is None


@pytest.mark.parametrize("covariance", ["diagonal", "rank_one"])
def test_the_loss_is_the_sum_of_its_parts(x, covariance):
    model = small(covariance=covariance)
    output = model(x, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(output.kl_by_layer.sum(-1), output.kl)
    log_likelihood = model.likelihood.log_likelihood(output.decoder_output, x)
    loss = HierarchicalELBO(beta=0.5)(model, x, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(loss.value, 0.5 * output.kl.mean() - log_likelihood.mean())
    free = 2 * output.kl_by_layer.mean(0).amin().item()
    costs = output.kl_by_layer.mean(0).clamp(min=free)
    loss = HierarchicalELBO(free_bits=free)(model, x, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(loss.value, costs.sum() - log_likelihood.mean())
    assert (HierarchicalELBO(warmup_steps=4).beta_at(1), HierarchicalELBO(2.0).for_validation().beta) == (0.25, 1.0)


@pytest.mark.parametrize("covariance", ["diagonal", "rank_one"])
def test_estimates_of_log_p_are_those_of_other_importance_weights(x, covariance):
    """Log p(x) does not depend on q: weights from the prior converge to the same number."""
    model = small(covariance=covariance).double()
    with torch.no_grad():
        for head in model.encoder.posterior:  # q wider than p(z|x), so that no weight is far above the others
            head.bias.chunk(model.encoder.parts)[1].fill_(0.7)
    x = x[:3].double()
    estimate = importance_weighted_log_likelihood(model, x, 50_000)
    z = torch.randn(100_000, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        log_p = torch.stack([model.log_likelihood(z, example.expand(len(z), 1, 4, 4)) for example in x])
    expected = torch.logsumexp(log_p, 1) - math.log(len(z))
    torch.testing.assert_close(estimate, expected, rtol=0, atol=0.02)
    elbo = evaluate_elbo(model, x, num_samples=2000).elbo
    assert elbo < estimate.mean().item() + 0.01
    bound = ImportanceWeightedBound(2000)(model, x, generator=torch.Generator().manual_seed(0))
    assert -bound.value.item() == pytest.approx(estimate.mean().item(), abs=0.05)


def test_it_is_used_as_a_vae_is(x):
    model = small()
    assert model.latent_dim == 5 and model.sample(4).shape == (4, 1, 4, 4)
    assert model.reconstruct(x).shape == x.shape
    assert active_units(model, x).variances.shape == (5,)
    assert isinstance(model.encoder, nn.Module)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent_dims": ()}, r"latent_dims: expected one or more positive integers, got \(\)"),
        ({"latent_dims": (3, 0)}, r"latent_dims: expected one or more positive integers, got \(3, 0\)"),
        ({"covariance": "full"}, "covariance: expected 'diagonal' or 'rank_one', got 'full'"),
        ({"hidden_dim": 0}, "hidden_dim: expected at least 1, got 0"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)
